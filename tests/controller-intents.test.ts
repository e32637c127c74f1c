// What characters are told to do: the newest intent counts, old ones decay, late and broken ones change nothing, and
// a game hears of each once.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { animationNames, createController, policyNames } from '../client/controller/index.ts';
import { Loop, Notebook } from './controller/loop.ts';

/** A character at the origin in a loop, and what the game was told to do for it. */
function one(options: Parameters<typeof createController>[0] = {}) {
  const npcs = createController(options);
  const i = npcs.add({ npc: 'mira', x: 0, y: 0, sociability: 0 });
  npcs.place('forge', 6, 0);
  npcs.place('north gate', 0, 50);
  const told: string[] = [];
  npcs.onIntent = (index, { name, args }) => told.push(`${index} ${name} ${JSON.stringify(args)}`);
  const loop = new Loop(npcs);
  loop.frame();
  return { npcs, i, loop, told, does: () => policyNames[npcs.policy[i]!] };
}

const goTo = (place: string, ttlMs = 20_000) => ({ name: 'go_to', args: { place }, ttlMs });

test('it goes where it was told, as models write names, and stays until the intent is over', () => {
  const { npcs, i, loop, does, told } = one();
  expect(npcs.offer(i, goTo('The Forge', 9_000))).toBe(true);
  loop.frame();
  expect(does()).toBe('go');
  loop.until(() => Math.abs(npcs.x[i]! - 6) < 0.6);
  expect(npcs.intentAgeMs(i)).toBeGreaterThan(1_000);
  loop.until(() => does() !== 'go');
  expect(npcs.intentAgeMs(i)).toBe(-1);
  expect(npcs.stats.expired).toBe(1);
  expect(told).toEqual([]);
});

test('it goes to the player, to other characters and home', () => {
  const { npcs, i, loop } = one();
  const bram = npcs.add({ npc: 'bram', x: 0, y: 9, policy: 'idle', sociability: 0 });
  npcs.player(-7, 0);
  for (const [name, isThere] of [
    ['traveller', () => npcs.x[i]! < -5.5],
    ['bram', () => Math.hypot(npcs.x[i]! - npcs.x[bram]!, npcs.y[i]! - npcs.y[bram]!) < 1.7],
    ['home', () => Math.hypot(npcs.x[i]!, npcs.y[i]!) < 0.6],
  ] as const) {
    expect(npcs.offer(i, goTo(name))).toBe(true);
    loop.until(isThere);
  }
});

test('of several who answer to a name it goes to the first that is still there, and to nobody who left', () => {
  const { npcs, i, loop } = one();
  const guards = [9, -9].map((y) => npcs.add({ npc: 'Old_Guard', x: 0, y, policy: 'idle', sociability: 0 }));
  const meets = (k: number) =>
    Math.hypot(npcs.x[i]! - npcs.x[guards[k]!]!, npcs.y[i]! - npcs.y[guards[k]!]!) < 1.7;
  expect(npcs.offer(i, goTo('the old guard'))).toBe(true);
  loop.until(() => meets(0));
  npcs.remove(guards[0]!);
  expect(npcs.offer(i, goTo('old guard'))).toBe(true);
  loop.until(() => meets(1));
  npcs.remove(guards[1]!);
  expect(npcs.offer(i, goTo('old guard'))).toBe(false);
  // An index that is given to another answers to the other's name alone.
  expect(npcs.add({ npc: 'rosa', x: 0, y: 9 })).toBe(guards[1]!);
  expect(npcs.offer(i, goTo('old guard'))).toBe(false);
  expect(npcs.offer(i, goTo('Rosa'))).toBe(true);
});

test('the newest intent replaces the one before, seen or not', () => {
  const { npcs, i, loop, does } = one();
  npcs.offer(i, goTo('north gate'));
  npcs.offer(i, goTo('forge'));
  loop.until(() => npcs.x[i]! > 5);
  expect(npcs.stats.replaced).toBe(1);
  npcs.offer(i, goTo('north gate'));
  loop.run(3);
  expect(does()).toBe('go');
  expect(npcs.y[i]!).toBeGreaterThan(2);
});

