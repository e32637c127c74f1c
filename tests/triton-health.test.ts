// A worker whose model hangs, on a real Triton: the model's process is stopped in mid-stream and goes on later. And a drain,
// which finishes what runs, there too.

import { describe, expect, test, vi } from 'vitest';
import type { NodeProcess } from '../scripts/stack/process.ts';
import type { RawClient } from './helpers/raw-client.ts';
import { useStack } from './helpers/stack.ts';
import { hasTriton, modelProcessOf } from './helpers/triton.ts';

// Whoever shares this machine makes it slow, and slow is no fault.
vi.setConfig({ testTimeout: 180_000 });
const patient = { timeout: 60_000, interval: 50 };
const long = { npc: 'crier', text: 'Tell me a very long story.', budgetMs: 60_000 };

describe.skipIf(!hasTriton)('a worker on a real Triton', () => {
  const logs: string[] = [];
  const stack = useStack({
    onLog: (line) => logs.push(line),
    env: {
      PARLEY_ENGINE: 'triton',
      // One character with few words: no prompt takes as long as a hang.
      PARLEY_NPCS: 'bench/relay/npcs',
      PARLEY_HANG_MS: '8000',
      PARLEY_DRAIN_MS: '30000',
      PARLEY_TRITON_FIRST_TOKEN_MS: '20000',
      PARLEY_TRITON_SILENT_MS: '2000',
    },
  });
  const server = () => stack.local.services().find(({ name }) => name === 'tritonserver')!;
  const page = (worker: NodeProcess, path: string) =>
    fetch(`http://127.0.0.1:${worker.listening.metricsPort}${path}`, { signal: AbortSignal.timeout(10_000) });
  const status = (worker: NodeProcess, path: string) => async () => (await page(worker, path)).status;
  const available = () => stack.metric('parley_gateway_workers', 'tier="gold"');

  /** Stops the model's process while it answers a player, for as long as `during` takes. Resolves with the player. */
  async function hang(during: (client: RawClient) => Promise<void>): Promise<RawClient> {
    const client = await stack.join();
    client.send({ t: 'say', s: 1, ...long, maxTokens: 200 });
    await client.next('tok', 1);
    const stub = modelProcessOf(server().pid!);
    process.kill(stub, 'SIGSTOP');
    try {
      await during(client);
    } finally {
      process.kill(stub, 'SIGCONT');
    }
    return client;
  }

  test('takes nothing while its model does not answer, says so, and goes on when it does', async () => {
    const worker = stack.local.workers[0]!;
    const client = await hang(async (client) => {
      await expect.poll(status(worker, '/readyz'), patient).toBe(503);
      expect(await (await page(worker, '/readyz')).json()).toEqual({ ready: false, notReady: ['engine'] });
      await expect.poll(available, patient).toBe(0);
      client.send({ t: 'say', s: 2, ...long, maxTokens: 3 });
      expect(await client.terminal(2)).toMatchObject({ source: 'authored' });
      // The model is not in this process: to start that again would help nobody.
      expect(await status(worker, '/healthz')()).toBe(200);
    });
    await expect.poll(status(worker, '/readyz'), patient).toBe(200);
    await expect.poll(available, patient).toBe(1);
    client.send({ t: 'say', s: 3, ...long, maxTokens: 3 });
    expect(await client.terminal(3)).toMatchObject({ t: 'end', source: 'live' });
  });

  test('that is told to stop finishes its streams', async () => {
    const worker = stack.local.workers[0]!;
    const client = await stack.join();
    client.send({ t: 'say', s: 1, ...long, maxTokens: 30 });
    await client.next('tok', 1);
    const stopped = worker.stop();
    expect(await client.terminal(1)).toMatchObject({ t: 'end', source: 'live', attempts: 1 });
    await stopped;
    expect(await worker.child!.exited).toMatchObject({ code: 0 });
  });

  test('that holds its model itself and finds it hanging says so and ends, and serves when it was started again', async () => {
    const worker = await stack.local.startWorker({ entry: 'tests/helpers/hanging-worker.ts' });
    await expect.poll(available, patient).toBe(1);
    const client = await hang(async () => {
      expect(await worker.child!.exited).toMatchObject({ signal: 'SIGKILL' });
      expect(logs.join('\n')).toMatch(/"the model hangs: this process ends/);
    });
    expect((await client.terminal(1)).t).toMatch(/end|err/);
    // The model of a process goes with it. This one does not, and some Tritons die of such a stop.
    const triton = server();
    await triton.stop();
    await triton.start();
    await worker.start();
    client.send({ t: 'say', s: 2, ...long, maxTokens: 3 });
    expect(await client.terminal(2)).toMatchObject({ t: 'end', source: 'live' });
  });
});
