// A client that does not read: it costs nobody else anything, gets what it missed merged, and past a bound is closed so
// that it can come back.

import type { NatsConnection } from '@nats-io/transport-node';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { End } from '../bus/protocol.ts';
import { createSubjects } from '../bus/subjects.ts';
import { connectTo } from '../scripts/stack/connect.ts';
import type { RawClient } from './helpers/raw-client.ts';
import { useStack } from './helpers/stack.ts';

const stack = useStack();
const subjects = createSubjects('parley');
let nats: NatsConnection;
beforeAll(async () => {
  nats = await connectTo(stack.local.natsUrl());
});
afterAll(() => nats?.close());

/** Stops reading from the network, and starts again. */
function tcp(client: RawClient): { pause(): void; resume(): void } {
  return (client.ws as unknown as { _socket: { pause(): void; resume(): void } })._socket;
}

const parcel = JSON.stringify({ parcel: 'x'.repeat(200_000) });
const push = (player: string) => nats.request(subjects.push(player), parcel, { timeout: 10_000 });

/** Fills the socket of a client that does not read, until the gateway stops sending to it. */
async function fill(player: string): Promise<number> {
  const before = await stack.metric('parley_gateway_pauses_total');
  for (let pushed = 1; ; pushed++) {
    await push(player);
    if ((await stack.metric('parley_gateway_pauses_total')) > before) return pushed;
  }
}

test('gets the answer merged when it reads again, and nobody else notices', async () => {
  const player = stack.newPlayer();
  const [slow, quick] = [await stack.join({ player }), await stack.join()];
  tcp(slow).pause();
  const pushed = await fill(player);
  slow.send({ t: 'say', s: 1, npc: 'mira', text: 'What happened to your brother?', maxTokens: 40 });
  slow.send({ t: 'ping', c: 9 });
  quick.send({ t: 'say', s: 1, npc: 'bram', text: 'Good evening.', maxTokens: 40 });
  const end = (await quick.terminal(1)) as End;
  expect(quick.of(1).filter((m) => m.t === 'tok').length).toBe(end.n);
  while ((await stack.metric('parley_gateway_stream_ends_total', 'outcome="live"')) < 2) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  expect(slow.of(1)).toEqual([]);
  tcp(slow).resume();
  const late = (await slow.terminal(1)) as End;
  expect(late).toMatchObject({ t: 'end', source: 'live' });
  expect(slow.text(1)).not.toBe('');
  // One `tok` with all the words, the act that goes with them, then the end.
  expect(slow.of(1).map((m) => m.t)).toEqual(['tok', 'act', 'end']);
  expect(slow.of(1)[0]).toMatchObject({ f: 1, n: late.n - 1 });
  await slow.next('pong');
  expect(slow.received.filter((m) => m.t === 'push')).toHaveLength(pushed);
});

test('past the bound it is closed with 4504, and resumes with nothing lost', async () => {
  const player = stack.newPlayer();
  const slow = await stack.join({ player });
  slow.send({ t: 'say', s: 1, npc: 'mira', text: 'Tell me of your brother.', maxTokens: 40 });
  await slow.next('tok', 1);
  tcp(slow).pause();
  await fill(player);
  while ((await stack.metric('parley_gateway_closes_total', 'code="4504"')) === 0) await push(player);
  tcp(slow).resume();
  expect(await slow.code()).toBe(4504);
  const n = slow.of(1).reduce((last, m) => (m.t === 'tok' ? m.n : last), 0);
  const { session, key } = slow.welcome;
  const back = await stack.join({ player, resume: { session, key, streams: [{ s: 1, n }] } });
  expect(back.welcome.resumed).toBe(true);
  const end = (await back.terminal(1)) as End;
  expect(end.source).toBe('live');
  back.text(1, n);
});