test('the game is told of a gift, a wave and a word once each, in their order, and the body shows it', () => {
  const { npcs, i, loop, told } = one();
  npcs.player(2, 0);
  npcs.offer(i, { name: 'say', args: { text: 'Here.' }, ttlMs: 5_000 });
  npcs.offer(i, { name: 'give', args: { item: 'sword', price: 30 }, ttlMs: 5_000 });
  npcs.offer(i, { name: 'emote', args: { kind: 'wave' }, ttlMs: 5_000 });
  npcs.offer(i, { name: 'open_shop', args: {}, ttlMs: 5_000 });
  expect(told).toEqual([]);
  loop.run(0.3);
  expect(told).toEqual([
    `${i} say {"text":"Here."}`,
    `${i} give {"item":"sword","price":30}`,
    `${i} emote {"kind":"wave"}`,
    `${i} open_shop {}`,
  ]);
  expect(animationNames[npcs.animation[i]!]).toBe('gesture');
  loop.run(5);
  expect(told).toHaveLength(4);
  expect(animationNames[npcs.animation[i]!]).not.toBe('gesture');
});

test('who attacks runs up to its target first, and strikes once', () => {
  const { npcs, i, loop, told, does } = one();
  npcs.player(10, 0);
  npcs.offer(i, { name: 'attack', args: { target: 'traveller' }, ttlMs: 15_000 });
  loop.run(0.5);
  expect(does()).toBe('approach');
  expect(animationNames[npcs.animation[i]!]).toBe('run');
  expect(told).toEqual([]);
  loop.until(() => told.length > 0);
  expect(10 - npcs.x[i]!).toBeLessThan(1.6);
  loop.until(() => animationNames[npcs.animation[i]!] === 'strike');
  loop.run(6);
  expect(told).toHaveLength(1);
});

test("a game's own verbs reach the game, and those that move a character move it", () => {
  const { npcs, i, loop, told, does } = one({
    verbs: {
      ring_bell: { ttlMs: 8_000, args: { times: { type: 'integer', minimum: 1, maximum: 12 } } },
      follow: { ttlMs: 3_000 },
    },
  });
  npcs.player(9, 0);
  expect(npcs.offer(i, { name: 'ring_bell', args: { times: 3 }, ttlMs: 1_000 })).toBe(true);
  expect(npcs.offer(i, { name: 'follow', args: {}, ttlMs: 5_000 })).toBe(true);
  expect(npcs.offer(i, { name: 'say', args: { text: 'No such verb here.' }, ttlMs: 1_000 })).toBe(false);
  loop.run(3);
  expect(told).toEqual([`${i} ring_bell {"times":3}`]);
  expect(does()).toBe('follow');
  expect(npcs.x[i]!).toBeGreaterThan(2);
});

test('what is no act, of a newer form, unknown or against its schema is left alone and counted', () => {
  const { npcs, i, loop, told } = one();
  const broken: unknown[] = [
    { v: 2, name: 'emote', args: { kind: 'wave' }, ttlMs: 1_000 },
    { name: 'fly', args: {}, ttlMs: 1_000 },
    { name: 'constructor', args: {}, ttlMs: 1_000 },
    { name: '__proto__', args: {}, ttlMs: 1_000 },
    { name: 'go_to', args: { place: 'the moon' }, ttlMs: 1_000 },
    { name: 'go_to', args: {}, ttlMs: 1_000 },
    { name: 'go_to', args: { place: 5 }, ttlMs: 1_000 },
    { name: 'go_to', args: { place: 'x'.repeat(81) }, ttlMs: 1_000 },
    { name: 'go_to', args: { place: 'forge', fast: true }, ttlMs: 1_000 },
    { name: 'give', args: { item: 'sword', price: -1 }, ttlMs: 1_000 },
    { name: 'give', args: { item: 'sword', price: 1.5 }, ttlMs: 1_000 },
    { name: 'give', args: { item: 'sword', price: Number.NaN }, ttlMs: 1_000 },
    { name: 'emote', args: { kind: 'explode' }, ttlMs: 1_000 },
    { name: 'emote', args: JSON.parse('{"__proto__":{"kind":"wave"}}'), ttlMs: 1_000 },
    { name: 'open_shop', args: null, ttlMs: 1_000 },
    { name: 'open_shop', args: [], ttlMs: 1_000 },
    { name: 'open_shop', ttlMs: 1_000 },
    { args: {} },
    null,
    'emote',
    7,
  ];
  for (const act of broken) expect(npcs.offer(i, act as never)).toBe(false);
  loop.run(1);
  expect(told).toEqual([]);
  expect(npcs.stats.ignored).toBe(broken.length);
  expect(npcs.offer(99, goTo('forge'))).toBe(false);
});

