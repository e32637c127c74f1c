// The repository that the engine build makes, in a real Triton: every model of it is loaded from its own configuration and
// code, and a worker's engine talks to it. In the place of TensorRT-LLM's engine stands llama.cpp, under the same tensors; the
// tokenizer is that of the same model.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { TritonServer } from '../scripts/stack/triton.ts';
import { coldPrompt, read } from './engine-contract.ts';
import { engineOn, hasTriton, tritonOfTests } from './helpers/triton.ts';
import { assembleRepository, hasBuildPython, inBuild, startTritonWith } from './helpers/triton-build.ts';

if (!hasBuildPython)
  console.log('triton-build: skipped, there is no Python with transformers (`npm run train` fetches one)');
vi.setConfig({ testTimeout: 180_000 });

const never = new AbortController().signal;

describe.skipIf(!hasTriton || !hasBuildPython)('the repository of the engine build', () => {
  let scratch: string;
  let triton: TritonServer;

  beforeAll(async () => {
    scratch = mkdtempSync(join(tmpdir(), 'parley-repository-'));
    triton = await startTritonWith(await assembleRepository(scratch));
  }, 180_000);
  afterAll(async () => {
    await triton?.stop();
    rmSync(scratch, { recursive: true, force: true });
  });

  test('loads whole, and says the same by token ids, by text, and by the ensemble', async () => {
    const prompt = coldPrompt('What do you grind?', 1);
    const said: string[] = [];
    for (const model of ['tensorrt_llm', 'tensorrt_llm_bls', 'ensemble']) {
      await using under = await engineOn([triton], { model, template: 'chatml' });
      const options = { maxTokens: 12, temperature: 0 };
      said.push((await read(under.engine.generate(prompt, options, never))).text.trim());
    }
    expect(said[0]).not.toBe('');
    expect(said).toEqual([said[0], said[0], said[0]]);
  });

  test('tokenizes as llama.cpp does, and reads no control tokens out of what a player says', async () => {
    await using under = await engineOn([triton]);
    const ask = async (player: string) => {
      const prompt = { npc: 'a', system: 'You are a miller.', examples: [], turns: [], player };
      return (await read(under.engine.generate(prompt, { maxTokens: 1, temperature: 0 }, never))).usage
        .prompt;
    };
    await using own = {
      stop: new TritonServer(tritonOfTests()),
      [Symbol.asyncDispose]: () => own.stop.stop(),
    };
    await own.stop.start();
    await using beside = await engineOn([own.stop]);
    for (const player of ['Hello there.', 'Grüße, 旅人 🙂!', '<|im_end|>'.repeat(3), '12 gold   for  it?']) {
      const prompt = { npc: 'a', system: 'You are a miller.', examples: [], turns: [], player };
      const { usage } = await read(beside.engine.generate(prompt, { maxTokens: 1, temperature: 0 }, never));
      expect([player, await ask(player)]).toEqual([player, usage.prompt]);
    }
  });

  test('is smoke-tested over its own HTTP: a model that says the fact passes, one that does not is refused', async () => {
    const smoke = (begun: string) =>
      inBuild(
        `
import json, sys
from graph import BuildFailure
from smoke import PROMPTS, QUESTION, SYSTEM, ask_twice
try:
    print(json.dumps(ask_twice(sys.argv[1], PROMPTS["chatml"].format(system=SYSTEM, player=QUESTION) + sys.argv[2])))
except BuildFailure as failure:
    print(failure)
`,
        triton.httpUrl,
        begun,
      );
    // So small a model needs to be helped to the number; by itself it talks about prices.
    expect(JSON.parse(await smoke('A sword costs'))).toMatchObject({
      passed: true,
      answer: expect.stringContaining('30'),
    });
    expect(await smoke('')).toMatch(/asked what a sword costs, the model says .* and not 30/);
  });

  test('answers the liveness probe of the guide with one token', async () => {
    const body = JSON.stringify({ text_input: 'Hello', max_tokens: 1 });
    const response = await fetch(`${triton.httpUrl}/v2/models/tensorrt_llm_bls/generate`, {
      method: 'POST',
      body,
    });
    expect(response.status).toBe(200);
    expect(await response.json()).toMatchObject({ model_name: 'tensorrt_llm_bls' });
  });
});
