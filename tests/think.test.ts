// Mode think, as the edge takes it: nobody has spoken, the character only decides. Beside what is said, never instead of
// it; with limits of its own; without words, and without a line by the author. The worker is driven by hand.

import { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createKeys } from '../bus/subjects.ts';
import { type HandAnswer, HandWorker } from './helpers/hand-worker.ts';
import { TestStack, useStack } from './helpers/stack.ts';

const stack = useStack({
  gateways: 2,
  workers: 0,
  env: {
    PARLEY_BEAT_MS: '100',
    PARLEY_MAX_STREAMS: '2',
    PARLEY_THINKS_PER_SECOND: '0.01',
    PARLEY_THINK_BURST: '5',
  },
});
const wave = { name: 'emote', args: { kind: 'wave' } };
const think = { t: 'say', npc: 'mira', mode: 'think', context: 'A stranger walks up to the forge.' };
let worker: HandWorker;

beforeAll(async () => {
  worker = await HandWorker.start(stack.local);
});
afterAll(() => worker?.[Symbol.asyncDispose]());
beforeEach(() => {
  worker.answers.length = 0;
  worker.onRequest = () => {};
});

/** The worker's answer to stream `s`, once it was asked. */
async function answerTo(client: Awaited<ReturnType<typeof stack.join>>, s: number): Promise<HandAnswer> {
  const find = () =>
    worker.answers.findLast(({ request }) => request.session === client.welcome.session && request.s === s);
  await client.until(() => find() !== undefined, `the request of stream ${s}`);
  return find()!;
}

describe('a character that thinks', () => {
  test.each(['json', 'msgpack'] as const)('answers with acts alone, in %s', async (encoding) => {
    const client = await stack.join({ encoding });
    worker.onRequest = (a) => a.act({ ...wave, g: 9 }).end();
    client.send({ ...think, s: 1, g: 9 });
    expect(await client.terminal(1)).toMatchObject({ t: 'end', n: 1, reason: 'stop', source: 'live' });
    expect(client.of(1)[0]).toEqual({ t: 'act', s: 1, n: 1, v: 1, ...wave, ttlMs: 5_000, g: 9 });
    const { request } = worker.answers[0]!;
    expect(request).toMatchObject({ mode: 'think', context: think.context, g: 9, npc: 'mira' });
    expect(request).not.toHaveProperty('text');
    expect(request).not.toHaveProperty('topic');
  });

  test('may decide to do nothing', async () => {
    const client = await stack.join();
    worker.onRequest = (a) => a.end();
    client.send({ ...think, s: 1 });
    expect(await client.terminal(1)).toMatchObject({ t: 'end', n: 0, source: 'live' });
    expect(client.of(1)).toHaveLength(1);
  });

  test('goes on elsewhere with its player', async () => {
    const player = stack.newPlayer();
    const client = await stack.join({ player });
    client.send({ ...think, s: 1, g: 4 });
    const answer = await answerTo(client, 1);
    answer.act(wave);
    await client.next('act', 1);
    client.cut();
    const { session, key } = client.welcome;
    const resume = { session, key, streams: [{ s: 1, n: 1 }] };
    const back = await stack.join({ player, gateway: 1, encoding: 'msgpack', resume });
    expect(back.welcome.streams).toEqual([{ s: 1, state: 'resumed' }]);
    answer.act(wave).end();
    expect(await back.terminal(1)).toMatchObject({ t: 'end', n: 2 });
    expect(back.of(1)).toHaveLength(2);
  });

  test('is asked elsewhere when its worker dies', async () => {
    const client = await stack.join();
    const other = await HandWorker.start(stack.local, 'other');
    client.send({ ...think, s: 1, g: 4 });
    await client.until(() => worker.answers.length + other.answers.length === 1, 'a worker');
    const [dies, heir] = worker.answers.length === 1 ? [worker, other] : [other, worker];
    worker = heir;
    await dies[Symbol.asyncDispose]();
    const answer = await answerTo(client, 1);
    expect(answer.request).toMatchObject({ mode: 'think', g: 4, attempt: 2 });
    answer.act(wave).end();
    expect(await client.terminal(1)).toMatchObject({ t: 'end', n: 1, attempts: 2 });
  });
});

