// A deploy in the middle of the evening: gateways and workers are told to stop, one after the other, and no player's
// answer breaks off.

import { expect, test } from 'vitest';
import WebSocket from 'ws';
import { ParleyClient } from '../client/index.ts';
import { useStack } from './helpers/stack.ts';

const stack = useStack({ gateways: 2, workers: 2, env: { PARLEY_DRAIN_MS: '4000' } });

test('a gateway that stops: not ready, no new sockets, a hint, streams finish or move, exit 0', async () => {
  const player = stack.newPlayer();
  const client = await stack.join({ player, gateway: 0 });
  const port = stack.local.gateways[0]!.listening.port;
  client.send({
    t: 'say',
    s: 1,
    npc: 'mira',
    text: 'Tell me of the mine and of your brother.',
    maxTokens: 60,
  });
  await client.next('tok', 1);
  const stopped = stack.local.gateways[0]!.stop();
  const hint = await client.next('reconnect');
  expect(hint.afterMs).toBeGreaterThanOrEqual(0);
  expect(hint.afterMs).toBeLessThanOrEqual(2_000);
  // A connection that a probe has kept open hears 503, a new one is refused.
  const readyz = await fetch(`http://127.0.0.1:${port}/readyz`).then(
    ({ status }) => status,
    () => 'refused',
  );
  expect([503, 'refused']).toContain(readyz);
  await expect(
    new Promise((resolve, reject) => {
      const late = new WebSocket(`ws://127.0.0.1:${port}/v1/ws`, 'parley.v1.json');
      late.on('open', resolve);
      late.on('error', reject);
    }),
  ).rejects.toThrow();
  expect(await client.terminal(1)).toMatchObject({ t: 'end', source: 'live' });
  expect(await client.code()).toBe(4503);
  await stopped;
  const { session, key } = client.welcome;
  const moved = await stack.join({
    player,
    gateway: 1,
    resume: { session, key, streams: [] },
  });
  expect(moved.welcome.resumed).toBe(true);
  await stack.local.gateways[0]!.start();
});

test('a rolling restart of everything under players who talk: every answer is whole', async () => {
  const urls = () => stack.local.gateways.map((_, i) => stack.local.ws(i));
  const failures: string[] = [];
  let whole = 0;
  let running = true;
  const players = Array.from({ length: 4 }, async (_, i) => {
    const player = stack.newPlayer();
    // As behind a load balancer: whoever connects gets a gateway that takes sockets.
    const client = new ParleyClient({
      url: urls()[i % 2]!,
      token: () => stack.local.token(player),
      WebSocket: class extends WebSocket {
        constructor(_url: string, protocol: string) {
          super(ready[Math.floor(Math.random() * ready.length)]!, protocol);
        }
      } as never,
    });
    await client.connect();
    while (running) {
      const answer = client.say({
        npc: ['mira', 'bram', 'rosa'][i % 3]!,
        text: 'Tell me of the village.',
        maxTokens: 24,
      });
      const end = await answer.end.catch((error) => void failures.push(String(error)));
      if (end && (end.source === 'live' || end.source === 'authored') && answer.text !== '') whole++;
    }
    client.close();
  });
  let ready = urls();
  for (const worker of [...stack.local.workers]) {
    await worker.stop();
    await worker.start();
  }
  for (const [i, gateway] of [...stack.local.gateways].entries()) {
    ready = urls().filter((_, at) => at !== i);
    await gateway.stop();
    await gateway.start();
    ready = urls();
  }
  running = false;
  await Promise.all(players);
  expect(failures).toEqual([]);
  expect(whole).toBeGreaterThan(4);
  // Two workers load their model anew, one after the other.
}, 180_000);