test('whatever an edge sends as an act, nothing is thrown and everybody stays at a point', () => {
  const { npcs, i, loop } = one();
  const anything = fc.anything({ withBigInt: true, withNullPrototype: true });
  const field = (...good: unknown[]) => fc.oneof(fc.constantFrom(...good), anything);
  const known = fc.constantFrom(
    { name: 'go_to', args: { place: 'forge' } },
    { name: 'emote', args: { kind: 'wave' } },
    { name: 'attack', args: { target: 'traveller' } },
  );
  const rest = fc.record({
    ttlMs: field(5_000, 3n, -1),
    g: field(0, 1n, -1, 2 ** 40),
    v: field(1, 2, null),
    confidence: field(0.5, 1n, 7),
  });
  const broken = fc.record({ name: field('go_to', 'say'), args: anything, ttlMs: anything });
  const act = fc.oneof(
    fc.tuple(known, rest).map(([a, b]) => ({ ...a, ...b })),
    broken,
  );
  fc.assert(
    fc.property(fc.oneof(act, anything), (any) => {
      npcs.offer(i, any as never);
      loop.frame();
      expect(Number.isFinite(npcs.x[i]! + npcs.y[i]! + npcs.heading[i]! + npcs.gaze[i]!)).toBe(true);
    }),
    { numRuns: 2_000 },
  );
  expect(npcs.stats.thrown).toBe(0);
  expect(npcs.stats.taken).toBeGreaterThan(20);
});

test('an intent that is over before the next frame is not begun', () => {
  const { npcs, i, loop, told, does } = one();
  npcs.offer(i, goTo('forge', 0));
  npcs.offer(i, { name: 'emote', args: { kind: 'wave' }, ttlMs: 5 });
  loop.frame(50);
  expect(does()).not.toBe('go');
  expect(told).toEqual([]);
  expect(npcs.stats.stale).toBe(2);
  // A time to live that is none is the verb's own.
  npcs.offer(i, goTo('forge', Number.NaN));
  loop.frame();
  expect(does()).toBe('go');
});

test('what comes before the first frame, or before the clock is set back, keeps its time', () => {
  const npcs = createController();
  const i = npcs.add({ npc: 'mira', x: 0, y: 0 });
  npcs.place('forge', 60, 0);
  npcs.offer(i, goTo('forge', 4_000));
  const loop = new Loop(npcs);
  loop.nowMs = 3_600_000;
  loop.run(2);
  expect(policyNames[npcs.policy[i]!]).toBe('go');
  loop.nowMs = 0;
  loop.run(1.5);
  expect(policyNames[npcs.policy[i]!]).toBe('go');
  loop.run(1);
  expect(policyNames[npcs.policy[i]!]).not.toBe('go');
});

