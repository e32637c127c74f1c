// Whom the controller asks about, how often and when it stops: in view, by turns, within its limits, early when something
// happens; and what it knows already it does not ask.

import { expect, test } from 'vitest';
import { createController, type Mind, policyNames, sharedMind } from '../client/controller/index.ts';
import { Loop, Notebook, type Question } from './controller/loop.ts';

/** A mind of the game's own that decides at once that there is nothing to do. */
class Content implements Mind {
  readonly asked: (Question & { atMs: number })[] = [];
  loop!: Loop;

  ask(...[index, npc, situation, generation, answers]: Parameters<Mind['ask']>): boolean {
    this.asked.push({ index, npc, situation, generation, atMs: this.loop.nowMs });
    answers.done(index, generation);
    return true;
  }

  of(index: number): number {
    return this.asked.filter((q) => q.index === index).length;
  }
}

const ample = { outstanding: 1_000, perSecond: 10_000, perFrame: 100 };

test('those in view are asked once a second, those near twice, those out of sight never', () => {
  const mind = new Content();
  const npcs = createController({ mind, cache: false, asking: ample });
  mind.loop = new Loop(npcs);
  const still = { policy: 'look', sociability: 0 } as const;
  const near = npcs.add({ npc: 'near', x: 3, y: 0, ...still });
  const seen = npcs.add({ npc: 'seen', x: 15, y: 0, ...still, home: { x: 14, y: 0 } });
  const far = npcs.add({ npc: 'far', x: 80, y: 0, ...still });
  const nobody = npcs.add({ x: 3, y: 1, ...still });
  npcs.player(0, 0);
  mind.loop.run(20);
  expect(mind.of(near)).toBeGreaterThan(33);
  expect(mind.of(near)).toBeLessThan(46);
  expect(mind.of(seen)).toBeGreaterThan(16);
  expect(mind.of(seen)).toBeLessThan(24);
  expect(mind.of(far) + mind.of(nobody)).toBe(0);
  expect(npcs.stats.inView).toBe(2);
  expect(npcs.stats.asked).toBe(npcs.stats.answered);
});

test('a crowd is asked by turns: one a frame, so many a second, and everybody comes to it', () => {
  const mind = new Content();
  const npcs = createController({ mind, cache: false, asking: { perSecond: 10 } });
  mind.loop = new Loop(npcs);
  const count = 100;
  for (let i = 0; i < count; i++) npcs.add({ npc: `n${i}`, x: i % 10, y: Math.floor(i / 10) });
  npcs.player(5, 5);
  let before = 0;
  mind.loop.run(30, () => {
    expect(mind.asked.length - before).toBeLessThanOrEqual(1);
    before = mind.asked.length;
  });
  expect(mind.asked.length).toBeGreaterThan(290);
  expect(mind.asked.length).toBeLessThanOrEqual(305);
  expect(new Set(mind.asked.map((q) => q.index)).size).toBe(count);
});

test('no more questions are under way than it may have, and one that is not answered is given up', () => {
  const mind = new Notebook();
  const npcs = createController({
    mind,
    cache: false,
    asking: { outstanding: 3, perSecond: 100, answerMs: 2_000 },
  });
  const loop = new Loop(npcs);
  for (let i = 0; i < 20; i++) npcs.add({ npc: `n${i}`, x: i, y: 0 });
  npcs.player(9, 0);
  loop.until(() => npcs.stats.outstanding === 3);
  loop.run(1);
  expect(mind.questions).toHaveLength(3);
  const late = mind.questions[0]!;
  loop.until(() => npcs.stats.timedOut === 3);
  expect(mind.cancelled).toHaveLength(3);
  mind.answers.act(late.index, late.generation, { name: 'open_shop', args: {}, ttlMs: 9_000 });
  mind.answers.done(late.index, late.generation);
  expect(npcs.stats.refused).toBe(1);
  expect(npcs.stats.outstanding).toBe(0);
  loop.until(() => mind.questions.length > 3);
});

