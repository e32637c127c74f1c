// A player in a tunnel: the socket is lost and the player comes back, here or at another gateway, and reads one whole
// answer, once.

import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { History, type HistoryTurn } from '../bus/history.ts';
import type { End } from '../bus/protocol.ts';
import { createKeys } from '../bus/subjects.ts';
import { eventually } from './helpers/processes.ts';
import { isTerminal, type RawClient } from './helpers/raw-client.ts';
import { useStack } from './helpers/stack.ts';

const stack = useStack({ gateways: 2, env: { PARLEY_RESUME_GRACE_MS: '3000' } });
const tale = { npc: 'mira', text: 'Tell me a long tale of the mine and of your brother.', maxTokens: 60 };
let redis: Redis;
let history: History;
beforeAll(() => {
  redis = new Redis(stack.local.redisUrl('worker'));
  history = new History({ redis, keys: createKeys('parley'), turns: 10, ttlS: 60 });
});
afterAll(() => redis?.disconnect());

type Joined = Awaited<ReturnType<typeof stack.join>>;

/** The number of the last piece that a client has of a stream. */
function last(client: RawClient, s: number): number {
  return client.of(s).reduce((n, m) => (m.t === 'tok' || m.t === 'act' ? m.n : n), 0);
}

function resumeOf(client: Joined, ...streams: { s: number; n: number }[]): object {
  return { session: client.welcome.session, key: client.welcome.key, streams };
}

/** What was committed of a conversation, once it is there. */
async function committed(player: string, turns: number): Promise<HistoryTurn[]> {
  let found: HistoryTurn[] = [];
  while (found.length < turns) found = await history.read(player, 'mira');
  return found;
}

describe.each([
  ['the same gateway', 0],
  ['another gateway', 1],
])('coming back to %s', (_where, gateway) => {
  test.each([
    ['json', 'json'],
    ['msgpack', 'json'],
  ] as const)(
    'in mid-sentence, with %s then %s: the text is whole and was committed as read',
    async (before, after) => {
      const player = stack.newPlayer();
      const first = await stack.join({ player, encoding: before });
      first.send({ t: 'say', s: 1, ...tale });
      await first.until(() => last(first, 1) >= 3);
      first.cut();
      const n = last(first, 1);
      const second = await stack.join({
        player,
        gateway,
        encoding: after,
        resume: resumeOf(first, { s: 1, n }),
      });
      expect(second.welcome).toMatchObject({ resumed: true, session: first.welcome.session });
      expect(['resumed', 'ended']).toContain(second.welcome.streams[0]!.state);
      const end = (await second.terminal(1)) as End;
      expect(end).toMatchObject({ t: 'end', attempts: 1, source: 'live' });
      expect(last(second, 1)).toBe(end.n);
      const read = first.text(1) + second.text(1, n);
      const [turn] = await committed(player, 1);
      expect(turn!.npc).toBe(read);
      expect(second.of(1).filter(isTerminal)).toHaveLength(1);
    },
  );

  test('after the end: what was missed comes merged, with the terminal frame', async () => {
    const player = stack.newPlayer();
    const first = await stack.join({ player });
    first.send({ t: 'say', s: 1, ...tale, maxTokens: 20 });
    await first.next('tok', 1);
    first.cut();
    const n = last(first, 1);
    const [turn] = await committed(player, 1);
    // Its end leaves once the turn is written.
    await eventually('the end', async () => (await stack.metric('parley_gateway_streams')) === 0);
    const second = await stack.join({ player, gateway, resume: resumeOf(first, { s: 1, n }) });
    expect(second.welcome.streams).toEqual([{ s: 1, state: 'ended' }]);
    await second.terminal(1);
    expect(first.text(1) + second.text(1, n)).toBe(turn!.npc);
    // Words, what went with them, and the end.
    expect(second.of(1).length).toBeLessThanOrEqual(3);
    // And again, as if the answer to that had been lost too.
    second.cut();
    const third = await stack.join({
      player,
      gateway: 1 - gateway,
      resume: resumeOf(second, { s: 1, n: 0 }),
    });
    await third.terminal(1);
    expect(third.text(1)).toBe(turn!.npc);
  });

  test('numbers go on: a new stream is taken, a known one is not begun again', async () => {
    const player = stack.newPlayer();
    const first = await stack.join({ player });
    first.send({ t: 'say', s: 7, npc: 'mira', text: 'Hello', maxTokens: 5 });
    await first.terminal(7);
    first.cut();
    const second = await stack.join({ player, gateway, resume: resumeOf(first) });
    second.send({ t: 'say', s: 7, npc: 'mira', text: 'Hello', maxTokens: 5 });
    second.send({ t: 'say', s: 8, npc: 'mira', text: 'And now?', maxTokens: 5 });
    expect(await second.terminal(8)).toMatchObject({ t: 'end', source: 'live' });
    expect(second.of(7)).toEqual([]);
  });

  test('an authored line is resumed too', async () => {
    const player = stack.newPlayer();
    const first = await stack.join({ player });
    first.send({ t: 'say', s: 1, npc: 'mira', text: 'Hello', budgetMs: 1 });
    await first.terminal(1);
    const line = first.text(1);
    await committed(player, 1);
    first.cut();
    const second = await stack.join({ player, gateway, resume: resumeOf(first, { s: 1, n: 0 }) });
    expect(second.welcome.streams).toEqual([{ s: 1, state: 'ended' }]);
    expect(await second.terminal(1)).toMatchObject({ source: 'authored' });
    expect(second.text(1)).toBe(line);
  });

  test('a stream that never arrived is unknown, one that is long gone is lost', async () => {
    const player = stack.newPlayer();
    const first = await stack.join({ player });
    first.send({ t: 'say', s: 3, npc: 'mira', text: 'Hello', maxTokens: 2 });
    await first.terminal(3);
    first.cut();
    const second = await stack.join({
      player,
      gateway,
      resume: resumeOf(first, { s: 2, n: 4 }, { s: 4, n: 0 }),
    });
    expect(second.welcome.streams).toEqual([
      { s: 2, state: 'lost' },
      { s: 4, state: 'unknown' },
    ]);
    second.send({ t: 'say', s: 4, npc: 'mira', text: 'Hello', maxTokens: 2 });
    expect(await second.terminal(4)).toMatchObject({ t: 'end' });
  });
});

