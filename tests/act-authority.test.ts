// What a character does where the game's server has the say: the server is asked, and the player hears of an act once it
// agreed, and of nothing where it did not. Whoever comes back hears what was decided. The worker is driven by hand.

import type { Msg, NatsConnection } from '@nats-io/transport-node';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Act, Encoding, ServerMessage } from '../bus/protocol.ts';
import { createSubjects } from '../bus/subjects.ts';
import { connectTo } from '../scripts/stack/connect.ts';
import { type HandAnswer, HandWorker } from './helpers/hand-worker.ts';
import type { RawClient } from './helpers/raw-client.ts';
import { useStack } from './helpers/stack.ts';

const stack = useStack({
  gateways: 2,
  workers: 0,
  // Long, so that a test decides when the answer comes; a stream's own deadline shortens it.
  env: { PARLEY_ACT_MS: '10000', PARLEY_BEAT_MS: '100', PARLEY_MAX_KEPT_BYTES: '4096' },
});
const subjects = createSubjects('parley');
const give = { name: 'give', args: { item: 'sword', price: 30 } };
const wave = { name: 'emote', args: { kind: 'wave' } };
const refusedPiece = { t: 'tok', d: '' };

interface Question {
  player: string;
  session: string;
  s: number;
  n: number;
  [field: string]: unknown;
}

let worker: HandWorker;
let backend: NatsConnection;
/** What the game's server was asked, and how it answers: nothing until a test says so. */
const asked: { question: Question; message: Msg }[] = [];
let answer: (message: Msg) => void = () => {};

beforeAll(async () => {
  worker = await HandWorker.start(stack.local);
  backend = await connectTo(stack.local.natsUrl());
});
afterAll(async () => {
  await worker?.[Symbol.asyncDispose]();
  await backend?.close();
});
beforeEach(() => {
  asked.length = 0;
  answer = () => {};
  worker.onRequest = () => {};
});

/** The game's server as long as a test needs one. */
async function listening(): Promise<Disposable> {
  const subscription = backend.subscribe(subjects.acts, {
    queue: 'game',
    callback: (_, message) => {
      asked.push({ question: message.json(), message });
      answer(message);
    },
  });
  await backend.flush();
  return { [Symbol.dispose]: () => subscription.unsubscribe() };
}

const saying = (what: object) => (message: Msg) => void message.respond(JSON.stringify(what));

async function questions(client: RawClient, count: number): Promise<Question[]> {
  await client.until(() => asked.length >= count, `${count} questions`);
  return asked.map(({ question }) => question);
}

/** What a client hears of one answer that the worker gives. */
async function hear(
  client: RawClient,
  s: number,
  give: (answer: HandAnswer) => void,
  more: object = {},
): Promise<ServerMessage[]> {
  worker.onRequest = give;
  client.send({ t: 'say', s, npc: 'mira', text: 'A sword, please.', ...more });
  await client.terminal(s);
  return client.of(s);
}

const acts = (messages: ServerMessage[]) => messages.filter((m): m is Act => m.t === 'act');

