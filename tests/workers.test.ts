// Workers share the load, disappear and come back; the player hears an answer or an honest end.

import { describe, expect, test } from 'vitest';
import type { End } from '../bus/protocol.ts';
import { isTerminal } from './helpers/raw-client.ts';
import { sumMetric, useStack } from './helpers/stack.ts';

const workerEnv = { PARLEY_CONCURRENCY: '1', PARLEY_SEQUENCES: '3', PARLEY_QUEUE_LIMIT: '1' };
const long = { npc: 'mira', text: 'Tell me a long tale of the mine and of your brother.', maxTokens: 120 };

async function accepted(worker: { listening: { metricsPort?: number } }): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${worker.listening.metricsPort}/metrics`)).text();
  return sumMetric(text, 'parley_worker_requests_total', 'result="accepted"');
}

describe('two workers', () => {
  const stack = useStack({ workers: 2, env: workerEnv });

  test('share the requests', async () => {
    const clients = await Promise.all(Array.from({ length: 4 }, () => stack.join()));
    for (const client of clients) client.send({ t: 'say', s: 1, ...long, maxTokens: 30 });
    for (const client of clients)
      expect(await client.terminal(1)).toMatchObject({ t: 'end', source: 'live' });
    const counts = await Promise.all(stack.local.workers.map(accepted));
    expect(Math.min(...counts)).toBeGreaterThan(0);
  });

  test('when both are full, who finds no place hears the authored line', async () => {
    // Each has one place and one seat to wait in.
    const clients = await Promise.all(Array.from({ length: 8 }, () => stack.join()));
    for (const client of clients) client.send({ t: 'say', s: 1, ...long, maxTokens: 40 });
    const ends = await Promise.all(clients.map((client) => client.terminal(1)));
    expect(ends.every((m) => m.t === 'end')).toBe(true);
    const sources = ends.map((m) => (m as End).source);
    expect(sources).toContain('live');
    expect(sources).toContain('authored');
    for (const client of clients) expect(client.text(1)).not.toBe('');
  });
});

describe('a request that nobody accepts', () => {
  const stack = useStack({ workers: 2, env: workerEnv });

  test('goes from a frozen worker to another one', async () => {
    const [frozen] = stack.local.workers;
    const client = await stack.join();
    process.kill(frozen!.pid!, 'SIGSTOP');
    try {
      // Before its silence is noticed it gets its share.
      for (let s = 1; s <= 3; s++)
        client.send({ t: 'say', s, npc: 'mira', text: 'Hello', maxTokens: 5, mode: 'alongside' });
      const ends = await Promise.all([1, 2, 3].map((s) => client.terminal(s)));
      expect(ends.map((end) => end.t)).toEqual(['end', 'end', 'end']);
      expect(Math.max(...ends.map((end) => (end as End).attempts))).toBeGreaterThan(1);
    } finally {
      process.kill(frozen!.pid!, 'SIGCONT');
    }
    // The frozen one wakes up to a request that was given up: nothing of it may arrive.
    client.send({ t: 'say', s: 4, npc: 'mira', text: 'And now?', maxTokens: 5 });
    await client.terminal(4);
    for (let s = 1; s <= 4; s++) {
      expect(client.of(s).filter(isTerminal)).toHaveLength(1);
      client.text(s);
    }
  });
});

describe('no worker', () => {
  const stack = useStack({ workers: 0 });

  test('gives the authored line, which differs from stream to stream', async () => {
    const client = await stack.join();
    for (let s = 1; s <= 8; s++) {
      client.send({ t: 'say', s, npc: 'mira', text: 'Hello' });
      expect(await client.terminal(s)).toMatchObject({ source: 'authored', tier: 'none', reason: 'stop' });
    }
    expect(new Set([1, 2, 3, 4, 5, 6, 7, 8].map((s) => client.text(s))).size).toBeGreaterThan(1);
  });

  test('a worker that comes is used', async () => {
    await stack.local.startWorker();
    const client = await stack.join();
    client.send({ t: 'say', s: 1, npc: 'mira', text: 'Hello', maxTokens: 4 });
    expect(await client.terminal(1)).toMatchObject({ source: 'live' });
  });
});
