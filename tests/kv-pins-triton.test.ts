// Pins of the triton engine on a real Triton: the budget that the servers report, leases told in requests and told again
// when they outlast that, and a warm-up that gives way to who speaks.

import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { TritonServer } from '../scripts/stack/triton.ts';
import { retentionRanges } from '../tiers/gold/triton/retention.ts';
import { coldPrompt, read } from './engine-contract.ts';
import { contextTokens, engineOn, hasTriton, places, startTriton } from './helpers/triton.ts';

const never = new AbortController().signal;
const patient = { timeout: 120_000, interval: 50 };
// Whoever shares this machine makes it slow, and slow is no fault.
vi.setConfig({ testTimeout: 180_000 });

describe.skipIf(!hasTriton)('on a real Triton', () => {
  let triton: TritonServer;
  beforeAll(async () => {
    triton = await startTriton();
  }, 120_000);
  afterAll(() => triton?.stop());

  test('leases hold what the servers say that there is, and no more', async () => {
    await using under = await engineOn([triton], { kvPinShare: 0.5 });
    const { engine } = under;
    const budget = (places * contextTokens) / 2;
    expect(engine.stats().kv).toMatchObject({ unit: 'blocks', budget, held: 0 });
    const until = Date.now() + 600_000;
    // Reckoned with 512 tokens each until one was seen.
    const [first, second, third] = [1, 2, 3].map(() => coldPrompt('Hello.', 1));
    for (const { npc } of [first!, second!]) engine.pin(npc, until);
    expect(() => engine.pin(third!.npc, until)).toThrow(`needs 512 of ${budget} blocks`);
    await engine.warm(first!, never);
    engine.pin(third!.npc, until);
    const { pinned, resident, kv } = engine.stats();
    expect(pinned).toEqual([first!.npc, second!.npc, third!.npc]);
    expect(resident).toEqual([first!.npc]);
    expect(kv!.held).toBeLessThan(budget / 2);
    // Warming is no answer to anybody.
    expect(kv!.found).toEqual({ memory: 0, disk: 0, computed: 0 });
    await read(engine.generate(first!, { maxTokens: 2, temperature: 0 }, never));
    await read(engine.generate(third!, { maxTokens: 2, temperature: 0 }, never));
    expect(engine.stats().kv!.found).toEqual({ memory: 1, disk: 0, computed: 1 });
  });

  test('a lease goes out with requests, and by itself when it outlasts what was told', async () => {
    const told: (number | undefined)[] = [];
    await using under = await engineOn([triton], {
      retention: (prefix, until) => {
        told.push(until);
        return retentionRanges(prefix, until);
      },
    });
    const { engine } = under;
    const prompt = coldPrompt('Hello.', 1);
    const lease = Date.now() + 60_000;
    engine.pin(prompt.npc, lease);
    // Nobody knows its words yet: who pins, warms.
    expect(told).toEqual([]);
    await engine.warm(prompt, never);
    expect(told).toHaveLength(1);
    expect(told[0]).toBeGreaterThan(lease);
    engine.pin(prompt.npc, lease + 5_000);
    engine.pin(prompt.npc, told[0]! + 1);
    await expect.poll(() => told.length, patient).toBe(2);
    expect(told[1]).toBeGreaterThan(told[0]! + 1);
    engine.release(prompt.npc);
    await read(engine.generate(prompt, { maxTokens: 2, temperature: 0 }, never));
    expect(told[2]).toBeUndefined();
  });

  test('a character that is being warmed gives its place to who speaks, and is warmed after all', async () => {
    await using under = await engineOn([triton]);
    const { engine } = under;
    const done: string[] = [];
    const talking = new AbortController();
    const talks = read(
      engine.generate(
        coldPrompt('Tell me all.', 1),
        { maxTokens: 600, temperature: 0.8, seed: 1 },
        talking.signal,
      ),
    );
    await expect.poll(() => engine.stats().decodeMsPerToken, patient).toBeGreaterThan(0);
    const cold = coldPrompt('', 30);
    const warm = engine.warm(cold, never).then(() => done.push('warm'));
    await expect.poll(() => engine.stats().active, patient).toBe(places);
    const speaks = read(engine.generate(coldPrompt('Hello.', 1), { maxTokens: 4, temperature: 0 }, never));
    const answer = await speaks.finally(() => done.push('spoken'));
    expect(answer.tokens).toBeGreaterThan(0);
    expect(done).toEqual(['spoken']);
    talking.abort();
    await talks;
    await warm;
    expect(engine.stats().resident).toContain(cold.npc);
  });
});