describe('an act of the client', () => {
  test.each(['json', 'msgpack'] as const)('passes as the worker wrote it, in %s', async (encoding) => {
    const client = await stack.join({ encoding });
    const heard = await hear(
      client,
      1,
      (a) =>
        a
          .say('Be', ' greeted.')
          .act({ ...wave, ttlMs: 4_000, g: 7, confidence: 0.5 })
          .end(),
      { g: 7 },
    );
    expect(worker.answers.at(-1)!.request.g).toBe(7);
    expect(heard.slice(2)).toEqual([
      { t: 'act', s: 1, n: 3, v: 1, ...wave, ttlMs: 4_000, g: 7, confidence: 0.5 },
      expect.objectContaining({ t: 'end', n: 3, reason: 'stop' }),
    ]);
  });

  test.each([
    ['an unknown verb', { name: 'explode' }],
    ['a verb named as something that every object has', { name: 'toString' }],
    ['an argument that is missing', { name: 'emote' }],
    ['an argument that is none of its values', { name: 'emote', args: { kind: 'scream' } }],
    ['an argument that the verb has not', { name: 'emote', args: { kind: 'wave', gold: 5 } }],
    ['a form of a later release', { ...wave, v: 2 }],
    ['a confidence that is none', { ...wave, confidence: 7 }],
    ['arguments that are no map', { name: 'emote', args: [] as unknown as Record<string, unknown> }],
  ])('%s is not heard, and numbers go on', async (_what, act) => {
    const client = await stack.join();
    const heard = await hear(client, 1, (a) => a.say('Hm.').act(act).act(wave).end());
    expect(heard.slice(1)).toEqual([
      { s: 1, n: 2, ...refusedPiece },
      expect.objectContaining({ t: 'act', n: 3, ...wave }),
      expect.objectContaining({ t: 'end', n: 3 }),
    ]);
  });
});

describe('an act of the server', () => {
  test.each(['json', 'msgpack'] as const)('is heard once the server agreed, in %s', async (encoding) => {
    using _ = await listening();
    const player = stack.newPlayer();
    const client = await stack.join({ encoding, player });
    worker.onRequest = (a) =>
      a
        .say('Here', ' it is.')
        .act({ ...give, g: 3, confidence: 0.75 })
        .act(wave)
        .end();
    client.send({ t: 'say', s: 4, npc: 'mira', text: 'A sword, please.', g: 3 });
    expect(await questions(client, 1)).toEqual([
      {
        v: 1,
        player,
        session: client.welcome.session,
        s: 4,
        n: 3,
        npc: 'mira',
        ...give,
        ttlMs: 5_000,
        g: 3,
        confidence: 0.75,
      },
    ]);
    // Words are not kept waiting; what comes after the act is.
    client.send({ t: 'ping' });
    await client.next('pong');
    expect(client.text(4)).toBe('Here it is.');
    expect(client.of(4)).toHaveLength(2);
    saying({ ok: true })(asked[0]!.message);
    await client.terminal(4);
    expect(client.of(4).slice(2)).toEqual([
      { t: 'act', s: 4, n: 3, v: 1, ...give, ttlMs: 5_000, g: 3, confidence: 0.75 },
      expect.objectContaining({ t: 'act', n: 4, ...wave }),
      expect.objectContaining({ t: 'end', n: 4 }),
    ]);
  });

  test('is heard as the server corrected it', async () => {
    using _ = await listening();
    answer = saying({ ok: true, args: { item: 'sword', price: 25 } });
    const heard = await hear(await stack.join(), 1, (a) => a.say('Here.').act(give).end());
    expect(acts(heard)).toMatchObject([{ name: 'give', args: { item: 'sword', price: 25 } }]);
  });

  test.each([
    ['does not agree', saying({ ok: false })],
    ['corrects it to what the verb has not', saying({ ok: true, args: { item: 5 } })],
    ['answers with something else', saying({ yes: 'please' })],
    ['answers garbage', (m: Msg) => void m.respond(Uint8Array.of(0x93, 1))],
    ['answers nothing', (m: Msg) => void m.respond()],
  ])('is not heard where the server %s', async (_what, reply) => {
    using _ = await listening();
    answer = reply;
    const heard = await hear(await stack.join(), 1, (a) => a.say('Here.').act(give).end());
    expect(heard.slice(1)).toEqual([
      { s: 1, n: 2, ...refusedPiece },
      expect.objectContaining({ t: 'end', n: 2, reason: 'stop' }),
    ]);
  });

  test('is not heard without a server, nor after the time for an answer', async () => {
    const count = async (result: string) => stack.metric('parley_gateway_acts_total', `result="${result}"`);
    const before = [await count('no_responders'), await count('timeout')];
    const client = await stack.join();
    expect((await hear(client, 1, (a) => a.say('Here.').act(give).end()))[1]).toMatchObject(refusedPiece);
    using _ = await listening();
    const heard = await hear(client, 2, (a) => a.say('Here.').act(give).end(), { budgetMs: 400 });
    expect(asked).toHaveLength(1);
    expect(heard[1]).toMatchObject(refusedPiece);
    expect([await count('no_responders'), await count('timeout')]).toEqual(before.map((n) => n + 1));
  });

  test('a player who cancels meanwhile hears the act and the end', async () => {
    using _ = await listening();
    const client = await stack.join();
    worker.onRequest = (a) => a.say('Here.').act(give);
    client.send({ t: 'say', s: 1, npc: 'mira', text: 'A sword.' });
    await questions(client, 1);
    client.send({ t: 'cancel', s: 1 });
    await client.until(() => worker.answers.at(-1)!.cancelled, 'the cancel');
    saying({ ok: true })(asked[0]!.message);
    expect(await client.terminal(1)).toMatchObject({ t: 'end', n: 2, reason: 'cancelled' });
    expect(acts(client.of(1))).toHaveLength(1);
  });

  test('more than is held meanwhile comes again from the worker', async () => {
    using _ = await listening();
    const client = await stack.join();
    const words = Array.from({ length: 200 }, (_, i) => ` word ${i}`);
    worker.onRequest = (a) =>
      a
        .say('Here.')
        .act(give)
        .say(...words)
        .end();
    client.send({ t: 'say', s: 1, npc: 'mira', text: 'A sword.' });
    await questions(client, 1);
    saying({ ok: true })(asked[0]!.message);
    expect(await client.terminal(1)).toMatchObject({ t: 'end', n: 202 });
    expect(client.text(1)).toBe(`Here.${words.join('')}`);
    expect(acts(client.of(1))).toHaveLength(1);
    expect(asked).toHaveLength(1);
  });
});

