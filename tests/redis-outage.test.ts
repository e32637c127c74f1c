// Redis goes and comes back: a live stream does not need it, what does need it says so, and everything heals.

import { expect, test } from 'vitest';
import type { End } from '../bus/protocol.ts';
import { useStack } from './helpers/stack.ts';

const stack = useStack({ gateways: 2 });
const tale = { npc: 'mira', text: 'Tell me a long tale of the mine and of your brother.', maxTokens: 60 };
const degraded = async (gateway = 0) =>
  (await (await fetch(`${stack.local.http(gateway)}/readyz`)).json()) as {
    ready: boolean;
    degraded: string[];
  };
const until = async (ready: () => Promise<boolean>) => {
  while (!(await ready())) await new Promise((resolve) => setTimeout(resolve, 50));
};

test('without Redis players talk on and come in; with it again, sessions move between gateways as before', async () => {
  const player = stack.newPlayer();
  const client = await stack.join({ player });
  client.send({ t: 'say', s: 1, ...tale });
  await client.next('tok', 1);
  await stack.local.redis.stop();
  await until(async () => (await degraded()).degraded.includes('redis'));
  expect((await degraded()).ready).toBe(true);
  expect(await stack.metric('parley_redis_connected')).toBe(0);
  expect(await client.terminal(1)).toMatchObject({ t: 'end', source: 'live' });
  expect(client.text(1)).not.toBe('');

  // New players come in, and speak without a memory.
  const newcomer = await stack.join();
  newcomer.send({ t: 'say', s: 1, npc: 'mira', text: 'Hello', maxTokens: 5 });
  expect(await newcomer.terminal(1)).toMatchObject({ t: 'end', source: 'live' });

  // A lost socket is resumed at the same gateway.
  client.send({ t: 'say', s: 2, ...tale });
  await client.next('tok', 2);
  client.cut();
  const n = client.of(2).reduce((last, m) => (m.t === 'tok' ? m.n : last), 0);
  const { session, key } = client.welcome;
  const same = await stack.join({ player, gateway: 0, resume: { session, key, streams: [{ s: 2, n }] } });
  expect(same.welcome.resumed).toBe(true);
  await same.terminal(2);
  same.text(2, n);

  // The ephemeral server keeps nothing: the gateways write down again what they hold.
  await stack.local.redis.start();
  for (const gateway of [0, 1]) await until(async () => (await degraded(gateway)).degraded.length === 0);
  same.send({ t: 'say', s: 3, ...tale });
  await same.next('tok', 3);
  same.cut();
  const m = same.of(3).reduce((last, f) => (f.t === 'tok' ? f.n : last), 0);
  const moved = await stack.join({ player, gateway: 1, resume: { session, key, streams: [{ s: 3, n: m }] } });
  expect(moved.welcome.resumed).toBe(true);
  const end = (await moved.terminal(3)) as End;
  expect(end).toMatchObject({ t: 'end', source: 'live' });
  moved.text(3, m);
});
