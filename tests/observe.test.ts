// What the player does, told by the game: it comes to whoever listens on the bus, as it was told, and nobody is answered.

import type { NatsConnection } from '@nats-io/transport-node';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createSubjects } from '../bus/subjects.ts';
import { connectTo } from '../scripts/stack/connect.ts';
import { useStack } from './helpers/stack.ts';

const stack = useStack({ workers: 0, env: { PARLEY_MESSAGES_PER_SECOND: '5', PARLEY_MESSAGE_BURST: '10' } });
const subjects = createSubjects('parley');
const heard: { subject: string; [field: string]: unknown }[] = [];
let backend: NatsConnection;

beforeAll(async () => {
  backend = await connectTo(stack.local.natsUrl());
  backend.subscribe(subjects.observations, {
    callback: (_, message) => void heard.push({ subject: message.subject, ...message.json<object>() }),
  });
  await backend.flush();
});
afterAll(() => backend?.close());

const of = (player: string) => heard.filter(({ subject }) => subject === subjects.observed(player));

function nested(levels: number): object {
  return levels === 0 ? {} : { in: nested(levels - 1) };
}

test.each(['json', 'msgpack'] as const)('comes to the bus as it was told, in %s', async (encoding) => {
  const player = `${stack.newPlayer()} of *.>`;
  const client = await stack.join({ player, encoding });
  const before = Date.now();
  client.send({
    t: 'observe',
    kind: 'came near',
    npc: 'mira',
    at: { x: 3.5, y: -4 },
    tags: ['a', null, true],
  });
  client.send({ t: 'ping' });
  await client.next('pong');
  expect(client.received.map((m) => m.t)).toEqual(['welcome', 'pong']);
  await client.until(() => of(player).length === 1);
  const [{ subject: _, at, ...told }] = of(player) as [(typeof heard)[0]];
  expect(told).toEqual({
    v: 1,
    player,
    session: client.welcome.session,
    kind: 'came near',
    data: { npc: 'mira', at: { x: 3.5, y: -4 }, tags: ['a', null, true] },
  });
  expect(at).toBeGreaterThanOrEqual(before);
});

test('cannot pose as somebody else, nor change what the edge says of it', async () => {
  const player = stack.newPlayer();
  const client = await stack.join({ player });
  client.send({ t: 'observe', kind: 'moved', player: 'victim', session: 'x', v: 7, data: 1 });
  await client.until(() => of(player).length === 1);
  expect(of(player)[0]).toMatchObject({ v: 1, player, session: client.welcome.session });
  expect(of(player)[0]!.data).toEqual({ player: 'victim', session: 'x', v: 7, data: 1 });
});

test('what cannot be read again is refused; as deep as a message may be it is not', async () => {
  const player = stack.newPlayer();
  const client = await stack.join({ player });
  client.send({ t: 'observe', kind: 'deep', in: nested(30) });
  expect(await client.next('err')).toMatchObject({ code: 'bad_message' });
  client.send({ t: 'observe', kind: 'deep', in: nested(29) });
  await client.until(() => of(player).length === 1);
  client.received.length = 0;
  client.send({ t: 'observe' });
  expect(await client.next('err')).toMatchObject({
    code: 'bad_message',
    message: expect.stringContaining('kind'),
  });
});

test('counts as any message does', async () => {
  const player = stack.newPlayer();
  const client = await stack.join({ player });
  for (let i = 0; i < 14; i++) client.send({ t: 'observe', kind: 'moved', i });
  expect(await client.next('err')).toMatchObject({ code: 'rate_limited' });
  await client.until(() => of(player).length >= 10);
  expect(of(player).length).toBeLessThan(14);
});