describe('a player who comes back', () => {
  const resume = (client: Awaited<ReturnType<typeof stack.join>>, n: number) => ({
    session: client.welcome.session,
    key: client.welcome.key,
    streams: [{ s: 1, n }],
  });

  /** A player who was lost while the server was being asked. */
  async function lostWhileAsked(encoding: Encoding = 'json') {
    const player = stack.newPlayer();
    const client = await stack.join({ player, encoding });
    worker.onRequest = (a) => a.say('Here', ' it is.').act(give).act(wave).end();
    client.send({ t: 'say', s: 1, npc: 'mira', text: 'A sword.' });
    await client.until(() => client.of(1).length === 2);
    await questions(client, 1);
    client.cut();
    return { player, client };
  }

  test.each(['json', 'msgpack'] as const)(
    'to the same gateway hears what was decided meanwhile, in %s: nobody is asked twice',
    async (encoding) => {
      using _ = await listening();
      const { player, client } = await lostWhileAsked('json');
      const back = await stack.join({ player, encoding, resume: resume(client, 2) });
      // The worker has ended it; what it ended with waits.
      expect(['resumed', 'ended']).toContain(back.welcome.streams[0]!.state);
      expect(back.of(1)).toEqual([]);
      saying({ ok: true })(asked[0]!.message);
      await back.terminal(1);
      expect(back.of(1)).toMatchObject([
        { t: 'act', n: 3, ...give },
        { t: 'act', n: 4, ...wave },
        { t: 'end', n: 4 },
      ]);
      expect(asked).toHaveLength(1);
    },
  );

  test('after the end hears the decision and not the act, as often as it comes', async () => {
    using _ = await listening();
    const { player, client } = await lostWhileAsked();
    saying({ ok: false })(asked[0]!.message);
    for (const n of [2, 0]) {
      const back = await stack.join({ player, resume: resume(client, n) });
      expect(await back.terminal(1)).toMatchObject({ t: 'end', n: 4 });
      expect(acts(back.of(1))).toMatchObject([wave]);
      expect(back.text(1, n)).toBe(n === 0 ? 'Here it is.' : '');
      back.cut();
    }
    expect(asked).toHaveLength(1);
  });

  test.each([
    ['agreed', { ok: true }, ['give', 'emote']],
    ['refused', { ok: false }, ['emote']],
  ])(
    'to another gateway: it asks again about the same piece, and hears that it was %s',
    async (_, said, names) => {
      using _server = await listening();
      const { player, client } = await lostWhileAsked();
      answer = saying(said);
      const back = await stack.join({ player, gateway: 1, resume: resume(client, 2) });
      await back.terminal(1);
      expect(acts(back.of(1)).map(({ name }) => name)).toEqual(names);
      const [first, second] = await questions(back, 2);
      expect(second).toEqual(first);
      // And from further back, whatever the worker has kept of it.
      const again = await stack.join({ player, gateway: 0, resume: resume(client, 1) });
      await again.terminal(1);
      expect(acts(again.of(1)).map(({ name }) => name)).toEqual(names);
      expect(again.text(1, 1)).toBe(' it is.');
    },
  );
});

