// How a worker knows that its model lives: with the real model in this process, time being told by the test. What a worker
// does about a model that hangs is in triton-health.test.ts, where a model can be made to hang.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readConfig } from '../runtime/config.ts';
import { createLog } from '../runtime/log.ts';
import type { Engine } from '../tiers/engine.ts';
import { defaultModelFile } from '../tiers/llama/load-model.ts';
import { createLlamaEngine } from '../tiers/llama-engine.ts';
import { VitalSigns } from '../tiers/vital-signs.ts';
import { coldPrompt, read } from './engine-contract.ts';

const hangMs = 30_000;
const never = new AbortController().signal;
let home: string;
let engine: Engine;
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'parley-signs-'));
  engine = await createLlamaEngine({
    home,
    model: join(readConfig().home, 'cache', 'models', defaultModelFile),
    adapter: 'none',
    threads: 1,
    contextTokens: 1024,
    concurrency: 2,
    sequences: 4,
    prefillChunkTokens: 32,
  });
});
afterAll(async () => {
  await engine.close();
  await rm(home, { recursive: true, force: true });
});

function signs() {
  const seen = { probes: [] as string[], hangs: [] as string[], ready: [] as boolean[] };
  const vital = new VitalSigns({
    engine,
    hangMs,
    log: createLog('test', 'silent'),
    onProbe: (result) => seen.probes.push(result),
    onHang: (words) => seen.hangs.push(words),
    onReady: (ready) => seen.ready.push(ready),
  });
  return { vital, seen, [Symbol.dispose]: () => vital.close() };
}

test('it begins with a token that was really decoded', async () => {
  using under = signs();
  const before = engine.stats();
  await under.vital.begin();
  expect(engine.stats().steps).toBeGreaterThan(before.steps!);
  expect(engine.stats().decodeMsPerToken).toBeGreaterThan(0);
  expect(engine.stats().resident).toEqual(before.resident);
});

test('a quiet model is asked for one token now and then, and is never taken to hang', async () => {
  using under = signs();
  for (let asked = 1; asked <= 3; asked++) {
    await under.vital.look(0); // sees what the model did meanwhile
    await under.vital.look(hangMs / 2);
    await expect.poll(() => under.seen.probes).toHaveLength(asked);
  }
  expect(under.seen).toEqual({ probes: ['ok', 'ok', 'ok'], hangs: [], ready: [] });
});

test('a busy model is not taken to hang and not even asked, however many wait and however slow it is', async () => {
  using under = signs();
  await under.vital.look(0);
  await Promise.all(
    [1, 2, 3, 4].map(async (i) => {
      const options = { maxTokens: 6, temperature: 0.8, seed: i };
      for await (const _ of engine.generate(coldPrompt(`Tell me story ${i}.`), options, never)) {
        // As if the few tokens of one round took a good part of what counts as quiet.
        await under.vital.look(hangMs / 16);
      }
    }),
  );
  expect(under.seen).toEqual({ probes: [], hangs: [], ready: [] });
});

test('a model that says no is not ready and does not hang', async () => {
  const other = await createLlamaEngine({
    home,
    model: join(readConfig().home, 'cache', 'models', defaultModelFile),
    adapter: 'none',
    threads: 1,
    contextTokens: 128,
    concurrency: 1,
    sequences: 2,
    prefillChunkTokens: 32,
  });
  await other.close();
  const served = engine;
  engine = other;
  using under = signs();
  engine = served;
  for (let i = 0; i < 4; i++) {
    await under.vital.look(hangMs - 1);
    await new Promise(setImmediate);
  }
  expect(under.vital.notReady).toMatch(/closed/);
  expect(under.seen.ready).toEqual([false]);
  expect(under.seen.hangs).toEqual([]);
  await expect.poll(() => under.seen.probes).toContain('failed');
  await expect(under.vital.begin()).rejects.toMatchObject({ kind: 'unavailable' });
  // And the one that serves still does.
  expect(
    (await read(engine.generate(coldPrompt('Hello.'), { maxTokens: 2, temperature: 0 }, never))).tokens,
  ).toBe(2);
});