test('fear breaks an intent for a while; a sure one is not broken by a little noise', () => {
  const { npcs, i, loop, does } = one();
  npcs.offer(i, { ...goTo('forge', 60_000), confidence: 1 });
  loop.run(0.5);
  npcs.perceive(i, 'noise', { x: 0, y: 2, strength: 0.4 });
  loop.frame();
  expect(does()).toBe('go');
  npcs.perceive(i, 'attacked', { x: 1, y: 0, strength: 1 });
  const bold = does();
  loop.frame();
  expect(['go', 'flee']).toContain(does());
  expect(bold).toBe('go');
  const coward = npcs.add({ npc: 'rosa', x: 20, y: 20, boldness: 0 });
  npcs.offer(coward, { ...goTo('forge', 60_000), confidence: 0.2 });
  loop.frame();
  npcs.perceive(coward, 'attacked', { x: 21, y: 20 });
  loop.frame();
  expect(policyNames[npcs.policy[coward]!]).toBe('flee');
  loop.until(() => policyNames[npcs.policy[coward]!] === 'go');
});

test('acts of an older generation are refused: of a thought before the player spoke, and of a character that is gone', () => {
  const mind = new Notebook();
  const { npcs, i, loop, told } = one({ mind, cache: false });
  npcs.player(2, 0);
  loop.until(() => mind.questions.length === 1);
  const thought = mind.last;
  const g = npcs.talk(i);
  expect(mind.cancelled).toEqual([thought.generation]);
  mind.answer({ name: 'open_shop' });
  expect(npcs.offer(i, { name: 'open_shop', args: {}, ttlMs: 1_000, g: thought.generation })).toBe(false);
  expect(npcs.offer(i, { name: 'emote', args: { kind: 'nod' }, ttlMs: 1_000, g })).toBe(true);
  loop.frame();
  expect(told).toEqual([`${i} emote {"kind":"nod"}`]);
  expect(npcs.stats.refused).toBe(2);

  npcs.talk(i, false);
  loop.until(() => mind.questions.length === 2);
  npcs.remove(i);
  expect(npcs.add({ npc: 'rosa', x: 0, y: 0 })).toBe(i);
  mind.answer({ name: 'open_shop' });
  loop.frame();
  expect(told).toHaveLength(1);
});

test('what a character notices in a talk does not make the answer that is on its way too old', () => {
  const { npcs, i, loop, told } = one({ mind: new Notebook(), cache: false });
  npcs.player(2, 0);
  loop.frame();
  const g = npcs.talk(i);
  npcs.perceive(i, 'noise', { x: 5, y: 5 });
  loop.frame();
  expect(npcs.offer(i, { name: 'emote', args: { kind: 'nod' }, ttlMs: 1_000, g })).toBe(true);
  loop.frame();
  expect(told).toEqual([`${i} emote {"kind":"nod"}`]);
});

test('a hundred thousand acts in one frame cost as much as a few', () => {
  const { npcs, i, loop, told } = one();
  for (let k = 0; k < 100_000; k++) {
    npcs.offer(i, { name: 'say', args: { text: `word ${k}` }, ttlMs: 5_000 });
    npcs.offer(i, goTo(k % 2 ? 'forge' : 'north gate'));
  }
  loop.frame();
  expect(told).toEqual([99_996, 99_997, 99_998, 99_999].map((k) => `${i} say {"text":"word ${k}"}`));
  expect(npcs.stats.replaced).toBe(99_996 + 99_999);
  loop.until(() => npcs.x[i]! > 5);
});

test("a game's code that throws, offers more or removes the character does the loop no harm", () => {
  const { npcs, i, loop } = one();
  const other = npcs.add({ npc: 'bram', x: 3, y: 3 });
  let calls = 0;
  npcs.onIntent = (index, intent) => {
    calls++;
    npcs.offer(index, { ...intent });
    if (index === other) npcs.remove(index);
    throw new Error('a fault of the game');
  };
  const nod = { name: 'emote', args: { kind: 'nod' }, ttlMs: 5_000 };
  npcs.offer(i, nod);
  npcs.offer(other, nod);
  npcs.offer(other, nod);
  loop.frame();
  expect(calls).toBe(2);
  loop.frame();
  expect(calls).toBe(3);
  expect(npcs.stats.thrown).toBe(3);
  expect(npcs.isHere(other)).toBe(false);
});
