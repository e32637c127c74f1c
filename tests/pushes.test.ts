// A backend reaches a player wherever the socket is, and hears what became of it.

import type { NatsConnection } from '@nats-io/transport-node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { decode } from '../bus/codec.ts';
import { createSubjects } from '../bus/subjects.ts';
import { connectTo } from '../scripts/stack/connect.ts';
import { isTerminal } from './helpers/raw-client.ts';
import { useStack } from './helpers/stack.ts';

const stack = useStack({ gateways: 2, env: { PARLEY_RESUME_GRACE_MS: '4000' } });
const subjects = createSubjects('parley');
let nats: NatsConnection;
beforeAll(async () => {
  nats = await connectTo(stack.local.natsUrl());
});
afterAll(() => nats?.close());

async function ask(subject: string, payload: object | string): Promise<Record<string, unknown>> {
  const body = typeof payload === 'string' ? payload : JSON.stringify(payload);
  return (await nats.request(subject, body, { timeout: 30_000 })).json();
}

describe('push', () => {
  test('reaches the socket at either gateway, in either encoding', async () => {
    for (const [gateway, encoding] of [
      [0, 'json'],
      [1, 'msgpack'],
      [0, 'msgpack'],
      [1, 'json'],
    ] as const) {
      const player = stack.newPlayer();
      const client = await stack.join({ player, gateway, encoding });
      expect(await ask(subjects.push(player), { quest: 'found', gold: 30 })).toEqual({ status: 'delivered' });
      expect(await client.next('push')).toEqual({ t: 'push', data: { quest: 'found', gold: 30 } });
    }
  });

  test('to a player with odd letters in the name', async () => {
    const player = 'auth0|Zoë.*>';
    const client = await stack.join({ player, gateway: 1 });
    expect(await ask(subjects.push(player), { hello: true })).toEqual({ status: 'delivered' });
    await client.next('push');
  });

  test('says offline while the player is away, unknown when there is none', async () => {
    const player = stack.newPlayer();
    const client = await stack.join({ player, gateway: 0 });
    client.cut();
    let status: unknown;
    while (status !== 'offline') ({ status } = await ask(subjects.push(player), { x: 1 }));
    expect(await ask(subjects.push('nobody'), { x: 1 })).toEqual({ status: 'unknown' });
    const left = stack.newPlayer();
    const leaver = await stack.join({ player: left });
    leaver.send({ t: 'bye' });
    await leaver.code();
    while (status !== 'unknown') ({ status } = await ask(subjects.push(left), { x: 1 }));
  });

  test('what is no message is refused with a reason', async () => {
    const garbage = await nats.request(subjects.push('p1'), Uint8Array.of(0x93, 1), { timeout: 5_000 });
    expect(decode(garbage.data, 'msgpack')).toMatchObject({ status: 'refused', code: 'bad_message' });
    expect(await ask(subjects.push('p1'), '{broken')).toMatchObject({
      status: 'refused',
      code: 'bad_message',
    });
  });
});

describe('a character speaks by itself', () => {
  test('one line, many players: each hears it as a stream of its own, and the sender hears who did', async () => {
    const [a, b] = [stack.newPlayer(), stack.newPlayer()];
    const [one, two] = [
      await stack.join({ player: a, gateway: 0 }),
      await stack.join({ player: b, gateway: 1, encoding: 'msgpack' }),
    ];
    const reply = await ask(subjects.npcSay('mira'), {
      players: [a, b, 'nobody'],
      line: 'The forge is lit.',
    });
    expect(reply).toMatchObject({ players: { [a]: 'delivered', [b]: 'delivered', nobody: 'unknown' } });
    for (const client of [one, two]) {
      expect(await client.terminal(-1)).toMatchObject({ t: 'end', s: -1, source: 'authored' });
      expect(client.text(-1)).toBe('The forge is lit.');
      expect(client.of(-1)[0]).toMatchObject({ npc: 'mira' });
    }
    await ask(subjects.npcSay('bram'), { players: [a], line: 'And the ale is cold.' });
    expect(await one.terminal(-2)).toMatchObject({ t: 'end' });
  });

  test('what it should speak about is put into its own words by the model, once for all', async () => {
    const [a, b] = [stack.newPlayer(), stack.newPlayer()];
    const clients = [
      await stack.join({ player: a, gateway: 0 }),
      await stack.join({ player: b, gateway: 1 }),
    ];
    const reply = await ask(subjects.npcSay('mira'), {
      players: [a, b],
      about: 'What would a sword cost me?',
    });
    expect(reply).toMatchObject({ source: 'live' });
    for (const client of clients) {
      await client.terminal(-1);
      expect(client.text(-1)).toBe(reply.text);
    }
  });

  test('who was in a tunnel hears it on coming back, once', async () => {
    const player = stack.newPlayer();
    const first = await stack.join({ player, gateway: 0 });
    await ask(subjects.npcSay('mira'), { players: [player], line: 'One.' });
    await first.terminal(-1);
    first.cut();
    let status: unknown;
    while (status !== 'offline') {
      ({
        players: { [player]: status },
      } = (await ask(subjects.npcSay('mira'), { players: [player], line: 'Two.' })) as {
        players: Record<string, unknown>;
      });
    }
    const { session, key } = first.welcome;
    const lowest = Math.min(...first.received.map((m) => ('s' in m ? (m.s ?? 0) : 0)));
    const n = 1;
    const second = await stack.join({
      player,
      gateway: 1,
      resume: { session, key, streams: [{ s: lowest, n }] },
    });
    await second.terminal(lowest - 1);
    expect(second.text(lowest - 1)).toBe('Two.');
    expect(second.of(-1).filter((m) => m.t === 'tok')).toEqual([]);
    expect(second.received.filter(isTerminal).length).toBeGreaterThan(0);
  });

  test('an unknown character and a bad request are refused', async () => {
    expect(await ask(subjects.npcSay('nobody'), { players: ['p'], line: 'x' })).toMatchObject({
      code: 'unknown_npc',
    });
    expect(await ask(subjects.npcSay('mira'), { players: [], line: 'x' })).toMatchObject({
      code: 'bad_message',
    });
    expect(await ask(subjects.npcSay('mira'), { players: ['p'] })).toMatchObject({ code: 'bad_message' });
  });
});