describe('what a worker remembers of an act', () => {
  test('is not what the player hears who lost more than it said', async () => {
    using _ = await listening();
    answer = saying({ ok: true, args: { item: 'sword', price: 25 } });
    const player = stack.newPlayer();
    const client = await stack.join({ player });
    worker.onRequest = (a) =>
      a
        .say('Here', ' it is.')
        .act(give)
        .act({ ...give, args: { item: 'shield' } });
    client.send({ t: 'say', s: 1, npc: 'mira', text: 'A sword.' });
    await client.until(() => acts(client.of(1)).length === 2);
    client.cut();
    const { session, key } = client.welcome;
    const again = (n: number) =>
      stack.join({ player, gateway: 1, resume: { session, key, streams: [{ s: 1, n }] } });
    // The other gateway has it all from the worker, with the acts as the worker wrote them.
    (await again(4)).cut();
    const back = await again(2);
    await back.until(() => acts(back.of(1)).length === 2);
    expect(acts(back.of(1)).map(({ n, args }) => [n, args])).toEqual([
      [3, { item: 'sword', price: 25 }],
      [4, { item: 'sword', price: 25 }],
    ]);
    worker.answers.at(-1)!.end();
    expect(await back.terminal(1)).toMatchObject({ t: 'end', n: 4 });
  });
});

describe('a worker that dies while the server is asked', () => {
  test('the next one knows what was decided, and the act is heard once', async () => {
    using _ = await listening();
    const client = await stack.join();
    await using other = await HandWorker.start(stack.local, 'other');
    for (const w of [worker, other]) w.onRequest = (a) => void a.say('Here', ' it is.').act(give);
    client.send({ t: 'say', s: 1, npc: 'mira', text: 'A sword.' });
    await questions(client, 1);
    const has = (w: HandWorker) => w.answers.find((a) => a.request.session === client.welcome.session);
    const [dies, next] = has(worker) ? [worker, other] : [other, worker];
    next.onRequest = () => {};
    await dies[Symbol.asyncDispose]();
    await client.until(() => stack.logs.some((line) => line.includes('a worker is gone')), 'the death');
    expect(has(next)).toBeUndefined();
    saying({ ok: true })(asked[0]!.message);
    await client.until(() => has(next) !== undefined, 'the next worker');
    const going = has(next)!;
    expect(going.request.said).toMatchObject([
      { last: 1, d: 'Here' },
      { last: 2, d: ' it is.' },
      { last: 3, act: give },
    ]);
    going.end();
    expect(await client.terminal(1)).toMatchObject({ t: 'end', n: 3, attempts: 2 });
    expect(acts(client.of(1))).toHaveLength(1);
    expect(client.text(1)).toBe('Here it is.');
  });
});
