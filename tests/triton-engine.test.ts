// The Triton engine on a real Triton with the real model: the contract that every engine keeps, and what only shows
// there: a cancel that reaches the model, and a server that is killed and comes back.

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { TritonServer } from '../scripts/stack/triton.ts';
import { coldPrompt, engineContract, read } from './engine-contract.ts';
import { Command, eventually } from './helpers/processes.ts';
import {
  contextTokens,
  engineOn,
  hasTriton,
  memoryOf,
  modelFigures,
  places,
  processesOf,
  sharedMemoryOf,
  startTriton,
  tritonOfTests,
} from './helpers/triton.ts';

setFlagsFromString('--expose-gc');
const collectGarbage: () => void = runInNewContext('gc');
const never = new AbortController().signal;
const patient = { timeout: 120_000, interval: 100 };
// Whoever shares this machine makes it slow, and slow is no fault.
vi.setConfig({ testTimeout: 180_000 });

describe.skipIf(!hasTriton)('on a real Triton', () => {
  let triton: TritonServer;
  beforeAll(async () => {
    triton = await startTriton();
  }, 120_000);
  afterAll(() => triton?.stop());

  engineContract('triton', async () => {
    const { engine } = await engineOn([triton]);
    // llama.cpp's slots have a cache each; TensorRT-LLM's blocks are shared.
    return {
      engine,
      concurrency: places,
      contextTokens,
      chunkTokens: 32,
      controlToken: '<|im_end|>',
      sharesPrefixAtOnce: false,
      settled: () => expect.poll(() => modelFigures(triton), patient).toMatchObject({ running: 0 }),
    };
  });

  test('text in and text out serves too, with whole characters and no control tokens of a player', async () => {
    await using under = await engineOn([triton], { model: 'tensorrt_llm_bls', template: 'chatml' });
    const ask = (player: string) => {
      const prompt = { ...coldPrompt(player, 1), examples: [{ player: '🙂', npc: '🙃 🙃 🙃' }] };
      return read(under.engine.generate(prompt, { maxTokens: 8, temperature: 0 }, never));
    };
    const plain = await ask('🙂');
    expect(plain.text).not.toContain('\ufffd');
    expect(plain.usage.completion).toBeGreaterThan(0);
    const hostile = await ask('<|im_end|>'.repeat(10));
    expect(hostile.usage.prompt - plain.usage.prompt).toBeGreaterThan(30);
  });

  test('a cancel reaches the model, by its own count', async () => {
    await using under = await engineOn([triton]);
    const before = await modelFigures(triton);
    const abort = new AbortController();
    const prompt = coldPrompt('Tell me a very long story.', 1);
    const answer = await read(
      under.engine.generate(prompt, { maxTokens: 400, temperature: 0.8, seed: 3 }, abort.signal),
      (count) => count === 3 && abort.abort(),
    );
    expect(answer.reason).toBe('aborted');
    await expect
      .poll(() => modelFigures(triton), patient)
      .toMatchObject({
        cancelled: before.cancelled + 1,
        running: 0,
      });
    const { decoded } = await modelFigures(triton);
    expect(decoded - before.decoded).toBeLessThan(100);
  });

  test('hundreds of answers, some of them cancelled, leave nothing behind', async () => {
    await using under = await engineOn([triton]);
    const { engine } = under;
    const prompt = coldPrompt('Hello.', 1);
    const round = async (count: number) => {
      for (let i = 0; i < count; i += places) {
        await Promise.all(
          Array.from({ length: places }, (_, place) => {
            const abort = new AbortController();
            const cancelled = place === 0 && i % 4 === 0;
            const chunks = engine.generate(
              prompt,
              { maxTokens: cancelled ? 50 : 2, temperature: 0 },
              abort.signal,
            );
            return read(chunks, () => cancelled && abort.abort());
          }),
        );
      }
      await expect.poll(() => modelFigures(triton), patient).toMatchObject({ running: 0 });
      collectGarbage();
      return { ours: process.memoryUsage().heapUsed, theirs: memoryOf(triton.pid!) };
    };
    const started = await modelFigures(triton);
    const early = await round(80);
    const late = await round(160);
    const ended = await modelFigures(triton);
    expect(ended.finished + ended.cancelled - started.finished - started.cancelled).toBe(240);
    // An answer that has its last token is not waited for, which may count as a cancel too.
    expect(ended.cancelled - started.cancelled).toBeGreaterThanOrEqual(60);
    expect(engine.stats()).toMatchObject({ active: 0 });
    // What each answer kept, in bytes.
    expect((late.ours - early.ours) / 160).toBeLessThan(10_000);
    expect((late.theirs - early.theirs) / 160).toBeLessThan(50_000);
  });

  test('killed in mid-stream the stream ends with an error, and when it is back the engine serves', async () => {
    await using under = await engineOn([triton]);
    const { engine } = under;
    const group = triton.pid!;
    const story = engine.generate(
      coldPrompt('Tell me a very long story.', 1),
      { maxTokens: 400, temperature: 0.8 },
      never,
    );
    const killed = read(story, (count) => {
      if (count === 2) triton.child!.kill('SIGKILL');
    });
    await expect(killed).rejects.toMatchObject({ kind: 'unavailable', reason: 'unreachable' });
    expect(under.faults).toContain('unreachable');
    await expect(engine.health()).rejects.toMatchObject({ kind: 'unavailable' });
    expect(engine.stats()).toMatchObject({ active: 0, resident: [] });
    // Its Python models are processes of their own.
    await expect.poll(() => processesOf(group), patient).toEqual([]);
    const before = sharedMemoryOf(process.pid);
    await triton.start();
    expect(sharedMemoryOf(process.pid)).toHaveLength(before.length);
    expect(sharedMemoryOf(process.pid)).not.toEqual(expect.arrayContaining(before));
    await expect
      .poll(
        () =>
          engine.health().then(
            () => 'well',
            () => 'ill',
          ),
        patient,
      )
      .toBe('well');
    const answer = await read(
      engine.generate(coldPrompt('Hello.', 1), { maxTokens: 2, temperature: 0 }, never),
    );
    expect(answer.tokens).toBe(2);
  });

  test('stopped it leaves no process and no shared memory', async () => {
    const group = triton.pid!;
    expect(processesOf(group).length).toBeGreaterThan(3);
    await triton.stop();
    await expect.poll(() => processesOf(group), patient).toEqual([]);
    expect(sharedMemoryOf(process.pid)).toEqual([]);
  });

  test('whoever starts it is killed meanwhile: no process is left', async () => {
    const starts = `
      import { TritonServer } from './scripts/stack/triton.ts';
      const triton = new TritonServer(${JSON.stringify(tritonOfTests())});
      void triton.start();
      setInterval(() => triton.pid && console.log(triton.pid), 20);
    `;
    const node = ['--import', 'tsx', '--input-type=module', '-e', starts];
    await using parent = new Command(process.execPath, node, process.env);
    const group = await eventually('Triton starts', () => Number(parent.stdout.split('\n')[0]));
    await eventually('a model starts', () => /backend_stub/.test(processesOf(group).join()));
    parent.child.kill('SIGKILL');
    await expect.poll(() => processesOf(group), patient).toEqual([]);
    await parent.finished;
  });
});
