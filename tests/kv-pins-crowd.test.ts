// Pins under a crowd, on the real model: players come and go, a few characters are liked by most, and leases may hold half
// of the village.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { playCrowd } from '../bench/gold/crowd.ts';
import { readConfig } from '../runtime/config.ts';
import { defaultModelFile } from '../tiers/llama/load-model.ts';
import { createLlamaEngine, type LlamaOptions } from '../tiers/llama-engine.ts';
import { coldPrompt, read } from './engine-contract.ts';

const model = join(readConfig().home, 'cache', 'models', defaultModelFile);
const never = new AbortController().signal;
const home = await mkdtemp(join(tmpdir(), 'parley-crowd-'));
afterAll(() => rm(home, { recursive: true, force: true }));

async function llama(options: Partial<LlamaOptions> = {}) {
  let prefilled = 0;
  const engine = await createLlamaEngine({
    home,
    model,
    adapter: 'none',
    threads: 1,
    contextTokens: 512,
    concurrency: 1,
    sequences: 8,
    kvPinShare: 0.75,
    prefillChunkTokens: 8,
    onRound: (round) => {
      for (const { tokens } of round.prefilled) prefilled += tokens;
    },
    ...options,
  });
  return { engine, prefilled: () => prefilled, [Symbol.asyncDispose]: () => engine.close() };
}

test('most sentences find their character in memory, inside the budget, and no lease is broken', async () => {
  await using under = await llama();
  const crowd = { characters: 12, players: 8, sentences: 80, pins: true, zipf: 0.8, seed: 3 };
  const result = await playCrowd(under.engine, crowd);
  expect(result.budget).toBe(6);
  expect(result.mostHeld).toBeLessThanOrEqual(result.budget);
  expect(result.mostResident).toBeLessThanOrEqual(8);
  expect(result.hitRate).toBeGreaterThan(0.8);
  expect(result.warmVisits / result.visits).toBeGreaterThan(0.8);
  expect(result.evicted.leased).toBe(0);
  // It was no empty village: some had to go for others.
  expect(result.evicted.unleased).toBeGreaterThan(0);
  expect(under.engine.stats().pinned).toEqual([]);
});

test('no lease is broken while all places are busy with others', async () => {
  await using under = await llama({ concurrency: 3, kvPinShare: 1 });
  const { engine } = under;
  const options = { maxTokens: 2, temperature: 0 };
  const near = Array.from({ length: 4 }, () => coldPrompt('Hello.', 1));
  for (const prompt of near) {
    engine.pin(prompt.npc, Date.now() + 600_000);
    await engine.warm(prompt, never);
  }
  expect(() => engine.pin('one too many', Date.now() + 600_000)).toThrow('needs 1 of 4 sequences');
  for (let round = 0; round < 3; round++)
    await Promise.all([1, 2, 3].map(() => read(engine.generate(coldPrompt('Hello.', 1), options, never))));
  const { resident, kv } = engine.stats();
  for (const { npc } of near) expect(resident).toContain(npc);
  expect(kv).toMatchObject({ held: 4, budget: 4, evicted: { leased: 0 } });
  expect(kv!.evicted.unleased).toBeGreaterThan(0);
});

test('who had to go is loaded back when a player comes near, not computed again', async () => {
  await using under = await llama({ sequences: 4 });
  const { engine, prefilled } = under;
  const [first, ...others] = Array.from({ length: 5 }, () => coldPrompt('Hello.', 1));
  await engine.warm(first!, never);
  const options = { maxTokens: 2, temperature: 0 };
  for (const other of others) await read(engine.generate(other, options, never));
  expect(engine.stats().resident).not.toContain(first!.npc);
  const before = prefilled();
  engine.pin(first!.npc, Date.now() + 600_000);
  // Players' conversations fill the memory, and a lease is worth more than the oldest of them.
  await engine.warm(first!, never);
  expect(engine.stats().resident).toContain(first!.npc);
  expect(prefilled()).toBe(before);
  for (const other of others) await read(engine.generate({ ...other, player: 'And you?' }, options, never));
  expect(engine.stats().resident).toContain(first!.npc);
  expect(engine.stats().kv).toMatchObject({ evicted: { leased: 0 } });
});

test('games that share a home share nothing that was saved', async () => {
  const prompt = coldPrompt('Hello.', 1);
  const cached: number[] = [];
  for (const prefix of ['one-game', 'other-game', 'one-game']) {
    await using under = await llama({ prefix });
    const { usage } = await read(under.engine.generate(prompt, { maxTokens: 2, temperature: 0 }, never));
    cached.push(usage.cached);
  }
  expect(cached.slice(0, 2)).toEqual([0, 0]);
  expect(cached[2]).toBeGreaterThan(30);
});