test('what happens wakes a character early, and a thought from before is out of date', () => {
  const mind = new Notebook();
  const npcs = createController({ mind, cache: false });
  const loop = new Loop(npcs);
  const i = npcs.add({ npc: 'mira', x: 0, y: 0, boldness: 0 });
  npcs.place('mine', 0, 40);
  npcs.player(19, 0);
  loop.until(() => mind.questions.length === 1);
  const before = mind.last;
  npcs.perceive(i, 'noise', { x: 0, y: 38 });
  loop.frame();
  loop.frame();
  expect(mind.questions).toHaveLength(2);
  expect(mind.cancelled).toEqual([before.generation]);
  expect(mind.last.situation).toContain('loud noise has just come from the mine');
  // Noise without end wakes nobody all the time.
  loop.run(3, () => npcs.perceive(i, 'noise', { x: 0, y: 38 }));
  expect(npcs.stats.woken).toBeLessThanOrEqual(4);
});

test('the situation is a few plain words, never more than five hundred characters', () => {
  const mind = new Notebook();
  const npcs = createController({ mind, cache: false, asking: { viewHz: 5 } });
  const loop = new Loop(npcs);
  const i = npcs.add({ npc: 'mira', x: 0, y: 0, sociability: 0 });
  npcs.place('forge', 1, 1);
  npcs.player(1, 0);
  npcs.hour = 22;
  loop.until(() => mind.questions.length === 1);
  expect(mind.last.situation).toBe(
    'It is night. You are at the forge. The traveller stands next to you. You have nothing to do.',
  );
  mind.answer();
  npcs.player(5, 0);
  npcs.perceive(i, 'attacked', { x: 0, y: 1 });
  loop.until(() => mind.questions.length === 2);
  expect(mind.last.situation).toContain('The traveller is near. Somebody has just attacked you.');
  mind.answer();
  npcs.perceive(i, 'noise', { x: 0, y: 1 });
  loop.until(() => mind.questions.length === 3);
  expect(mind.questions.every(({ situation }) => situation.length <= 500)).toBe(true);
});

test('while the player talks with a character nobody asks what it does', () => {
  const mind = new Notebook();
  const npcs = createController({ mind, cache: false });
  const loop = new Loop(npcs);
  const i = npcs.add({ npc: 'mira', x: 0, y: 0 });
  npcs.player(2, 0);
  npcs.talk(i);
  loop.run(5);
  expect(mind.questions).toHaveLength(0);
  expect(policyNames[npcs.policy[i]!]).toBe('look');
  npcs.talk(i, false);
  loop.until(() => mind.questions.length === 1);
});

test('the same situation is answered from the cache, for all of one role, until it is old', () => {
  const mind = new Notebook();
  const npcs = createController({ mind, cache: { explore: 0, ttlMs: 10_000 }, asking: { restMs: 0 } });
  const told: number[] = [];
  npcs.onIntent = (i) => told.push(i);
  const loop = new Loop(npcs);
  const [a, b] = [0, 1].map((y) =>
    npcs.add({ npc: `guard-${y}`, role: 'guard', x: 9, y: y * 3, sociability: 0 }),
  );
  npcs.player(0, 0);
  loop.until(() => mind.questions.length === 1);
  mind.answer({ name: 'emote', args: { kind: 'nod' } });
  loop.run(5);
  expect(npcs.stats.cacheHits).toBeGreaterThan(3);
  expect(new Set(told)).toEqual(new Set([a, b]));
  const asked = mind.questions.length;
  expect(asked).toBeLessThan(6);
  expect(told.length).toBe(npcs.stats.cacheHits + 1 + mind.questions.length - asked);
  npcs.remove(b!);
  // Nothing is heard from the mind any more; what it said last is used until it is old.
  loop.run(20);
  const hits = npcs.stats.cacheHits;
  loop.run(5);
  expect(npcs.stats.cacheHits).toBe(hits);
});

