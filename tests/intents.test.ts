// What characters do: whoever says yes gives, whoever says no does not; what they decide without words; and that an
// act comes once, also when its worker dies in the middle of the speech before it.

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInbox, type NatsConnection } from '@nats-io/transport-node';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createRecordedEngine } from '../bench/recorded/recorded-engine.ts';
import { History } from '../bus/history.ts';
import type { Act, End, Intent, ServerMessage, Tok } from '../bus/protocol.ts';
import { createKeys } from '../bus/subjects.ts';
import { type Character, type CharacterError, loadCharacters } from '../npcs/characters.ts';
import { faultOf, type Game, gameOf, type Verb, verbSchema } from '../npcs/verbs.ts';
import { createLog } from '../runtime/log.ts';
import { connectTo } from '../scripts/stack/connect.ts';
import { agree } from '../tiers/agreement.ts';
import { decide } from '../tiers/decide.ts';
import type { Usage } from '../tiers/engine.ts';
import { isTerminal } from './helpers/raw-client.ts';
import { sumMetric, TestStack, useStack } from './helpers/stack.ts';

const shipped = new URL('../npcs/', import.meta.url).pathname;
const { characters, game } = await loadCharacters(shipped);

describe('speech and act agree', () => {
  const english: Game = gameOf();
  const bread = {
    verb: 'give',
    args: { item: 'bread' },
    about: ['bread', 'hungry'],
    says: ['take bread', 'take loaf'],
  };
  const wave = { verb: 'emote', args: { kind: 'wave' }, about: ['hello'], says: [] };
  const fight = { verb: 'attack', args: { target: 'goblin' }, about: ['goblin'], says: [] };
  const baker = { acts: [bread, wave, fight], choices: 3 as const };
  const verbs = (list: readonly { verb: string }[]) => list.map(({ verb }) => verb);
  const promised = (words: string, speech: string, who: Parameters<typeof agree>[0] = baker) =>
    verbs(agree(who, english, { words, speech }).due);

  test.each([
    'Yes, take this loaf of bread.',
    'Take the bread, traveller!',
    'Hungry? Take this bread.',
    'No trouble, take this bread.',
    'I sell no swords. But take this loaf of bread!',
    'Noted: taking bread is fine.',
  ])('who says so gives: %s', (speech) => {
    expect(promised('Give me bread', speech)).toEqual(['give']);
  });

  test.each([
    'A loaf of bread costs 2 gold.',
    'No, you cannot take this bread.',
    'I will not let you take bread',
    "Don't take my bread!",
    'Would you take this bread?',
    'If you pay me, take this bread.',
    'Never! Take a walk.',
    '',
  ])('who does not say so does not give: %s', (speech) => {
    expect(promised('Give me bread', speech)).toEqual([]);
  });

  test('what is meant stands in the words of the player or in the speech itself', () => {
    expect(promised('Yes, please.', 'Take this bread.')).toEqual(['give']);
    expect(promised('Give me bread.', 'Take this loaf.')).toEqual(['give']);
    expect(promised('Give me wood.', 'Take this loaf.')).toEqual([]);
  });

  test('an act without words of its own may go with a speech, unless the server has the say', () => {
    const open = (words: string, speech?: string) => agree(baker, english, { words, speech });
    expect(open('Hello!', 'Good day.')).toMatchObject({ open: [wave], isFree: true });
    expect(open('A goblin!', 'Where?').open).toEqual([]);
    expect(open('A goblin!')).toMatchObject({ open: [fight], isFree: false });
    // What goes with words is not done without any.
    expect(open('Somebody is hungry').open).toEqual([]);
    // A promise leaves no choice.
    expect(open('Hello, give me bread', 'Take this bread.')).toMatchObject({ due: [bread], open: [] });
  });

  test('phrases are heard within a sentence', () => {
    const near = { ...wave, about: ['traveller near'] };
    const of = (words: string) => agree({ acts: [near], choices: 3 }, english, { words }).open;
    expect(of('The traveller is near.')).toEqual([near]);
    expect(of('The traveller is away. A cat is near.')).toEqual([]);
  });

  test('a large model chooses among all, a small one among the first', () => {
    const acts = ['nod', 'shrug', 'bow'].map((kind) => ({ ...wave, args: { kind } }));
    const of = (choices: 1 | 2 | 'all', words: string) => agree({ acts, choices }, english, { words });
    expect(of(1, 'Hello').open).toEqual(acts.slice(0, 1));
    expect(of(2, 'Hello').open).toEqual(acts.slice(0, 2));
    expect(of('all', 'Rain.')).toMatchObject({ open: acts, isFree: true });
    expect(of(2, 'Rain.').open).toEqual([]);
  });

  test('a game in another language has denials of its own', () => {
    const acts = [{ ...bread, about: ['brot'], says: ['nimm brot'] }];
    const german: Game = { ...english, denials: ['nicht', 'kein'] };
    const due = (speech: string) => agree({ acts, choices: 3 }, german, { words: 'Brot', speech }).due;
    expect(due('Nimm das Brot.')).toHaveLength(1);
    expect(due('Nimm das Brot nicht.')).toHaveLength(0);
    // Signs are no words: they are neither said nor do they deny.
    const signs = [{ ...bread, about: ['!'], says: ['!!'] }];
    expect(agree({ acts: signs, choices: 3 }, german, { words: '!', speech: 'Nimm!!' }).due).toEqual([]);
    const odd = { ...german, denials: ['!'] };
    expect(agree({ acts, choices: 3 }, odd, { words: 'Brot', speech: 'Nimm Brot!' }).due).toHaveLength(1);
  });
});

