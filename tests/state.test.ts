// Facts that a backend tells of its world: merged, kept, numbered by their changes, and refused where they are none.

import type { NatsConnection } from '@nats-io/transport-node';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { decode, encode } from '../bus/codec.ts';
import { readState, type StateScope } from '../bus/state.ts';
import { createKeys, createSubjects } from '../bus/subjects.ts';
import { connectTo } from '../scripts/stack/connect.ts';
import { eventually } from './helpers/processes.ts';
import { useStack } from './helpers/stack.ts';

const stack = useStack({ gateways: 2, workers: 0, env: { PARLEY_STATE_TTL_S: '1000' } });
const subjects = createSubjects('parley');
const keys = createKeys('parley');
let nats: NatsConnection;
/** As a worker reads it. */
let redis: Redis;

beforeAll(async () => {
  nats = await connectTo(stack.local.natsUrl());
  redis = new Redis(stack.local.redisUrl('worker'));
});
afterAll(async () => {
  redis?.disconnect();
  await nats?.close();
});

async function tell(scope: StateScope, id: string, facts: object): Promise<Record<string, unknown>> {
  const reply = await nats.request(subjects.state(scope, id), JSON.stringify(facts), { timeout: 10_000 });
  return reply.json();
}

const known = (player: string, npc = 'nobody') => readState(redis, keys, { player, npc });

describe('facts', () => {
  test('are merged, and the version goes up by a real change alone', async () => {
    const player = stack.newPlayer();
    expect(await tell('player', player, { gold: 30, quest: 'find Tam', guest: true })).toEqual({
      version: 1,
    });
    expect(await tell('player', player, { gold: 30, guest: true })).toEqual({ version: 1 });
    expect(await tell('player', player, {})).toEqual({ version: 1 });
    expect(await tell('player', player, { gold: 12.5, mood: '' })).toEqual({ version: 2 });
    expect(await tell('player', player, { quest: null })).toEqual({ version: 3 });
    expect(await tell('player', player, { quest: null })).toEqual({ version: 3 });
    expect(await known(player)).toEqual({ gold: 12.5, guest: true, mood: '' });
    expect(await redis.hget(keys.state('player', player), 'version')).toBe('3');
  });

  test('are read back as they were told', async () => {
    const player = 'auth0|Zoë.*>';
    const facts = {
      large: 2 ** 53 - 1,
      small: 5e-324,
      exact: 0.1 + 0.2,
      below: -7,
      words: 'He said "no" \\ and\nleft 🗡\u0000',
      no: false,
      constructor: 'is a name like any other',
    };
    await tell('player', player, facts);
    expect(await known(player)).toEqual(facts);
  });

  test('of player, character and world are apart', async () => {
    const player = stack.newPlayer();
    await tell('world', 'all', { weather: 'rain' });
    await tell('npc', player, { open: true });
    expect(await tell('player', player, { gold: 1 })).toEqual({ version: 1 });
    expect(await known(player, player)).toEqual({ weather: 'rain', open: true, gold: 1 });
    await tell('world', 'all', { weather: null });
    expect(await known(player)).toEqual({ gold: 1 });
  });

  test('that are told at once are all there, each change counted once', async () => {
    const player = stack.newPlayer();
    const versions = await Promise.all(
      Array.from({ length: 40 }, (_, i) => tell('player', player, { [`fact${i}`]: i })),
    );
    expect(versions.map(({ version }) => version).sort((a, b) => Number(a) - Number(b))).toEqual(
      Array.from({ length: 40 }, (_, i) => i + 1),
    );
    expect(Object.keys(await known(player))).toHaveLength(40);
  });

  test('need no answer, may come in MessagePack, and are kept for their time', async () => {
    const player = stack.newPlayer();
    nats.publish(subjects.state('player', player), encode({ gold: 3 }, 'msgpack'));
    await eventually('the fact', async () => (await known(player)).gold === 3);
    const ttl = await redis.ttl(keys.state('player', player));
    expect(ttl).toBeGreaterThan(900);
    expect(ttl).toBeLessThanOrEqual(1000);
    const reply = await nats.request(subjects.state('player', player), encode({ gold: 4 }, 'msgpack'));
    expect(decode(reply.data, 'msgpack')).toEqual({ version: 2 });
  });
});

describe('what is no fact is refused with a reason, and nothing changes', () => {
  const many = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, i) => [`f${i}`, i]));

  test.each([
    ['a name with capitals', { Gold: 1 }],
    ['a name that is too long', { [`a${'b'.repeat(40)}`]: 1 }],
    ['an empty name', { '': 1 }],
    ['a name with a dot', { 'a.b': 1 }],
    ['a text that is too long', { quest: 'x'.repeat(201) }],
    ['a list', { items: ['sword'] }],
    ['a map', { at: { x: 1 } }],
    ['too many', many(65)],
  ])('%s', async (_what, facts) => {
    const player = stack.newPlayer();
    expect(await tell('player', player, { ...facts, gold: 1 })).toMatchObject({
      status: 'refused',
      code: 'bad_message',
      message: expect.any(String),
    });
    expect(await redis.exists(keys.state('player', player))).toBe(0);
  });

  test('too many together', async () => {
    const player = stack.newPlayer();
    expect(await tell('player', player, many(64))).toEqual({ version: 1 });
    expect(await tell('player', player, { one_more: 1 })).toMatchObject({ code: 'bad_message' });
    expect(await tell('player', player, { f0: null, one_more: 1 })).toEqual({ version: 2 });
  });

  test('a subject that names nothing, another world, and bytes that are no message', async () => {
    for (const subject of ['parley.state.planet.p1', 'parley.state.player.=zz', 'parley.state.world.other']) {
      expect((await nats.request(subject, '{"gold":1}')).json(), subject).toMatchObject({
        code: 'bad_message',
      });
    }
    for (const bytes of [Uint8Array.of(0x93, 1), '{broken', '']) {
      const reply = await nats.request(subjects.state('player', 'p1'), bytes);
      expect(decode(reply.data, reply.data[0] === 0x7b ? 'json' : 'msgpack')).toMatchObject({
        code: 'bad_message',
      });
    }
  });
});