test('a crowd in one situation is answered from the cache a few a frame, and all of it', () => {
  const mind = new Notebook();
  const npcs = createController({ mind, cache: { explore: 0 }, asking: { restMs: 0 } });
  const told = new Set<number>();
  npcs.onIntent = (i) => told.add(i);
  const loop = new Loop(npcs);
  for (let i = 0; i < 60; i++)
    npcs.add({ npc: `guard-${i}`, role: 'guard', x: 12, y: i / 20, policy: 'idle', sociability: 0 });
  npcs.player(0, 0);
  loop.until(() => mind.questions.length === 1);
  mind.answer({ name: 'emote', args: { kind: 'nod' } });
  let most = 0;
  loop.until(() => {
    const before = npcs.stats.cacheHits;
    loop.frame();
    most = Math.max(most, npcs.stats.cacheHits - before);
    return told.size === 60;
  });
  // One in four milliseconds of the game, and the one that was about to be asked.
  expect(most).toBeLessThanOrEqual(Math.round(loop.dtMs / 4) + 1);
});

test('several answers to one situation vary by the seed', () => {
  const kinds = ['wave', 'nod', 'bow'];
  let asked = 0;
  const mind: Mind = {
    ask(index, _npc, _situation, generation, answers) {
      answers.act(index, generation, { name: 'emote', args: { kind: kinds[asked++ % 3]! }, ttlMs: 5_000 });
      answers.done(index, generation);
      return true;
    },
  };
  const npcs = createController({ mind, cache: { ttlMs: 600_000 }, asking: { restMs: 0 } });
  const seen: unknown[] = [];
  npcs.onIntent = (_i, { args }) => seen.push(args.kind);
  npcs.add({ npc: 'mira', x: 0, y: 9, sociability: 0, policy: 'look' });
  npcs.player(0, 0);
  new Loop(npcs).run(200);
  expect(npcs.stats.cacheHits).toBeGreaterThan(4 * asked);
  for (const kind of kinds) expect(seen.filter((k) => k === kind).length).toBeGreaterThan(seen.length / 8);
});

test('who thinks of the same gesture again and again makes it now and then; in talk it is made each time', () => {
  const mind: Mind = {
    ask(index, _npc, _situation, generation, answers) {
      answers.act(index, generation, { name: 'emote', args: { kind: 'wave' }, ttlMs: 5_000 });
      answers.done(index, generation);
      return true;
    },
  };
  const npcs = createController({ mind, asking: { restMs: 10_000 } });
  let waves = 0;
  npcs.onIntent = () => waves++;
  const i = npcs.add({ npc: 'mira', x: 0, y: 2, sociability: 0, policy: 'look' });
  npcs.player(0, 0);
  const loop = new Loop(npcs);
  loop.run(35);
  expect(waves).toBe(4);
  expect(npcs.stats.repeated).toBeGreaterThan(20);
  for (let k = 0; k < 3; k++) npcs.offer(i, { name: 'emote', args: { kind: 'wave' }, ttlMs: 5_000 });
  loop.frame();
  expect(waves).toBe(7);
});

test("what a game's server has agreed to once is never repeated from the cache", () => {
  const mind = new Notebook();
  const npcs = createController({ mind, cache: { explore: 0 } });
  let gifts = 0;
  npcs.onIntent = () => gifts++;
  const loop = new Loop(npcs);
  npcs.add({ npc: 'mira', x: 0, y: 0, sociability: 0, policy: 'look' });
  npcs.player(1, 0);
  for (let n = 1; n <= 4; n++) {
    loop.until(() => mind.questions.length === n);
    mind.answer({ name: 'give', args: { item: 'sword' } });
  }
  loop.run(5);
  expect(gifts).toBe(4);
  expect(npcs.stats.cacheHits).toBe(0);
});