describe("a session is the player's own", () => {
  test('another player, or a wrong key: a new session, and nothing of the old one', async () => {
    const player = stack.newPlayer();
    const first = await stack.join({ player });
    first.send({ t: 'say', s: 1, ...tale });
    await first.next('tok', 1);
    const stranger = await stack.join({ resume: resumeOf(first, { s: 1, n: 0 }) });
    expect(stranger.welcome.resumed).toBe(false);
    expect(stranger.welcome.streams).toEqual([{ s: 1, state: 'lost' }]);
    expect(stranger.of(1)).toEqual([]);
    expect(first.closed).toBeUndefined();

    const guess = { ...resumeOf(first, { s: 1, n: 0 }), key: 'A'.repeat(22) };
    const other = await stack.join({ player, resume: guess });
    expect(other.welcome.resumed).toBe(false);
    expect(other.of(1)).toEqual([]);
  });

  test('a welcome that never arrived costs nothing: the same key resumes again', async () => {
    const player = stack.newPlayer();
    const first = await stack.join({ player });
    first.send({ t: 'say', s: 1, ...tale });
    await first.next('tok', 1);
    first.cut();
    const resume = resumeOf(first, { s: 1, n: last(first, 1) });
    const unheard = await stack.join({ player, gateway: 1, resume });
    unheard.cut();
    const second = await stack.join({ player, gateway: 0, resume });
    expect(second.welcome).toMatchObject({ resumed: true, key: first.welcome.key });
    await second.terminal(1);
    second.text(1, last(first, 1));
  });

  test('Redis holds no resume key, only a hash', async () => {
    const client = await stack.join();
    const operator = new Redis(stack.local.redisUrl());
    const record = await operator.hgetall(`parley:session:${client.welcome.session}`);
    operator.disconnect();
    expect(record.player).toBe(client.welcome && `player-${/\d+/.exec(record.player!)![0]}`);
    expect(JSON.stringify(record)).not.toContain(client.welcome.key);
  });
});

test('the newest connection wins across the cluster, and the older one is told not to come back', async () => {
  const player = stack.newPlayer();
  const older = await stack.join({ player, gateway: 0 });
  older.send({ t: 'say', s: 1, ...tale, maxTokens: 250 });
  await older.next('tok', 1);
  const newer = await stack.join({ player, gateway: 1 });
  expect(await older.code()).toBe(4409);
  expect(newer.welcome.resumed).toBe(false);
  newer.send({ t: 'say', s: 1, npc: 'mira', text: 'Hello', maxTokens: 3 });
  expect(await newer.terminal(1)).toMatchObject({ t: 'end' });
  const back = await stack.join({ player, gateway: 0 });
  expect(await newer.code()).toBe(4409);
  back.send({ t: 'ping' });
  await back.next('pong');
});

test('resuming while the old socket is still open moves the session and closes that socket', async () => {
  const player = stack.newPlayer();
  const older = await stack.join({ player, gateway: 0 });
  older.send({ t: 'say', s: 1, ...tale });
  await older.next('tok', 1);
  const n = last(older, 1);
  const newer = await stack.join({ player, gateway: 1, resume: resumeOf(older, { s: 1, n }) });
  expect(await older.code()).toBe(4409);
  const end = (await newer.terminal(1)) as End;
  expect(end.reason).not.toBe('cancelled');
  newer.text(1, n);
});

test('who does not come back within the grace time: the stream is cancelled and remembered as far as it went', async () => {
  const player = stack.newPlayer();
  const client = await stack.join({ player });
  client.send({ t: 'say', s: 1, ...tale, maxTokens: 250 });
  await client.next('tok', 1);
  const cut = Date.now();
  client.cut();
  const [turn] = await committed(player, 1);
  // Either the answer was over before the grace time was, or it was cut there.
  if (turn!.reason === 'cancelled') expect(turn!.at - cut).toBeGreaterThan(2_500);
  else expect(['stop', 'length']).toContain(turn!.reason);
});

test('a running stream that the player no longer names is cancelled', async () => {
  const player = stack.newPlayer();
  const first = await stack.join({ player });
  first.send({ t: 'say', s: 1, ...tale, maxTokens: 250 });
  await first.next('tok', 1);
  first.cut();
  await stack.join({ player, gateway: 1, resume: resumeOf(first) });
  const [turn] = await committed(player, 1);
  expect(turn!.reason).toBe('cancelled');
});