describe('thinking and speaking', () => {
  test('a newer think cancels an older one with the same character, and neither disturbs what is said', async () => {
    const client = await stack.join();
    client.send({ t: 'say', s: 1, npc: 'mira', text: 'Hello.' });
    client.send({ ...think, s: 2 });
    client.send({ ...think, s: 3, npc: 'rosa' });
    client.send({ ...think, s: 4 });
    expect(await client.terminal(2)).toMatchObject({ t: 'end', reason: 'cancelled', n: 0 });
    client.send({ t: 'say', s: 5, npc: 'mira', text: 'Wait.' });
    expect(await client.terminal(1)).toMatchObject({ t: 'end', reason: 'cancelled' });
    for (const s of [3, 4, 5]) (await answerTo(client, s)).end();
    for (const s of [3, 4])
      expect(await client.terminal(s)).toMatchObject({ t: 'end', reason: 'stop', n: 0 });
    // Whoever is spoken to has an answer, of the author if of nobody else.
    expect(await client.terminal(5)).toMatchObject({ t: 'end', source: 'authored' });
  });

  test('are counted apart: running streams and rates', async () => {
    const client = await stack.join();
    for (const [s, npc] of ['mira', 'rosa', 'bram'].entries()) client.send({ ...think, s: s + 1, npc });
    expect(await client.terminal(3)).toMatchObject({ t: 'err', code: 'too_many_streams' });
    client.send({ t: 'say', s: 4, npc: 'mira', text: 'Hello.' });
    (await answerTo(client, 4)).say('Hello.').end();
    expect(await client.terminal(4)).toMatchObject({ t: 'end', source: 'live' });
    for (let s = 5; s <= 6; s++) client.send({ ...think, s });
    client.send({ ...think, s: 7 });
    const err = await client.terminal(7);
    expect(err).toMatchObject({ t: 'err', code: 'rate_limited' });
    expect((err as { retryMs?: number }).retryMs).toBeGreaterThan(0);
    client.send({ t: 'say', s: 8, npc: 'mira', text: 'Hello.' });
    (await answerTo(client, 8)).say('Hello.').end();
    expect(await client.terminal(8)).toMatchObject({ t: 'end', source: 'live' });
  });

  test('a change of the gateway wins no fresh thinks', async () => {
    const player = stack.newPlayer();
    const client = await stack.join({ player });
    worker.onRequest = (a) => a.end();
    for (let s = 1; s <= 5; s++) client.send({ ...think, s });
    await client.terminal(5);
    const { session, key } = client.welcome;
    client.cut();
    const back = await stack.join({ player, gateway: 1, resume: { session, key, streams: [] } });
    expect(back.welcome.resumed).toBe(true);
    back.send({ ...think, s: 6 });
    expect(await back.terminal(6)).toMatchObject({ t: 'err', code: 'rate_limited' });
  });
});

describe('what cannot be thought', () => {
  test.each([
    ['no situation', { context: undefined }, 'bad_message', 'context'],
    ['a blank one', { context: ' ' }, 'bad_message', 'context'],
    ['too long a one', { context: 'x'.repeat(501) }, 'text_too_long', 'too long'],
    ['words', { text: 'Hello.' }, 'bad_message', 'mode'],
    ['an unknown character', { npc: 'nobody' }, 'unknown_npc', 'character'],
    ['a generation that is none', { g: -1 }, 'bad_message', 'g'],
  ])('%s is refused with the reason', async (_what, change, code, message) => {
    const client = await stack.join();
    client.send({ ...think, s: 1, ...change });
    expect(await client.terminal(1)).toMatchObject({
      t: 'err',
      code,
      message: expect.stringContaining(message),
    });
    expect(worker.answers).toHaveLength(0);
  });

  test('nothing of it is remembered, however it ends', async () => {
    const player = stack.newPlayer();
    const client = await stack.join({ player });
    const ends: ((a: HandAnswer) => void)[] = [
      (a) => a.act(wave).end(),
      (a) => a.end(),
      (a) => void a.act(wave),
    ];
    for (const [i, give] of ends.entries()) {
      worker.onRequest = give;
      client.send({ ...think, s: i + 1 });
      if (i === 2) {
        await client.next('act', 3);
        client.send({ t: 'cancel', s: 3 });
      }
      await client.terminal(i + 1);
    }
    const redis = new Redis(stack.local.redisUrl('operator'));
    expect(await redis.exists(createKeys('parley').historyIndex(player))).toBe(0);
    redis.disconnect();
  });

  test('without a worker it is an error that may be tried again, and no line by the author', async () => {
    const client = await stack.join();
    await worker[Symbol.asyncDispose]();
    client.send({ ...think, s: 1 });
    expect(await client.terminal(1)).toMatchObject({ t: 'err', code: 'overloaded' });
    expect(client.of(1)).toHaveLength(1);
    client.send({ t: 'say', s: 2, npc: 'mira', text: 'Hello.' });
    expect(await client.terminal(2)).toMatchObject({ t: 'end', source: 'authored' });
  });
});

test('where the whole game has a limit, players are heard before characters think', async () => {
  const limited = new TestStack();
  await limited.start({ workers: 0, env: { PARLEY_GAME_SAYS_PER_SECOND: '4' } });
  try {
    const client = await limited.join();
    for (let s = 1; s <= 6; s++) client.send({ ...think, s });
    client.send({ t: 'say', s: 7, npc: 'mira', text: 'Hello.' });
    expect(await client.terminal(7)).toMatchObject({ t: 'end', source: 'authored' });
    for (let s = 1; s <= 6; s++) await client.terminal(s);
    const told = client.received.filter((m) => m.t === 'err' && m.retryMs !== undefined);
    expect(told.length).toBeGreaterThanOrEqual(2);
    for (const err of told) expect(err).toMatchObject({ code: 'overloaded' });
  } finally {
    await limited.stop();
  }
});
