// What was said is remembered once, bounded, for a time, and forgotten on request.

import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { History, type HistoryTurn } from '../bus/history.ts';
import type { End, Err } from '../bus/protocol.ts';
import { createKeys } from '../bus/subjects.ts';
import { useStack } from './helpers/stack.ts';

const stack = useStack();
const keys = createKeys('parley');
let redis: Redis;
beforeAll(() => {
  redis = new Redis(stack.local.redisUrl('worker'));
});
afterAll(() => redis?.disconnect());

const turn = (npc: string, reason: HistoryTurn['reason'] = 'stop'): HistoryTurn => ({
  player: 'words',
  npc,
  reason,
  at: 1,
});

const promptOf = (message: End | Err) => (message.t === 'end' ? message.usage.prompt : Number.NaN);

describe('commit', () => {
  test('counts once for a session and stream', async () => {
    const history = new History({ redis, keys, turns: 10, ttlS: 60 });
    const key = { player: 'h1', npc: 'mira', session: 'S', stream: 1 };
    expect(await history.commit(key, turn('first'))).toBe(true);
    expect(await history.commit(key, turn('again'))).toBe(false);
    expect(await history.commit({ ...key, stream: 2 }, turn('second'))).toBe(true);
    expect((await history.read('h1', 'mira')).map((t) => t.npc)).toEqual(['first', 'second']);
  });

  test('keeps the newest, for a time, and forgets on request', async () => {
    const history = new History({ redis, keys, turns: 3, ttlS: 60 });
    for (let s = 1; s <= 5; s++)
      await history.commit({ player: 'h2', npc: 'mira', session: 'S2', stream: s }, turn(`${s}`));
    expect((await history.read('h2', 'mira')).map((t) => t.npc)).toEqual(['3', '4', '5']);
    expect(await redis.ttl(keys.history('h2', 'mira'))).toBeGreaterThan(0);
    await history.commit({ player: 'h2', npc: 'bram', session: 'S2', stream: 6 }, turn('6'));
    expect(await history.forget('h2')).toBe(2);
    expect(await history.read('h2', 'mira')).toEqual([]);
    expect(await history.forget('h2')).toBe(0);
  });
});

describe('a conversation', () => {
  test('is what the player really read, with the reason why it ended', async () => {
    const history = new History({ redis, keys, turns: 10, ttlS: 60 });
    const player = stack.newPlayer();
    const client = await stack.join({ player });
    client.send({ t: 'say', s: 1, npc: 'mira', text: 'What would a sword cost me?' });
    await client.terminal(1);
    client.send({ t: 'say', s: 2, npc: 'mira', text: 'Tell me a long tale of the mine.', maxTokens: 200 });
    await client.next('tok', 2);
    client.send({ t: 'cancel', s: 2 });
    await client.terminal(2);
    let turns: HistoryTurn[] = [];
    while (turns.length < 2) turns = await history.read(player, 'mira');
    expect(turns[0]).toMatchObject({ player: 'What would a sword cost me?', npc: client.text(1) });
    expect(turns[1]).toMatchObject({ npc: client.text(2), reason: 'cancelled' });
  });

  test('is in the history before its end is heard', async () => {
    const history = new History({ redis, keys, turns: 10, ttlS: 60 });
    const player = stack.newPlayer();
    const client = await stack.join({ player });
    for (let s = 1; s <= 8; s++) {
      client.send({ t: 'say', s, npc: 'mira', text: `Tell me of ${s} swords.`, maxTokens: 2 });
      await client.terminal(s);
      expect(await history.read(player, 'mira')).toHaveLength(s);
    }
  });

  test('goes on about what was cut short', async () => {
    const words = 'No, I meant a shield.';
    const fresh = await stack.join();
    fresh.send({ t: 'say', s: 1, npc: 'mira', text: words, maxTokens: 4 });
    const alone = await fresh.terminal(1);
    const client = await stack.join();
    client.send({ t: 'say', s: 1, npc: 'mira', text: 'Tell me a long tale of the mine.', maxTokens: 200 });
    await client.next('tok', 1);
    client.send({ t: 'say', s: 2, npc: 'mira', text: words, maxTokens: 4 });
    expect(await client.terminal(1)).toMatchObject({ t: 'end', reason: 'cancelled' });
    const after = await client.terminal(2);
    // The character was told of both.
    expect(promptOf(after)).toBeGreaterThan(promptOf(alone) + 8);
  });

  test("a backend speaks with a player's memory", async () => {
    const history = new History({ redis, keys, turns: 10, ttlS: 60 });
    const player = stack.newPlayer();
    await history.commit({ player, npc: 'mira', session: 'B', stream: 1 }, turn('before'));
    const client = await stack.join({ player });
    client.send({ t: 'say', s: 1, npc: 'mira', text: 'And now?', maxTokens: 4 });
    await client.terminal(1);
    let turns: HistoryTurn[] = [];
    while (turns.length < 2) turns = await history.read(player, 'mira');
    expect(turns.map((t) => t.npc)).toEqual(['before', client.text(1)]);
  });
});