test('it stops asking for as long as the edge says, and ever longer while it fails', () => {
  const mind = new Notebook();
  const npcs = createController({ mind, cache: false, asking: { outstanding: 1 } });
  const loop = new Loop(npcs);
  for (let i = 0; i < 10; i++) npcs.add({ npc: `n${i}`, x: i, y: 0 });
  npcs.player(5, 0);
  const nextAfter = (retryMs?: number) => {
    const count = mind.questions.length;
    mind.answers.failed(mind.last.index, mind.last.generation, true, retryMs);
    const from = loop.nowMs;
    loop.until(() => mind.questions.length > count);
    return loop.nowMs - from;
  };
  loop.until(() => mind.questions.length === 1);
  expect(nextAfter(7_000)).toBeGreaterThanOrEqual(7_000);
  expect(nextAfter()).toBeGreaterThan(900);
  expect(nextAfter()).toBeGreaterThan(1_900);
  expect(nextAfter()).toBeGreaterThan(3_900);
  mind.answer();
  loop.until(() => npcs.stats.outstanding === 1);
  expect(nextAfter()).toBeLessThan(1_000);
  expect(npcs.stats.failed).toBe(5);
});

test('a character that the edge does not know is left alone, the others are not', () => {
  const mind = new Notebook();
  const npcs = createController({ mind, cache: false });
  const loop = new Loop(npcs);
  const unknown = npcs.add({ npc: 'nobody', x: 1, y: 0 });
  npcs.add({ npc: 'mira', x: 3, y: 0 });
  npcs.player(2, 0);
  loop.run(30, () => {
    if (npcs.stats.outstanding === 0) return;
    for (const { index, generation } of mind.questions.slice(-4))
      if (index === unknown) mind.answers.failed(index, generation, false);
      else mind.answers.done(index, generation);
  });
  const of = (npc: string) => mind.questions.filter((q) => q.npc === npc).length;
  expect(of('nobody')).toBe(1);
  expect(of('mira')).toBeGreaterThan(30);
});

test('a mind that throws, is away or floods changes nothing but the counters', () => {
  let mood: 'throws' | 'away' | 'floods' = 'throws';
  const mind: Mind = {
    ask(index, _npc, _situation, generation, answers) {
      if (mood === 'throws') throw new Error('out of my mind');
      if (mood === 'away') return false;
      for (let k = 0; k < 100_000; k++)
        answers.act(index, generation, { name: 'say', args: { text: String(k) }, ttlMs: 1_000 });
      for (let k = 0; k < 10; k++) answers.done(index, generation);
      answers.failed(index, generation, true);
      return true;
    },
    cancel() {
      throw new Error('cannot let go');
    },
  };
  const npcs = createController({ mind, asking: { perSecond: 100, restMs: 0 } });
  const loop = new Loop(npcs);
  const i = npcs.add({ npc: 'mira', x: 0, y: 0, policy: 'walk' });
  npcs.player(2, 0);
  let told = 0;
  npcs.onIntent = () => told++;
  loop.until(() => npcs.stats.thrown > 1);
  mood = 'away';
  loop.until(() => npcs.stats.away > 1);
  mood = 'floods';
  loop.until(() => npcs.stats.asked === 1);
  loop.run(0.1);
  expect(told).toBe(4);
  expect(npcs.stats).toMatchObject({ outstanding: 0, answered: 1, failed: 0 });
  expect(npcs.isHere(i)).toBe(true);
});

test('several minds share the characters between them', () => {
  const minds = [new Content(), new Content()];
  const npcs = createController({ mind: sharedMind(minds), cache: false, asking: ample });
  const loop = new Loop(npcs);
  for (const mind of minds) mind.loop = loop;
  for (let i = 0; i < 6; i++) npcs.add({ npc: `n${i}`, x: i, y: 0 });
  npcs.player(3, 0);
  loop.run(5);
  expect(minds.map((mind) => [...new Set(mind.asked.map((q) => q.index))].sort())).toEqual([
    [0, 2, 4],
    [1, 3, 5],
  ]);
});
