// NATS goes and comes back: a player keeps the socket, hears an answer all the while, and everything heals.

import { expect, test } from 'vitest';
import type { End } from '../bus/protocol.ts';
import { isTerminal } from './helpers/raw-client.ts';
import { useStack } from './helpers/stack.ts';

const stack = useStack();
const readyz = async () =>
  (await (await fetch(`${stack.local.http()}/readyz`)).json()) as { ready: boolean; notReady: string[] };
const until = async (ready: () => Promise<boolean>) => {
  while (!(await ready())) await new Promise((resolve) => setTimeout(resolve, 50));
};

test('while NATS is away the character says its authored line; a stream under way goes on afterwards', async () => {
  const [talker, listener] = [await stack.join(), await stack.join()];
  listener.send({
    t: 'say',
    s: 1,
    npc: 'mira',
    text: 'Tell me a long tale of the mine and of your brother.',
    maxTokens: 250,
  });
  await listener.next('tok', 1);
  await stack.local.nats.stop();
  await until(async () => !(await readyz()).ready);
  expect((await readyz()).notReady).toContain('nats');
  expect(await stack.metric('parley_nats_connected')).toBe(0);

  talker.send({ t: 'say', s: 1, npc: 'mira', text: 'Hello' });
  expect(await talker.terminal(1)).toMatchObject({ t: 'end', source: 'authored' });

  await stack.local.nats.start();
  await until(async () => (await readyz()).ready);
  // What the worker said meanwhile was kept there and comes merged: nothing is missing, nothing twice.
  const end = (await listener.terminal(1)) as End;
  expect(end).toMatchObject({ t: 'end', source: 'live' });
  expect(listener.text(1)).not.toBe('');
  expect(listener.of(1).filter(isTerminal)).toHaveLength(1);

  for (let s = 2; ; s++) {
    talker.send({ t: 'say', s, npc: 'mira', text: 'And now?', maxTokens: 5 });
    const again = (await talker.terminal(s)) as End;
    if (again.source === 'live') break; // the worker may be back a moment later than the gateway
  }
});