describe('a broken act', () => {
  /** The faults of a game with one character that has these acts. */
  async function faultsOf(gameFile: string, acts: string): Promise<string[]> {
    const folder = await mkdtemp(join(tmpdir(), 'parley-acts-'));
    try {
      await writeFile(join(folder, 'game.yaml'), gameFile);
      const ann = 'id: ann\nname: Ann\npersona: You are Ann.\nfallback: [Not now., Later.]';
      await writeFile(join(folder, 'ann.yaml'), `${ann}\nacts: ${acts}`);
      await loadCharacters(folder);
      return [];
    } catch (error) {
      return (error as CharacterError).faults.map((fault) => fault.replace(`${folder}/`, ''));
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }
  const dance =
    'verbs: [{ name: dance, description: dance, args: { with: { type: string, maxLength: 5 } } }]';

  test.each([
    ['{ verb: giv }', 'acts.0.verb: there is no verb giv'],
    ['{ verb: give, args: { item: bread, prize: 2 } }', 'acts.0.args.prize: is no argument of give'],
    ['{ verb: give, args: { item: [bread, 7] } }', 'acts.0.args.item: is no string'],
    ['{ verb: emote, args: { kind: jump } }', 'acts.0.args.kind: is none of its values'],
    ['{ verb: dance, args: { with: somebody } }', 'acts.0.args.with: is too long'],
    ['{ verb: dance, say: [dance] }', 'acts.0: Unrecognized key: "say"'],
    ['{ verb: give, args: { constructor: x } }', 'acts.0.args.constructor: is no argument of give'],
  ])('is named with its place when the characters are read: %s', async (act, fault) => {
    const [found, ...more] = await faultsOf(dance, `[${act}]`);
    expect(found).toContain(`ann.yaml: ${fault}`);
    expect(more).toEqual([]);
  });

  test('and so is a broken game', async () => {
    expect(await faultsOf(`${dance}\nstate: { gold: { about: [gold] } }`, '[]')).toEqual([
      expect.stringContaining('game.yaml: state.gold.says:'),
    ]);
    expect(await faultsOf(dance, '[{ verb: dance, args: { with: [you, me] } }]')).toEqual([]);
  });
});

describe('what the model is asked', () => {
  const counter: Verb = verbSchema.parse({
    name: 'count',
    description: 'count the goblins',
    args: { to: { type: 'integer', minimum: 200, maximum: 300 } },
  });
  const roll = verbSchema.parse({
    name: 'roll',
    description: 'roll a die',
    args: { eyes: { type: 'integer', minimum: 1, maximum: 6 }, loud: { type: 'boolean', optional: true } },
  });
  const own = gameOf({ verbs: [counter, roll], state: {}, denials: [], spokenOf: [] });
  const count = { verb: 'count', args: {}, about: [], says: ['count'] };
  const bow = { verb: 'emote', args: { kind: 'bow' }, about: [], says: ['bow'] };
  const dice = { verb: 'roll', args: {}, about: [], says: ['roll'] };

  async function decided(speech: string, done: Intent[] = [], signal = new AbortController().signal) {
    const emitted: Intent[] = [];
    const counted: string[] = [];
    const engine = createRecordedEngine({ speed: 0 });
    const ann = { name: 'Ann', acts: [count, bow, dice], choices: 3 } as unknown as Character;
    const work = decide(
      {
        request: { npc: 'ann', s: 1 },
        character: ann,
        words: '',
        speech,
        done,
        promptFor: (player) => ({ npc: 'ann', system: 'You are Ann.', examples: [], turns: [], player }),
        signal,
        emit: (intent) => emitted.push(intent),
      },
      {
        engine,
        game: () => own,
        metrics: { acts: { inc: ({ result }: { result: string }) => counted.push(result) } as never },
        log: createLog('test', 'silent'),
      },
    );
    const usage = await work.catch((error: unknown) => error);
    await engine.close();
    return { acts: emitted.map(({ name, args }) => [name, args]), counted, usage };
  }

  test('is nothing where the speech leaves nothing open', async () => {
    const { acts, counted, usage } = await decided('I bow.');
    expect(acts).toEqual([['emote', { kind: 'bow' }]]);
    expect(counted).toEqual(['sent']);
    expect(usage).toEqual({ prompt: 0, cached: 0, completion: 0 });
  });

  test('is what is open, within its bounds', async () => {
    const { acts, usage } = await decided('I roll.');
    expect(acts).toEqual([['roll', { eyes: expect.any(Number) }]]);
    expect((usage as Usage).completion).toBeGreaterThan(0);
  });

  test('what breaks the verb’s schema is dropped and counted; the rest is done', async () => {
    const { acts, counted } = await decided('I bow and count.');
    expect(acts).toEqual([['emote', { kind: 'bow' }]]);
    expect(counted.sort()).toEqual(['dropped', 'sent']);
  });

  test('time that runs out takes nothing from what was promised', async () => {
    const { acts, usage } = await decided('I bow and roll.', [], AbortSignal.abort(new Error('over')));
    expect(acts).toEqual([['emote', { kind: 'bow' }]]);
    expect(usage).toBeInstanceOf(Error);
  });

  test('what another worker has done is not done again', async () => {
    const bowed = { name: 'emote', args: { kind: 'bow' }, ttlMs: 5_000 };
    expect((await decided('I bow.', [bowed])).acts).toEqual([]);
    const rolled = { name: 'roll', args: { eyes: 3 }, ttlMs: 5_000 };
    expect((await decided('I bow and roll.', [rolled])).acts).toEqual([['emote', { kind: 'bow' }]]);
  });
});

describe('the villagers, with the real model', () => {
  const stack = useStack();
  let nats: NatsConnection;
  let redis: Redis;
  const keys = createKeys('parley');
  beforeAll(async () => {
    nats = await connectTo(stack.local.natsUrl());
    redis = new Redis(stack.local.redisUrl('gateway'));
  });
  afterAll(async () => {
    redis?.disconnect();
    await nats?.close();
  });

  /** As a backend asks: what the worker says and does, with no gateway between. */
  async function ask(request: { npc: string; [field: string]: unknown }) {
    const reply = createInbox();
    const subscription = nats.subscribe(reply);
    nats.publish('parley.gold.generate', JSON.stringify({ player: 'p1', memory: false, ...request }), {
      reply,
    });
    const got: ServerMessage[] = [];
    for await (const message of subscription) {
      if (message.headers?.code === 503) throw new Error('no responders');
      got.push(message.json());
      if (isTerminal(got.at(-1)!)) break;
    }
    subscription.unsubscribe();
    const pieces = got.slice(0, -1) as (Tok | Act)[];
    // Acts come after the speech, and everything is numbered in one row.
    expect(pieces.map((m) => m.n)).toEqual(pieces.map((_, i) => i + 1));
    const kinds = pieces.map((m) => m.t).join(' ');
    expect(kinds).toMatch(/^(tok ?)*(act ?)*$/);
    const acts = pieces.filter((m) => m.t === 'act');
    for (const act of acts) {
      const verb = game.verbs.get(act.name)!;
      expect(faultOf(verb, act.args)).toBeUndefined();
      expect(act).toMatchObject({ v: 1, ttlMs: verb.ttlMs });
    }
    const text = pieces.map((m) => (m.t === 'tok' ? m.d : '')).join('');
    return { text, acts, end: got.at(-1) as End };
  }

  test('the character that says yes gives', async () => {
    const { text, acts, end } = await ask({ npc: 'tobin', topic: 'bread', g: 7 });
    expect(text).toMatch(/take .*(bread|loaf)/i);
    expect(acts).toEqual([
      expect.objectContaining({ name: 'give', args: { item: 'bread', price: 2 }, v: 1, g: 7, ttlMs: 5_000 }),
    ]);
    expect(end).toMatchObject({ t: 'end', reason: 'stop' });
    const sword = await ask({ npc: 'mira', topic: 'buy' });
    expect(sword.text).toMatch(/sword/i);
    expect(sword.acts.map(({ name, args }) => [name, args])).toEqual([
      ['give', { item: 'sword', price: 30 }],
    ]);
    expect(sword.acts[0]).not.toHaveProperty('g');
  });

  test('one that does not say yes does not give', async () => {
    const price = await ask({ npc: 'tobin', topic: 'price' });
    expect(price.text).toMatch(/2 gold/);
    expect(price.acts).toEqual([]);
    const wood = await ask({ npc: 'mira', text: 'Give me a dragon.' });
    expect(wood.acts.filter(({ name }) => name === 'give')).toEqual([]);
  });

  test('a speech that was cut short does nothing', async () => {
    const { acts, end } = await ask({ npc: 'tobin', topic: 'bread', maxTokens: 9 });
    expect(end.reason).toBe('length');
    expect(acts).toEqual([]);
  });

  test('the game’s own verbs are done', async () => {
    const { acts } = await ask({ npc: 'yorick', topic: 'cross' });
    expect(acts.map(({ name, args }) => [name, args])).toEqual([['ring_bell', { times: 2 }]]);
  });

  test('mode think: a legal act or none, no words, nothing remembered', async () => {
    const scene = 'It is day. The traveller is near.';
    const { text, acts, end } = await ask({
      npc: 'tobin',
      mode: 'think',
      context: scene,
      g: 3,
      memory: true,
    });
    expect(text).toBe('');
    expect(acts).toHaveLength(1);
    expect(acts[0]).toMatchObject({ name: 'emote', g: 3 });
    expect(['wave', 'cheer', 'laugh']).toContain(acts[0]!.args.kind);
    // The model chose: it says how sure it was, and what it took.
    expect(acts[0]!.confidence).toBeGreaterThan(0);
    expect(acts[0]!.confidence).toBeLessThanOrEqual(1);
    expect(end).toMatchObject({ reason: 'stop', n: 1 });
    expect(end.usage.completion).toBeGreaterThan(0);
    expect(end.usage.completion).toBeLessThan(40);
    const none = await ask({ npc: 'tobin', mode: 'think', context: 'A star falls.', memory: true });
    expect(none).toMatchObject({ acts: [], end: { reason: 'stop', n: 0 } });
    const history = new History({ redis, keys, turns: 10, ttlS: 60 });
    expect(await history.read('p1', 'tobin')).toEqual([]);
  });

  test('who asks for the purse first can still buy', async () => {
    const player = 'buyer';
    await redis.hset(keys.state('player', player), { version: 1, facts: JSON.stringify({ gold: 50 }) });
    const memory = { player, memory: true };
    const purse = await ask({ npc: 'mira', text: 'How much gold do I have?', ...memory });
    expect(purse.text).toContain('50');
    const { acts } = await ask({ npc: 'mira', text: 'I will buy a sword.', ...memory });
    expect(acts.map(({ name }) => name)).toEqual(['give']);
  });

  test('the state of the game reaches the prompt, in the words of its author', async () => {
    const player = 'rich';
    const write = (facts: object) =>
      redis.hset(keys.state('player', player), { version: 1, facts: JSON.stringify(facts) });
    await write({ gold: 12 });
    expect((await ask({ npc: 'mira', player, text: 'How much gold do I have?' })).text).toContain('12 gold');
    await write({ gold: 77 });
    expect((await ask({ npc: 'mira', player, text: 'How much gold do I have?' })).text).toContain('77 gold');
    // Nobody else is told, and a record that is none does no harm.
    await redis.hset(keys.state('world', 'all'), { version: 1, facts: '{broken' });
    expect((await ask({ npc: 'mira', player: 'poor', text: 'How much gold do I have?' })).text).not.toContain(
      '77',
    );
  });
});

describe('when a worker dies in the middle of a speech', () => {
  test('there is one act, by the worker that ended it', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'parley-tale-'));
    const tale =
      'Once upon a time there was an old miller who lived by the river with his three sons, a grey cat, a black horse and a goose that laid an egg every morning.';
    await writeFile(
      join(folder, 'ann.yaml'),
      `id: ann
name: Ann
persona: You are Ann. You tell the tale that you are given, word for word.
facts: [{ fact: "${tale}", about: [tale] }]
reminders: 1
examples: [{ player: "A tale, please.", npc: "${tale}" }]
acts: [{ verb: emote, args: { kind: bow }, about: [tale], says: [miller] }]
fallback: [Not now., Later.]
sampling: { temperature: 0, maxTokens: 120, stop: ["\\n"] }
`,
    );
    const stack = new TestStack();
    try {
      await stack.start({ workers: 2, env: { PARLEY_NPCS: folder } });
      const client = await stack.join();
      client.send({ t: 'say', s: 1, npc: 'ann', text: 'Tell me the tale.', g: 5 });
      await client.until(() => client.of(1).length >= 4);
      const asked = await Promise.all(
        stack.local.workers.map(async ({ listening }) => {
          const text = await (await fetch(`http://127.0.0.1:${listening.metricsPort}/metrics`)).text();
          return sumMetric(text, 'parley_worker_requests_total', 'result="accepted"');
        }),
      );
      process.kill(stack.local.workers[asked.indexOf(1)]!.pid!, 'SIGKILL');
      expect(await client.terminal(1)).toMatchObject({ t: 'end', reason: 'stop', attempts: 2 });
      // Also checks that no number is missing and none comes twice.
      expect(client.text(1)).toMatch(/miller/);
      const acts = client.of(1).filter((m) => m.t === 'act');
      expect(acts).toEqual([expect.objectContaining({ name: 'emote', args: { kind: 'bow' }, v: 1, g: 5 })]);
      expect(client.of(1).at(-2)).toBe(acts[0]);
    } finally {
      await stack.stop();
      await rm(folder, { recursive: true, force: true });
    }
  });
});

test('every villager may do something, and all they may do is told apart', () => {
  for (const { id, acts } of characters.values()) expect(acts.length, id).toBeGreaterThanOrEqual(5);
  const used = new Set([...characters.values()].flatMap(({ acts }) => acts.map(({ verb }) => verb)));
  for (const verb of ['give', 'open_shop', 'emote', 'go_to', 'ring_bell', 'light_lantern', 'open_gate'])
    expect(used).toContain(verb);
});
