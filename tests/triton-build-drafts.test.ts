// The repository of the engine build with a draft model, in a real Triton: the draft model guesses, the target verifies, and a
// player hears the same words as without. Both are llama.cpp with the real model here, under TensorRT-LLM's tensors.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { TritonServer } from '../scripts/stack/triton.ts';
import type { Step } from '../tiers/gold/speculation.ts';
import { coldPrompt, read } from './engine-contract.ts';
import { engineOn, hasTriton, modelFigures } from './helpers/triton.ts';
import {
  assembleRepository,
  copyModel,
  hasBuildPython,
  inBuild,
  oddModel,
  startTritonWith,
} from './helpers/triton-build.ts';

vi.setConfig({ testTimeout: 180_000 });
const never = new AbortController().signal;
const patient = { timeout: 60_000, interval: 100 };
/** Tokens guessed at once. */
const guessed = 4;
const questions = [
  'What do you grind?',
  'Who are you?',
  'Is the river high today?',
  'Was kostet das Mehl? 🙂',
];

describe.skipIf(!hasTriton || !hasBuildPython)(
  'the repository of the engine build with a draft model',
  () => {
    let scratch: string;
    let triton: TritonServer;

    beforeAll(async () => {
      scratch = mkdtempSync(join(tmpdir(), 'parley-drafts-'));
      const models = await assembleRepository(scratch, guessed);
      // Nobody asks these here, and each is a few processes.
      for (const name of ['ensemble', 'preprocessing', 'postprocessing'])
        rmSync(join(models, name), { recursive: true });
      for (const name of ['draft_wrong', 'draft_failing', 'target_credulous']) oddModel(models, name);
      const one: [string, string] = ['count: 4', 'count: 1'];
      const draft = (name: string): [string, string] => ['"tensorrt_llm_draft"', `"${name}"`];
      copyModel(models, 'tensorrt_llm_bls', 'bls_wrong', [one, draft('draft_wrong')]);
      copyModel(models, 'tensorrt_llm_bls', 'bls_failing', [one, draft('draft_failing')]);
      copyModel(models, 'tensorrt_llm_bls', 'bls_credulous', [
        one,
        draft('draft_wrong'),
        ['value: { string_value: "tensorrt_llm" }', 'value: { string_value: "target_credulous" }'],
      ]);
      triton = await startTritonWith(models);
    }, 180_000);
    afterAll(async () => {
      await triton?.stop();
      rmSync(scratch, { recursive: true, force: true });
    });

    const engine = (model: string, speculation: 'on' | 'off', onSpeculation?: (step: Step) => void) =>
      engineOn([triton], {
        model,
        template: 'chatml',
        speculation,
        speculationTokens: guessed,
        onSpeculation,
      });

    /** What a model says to the questions, with guesses or without, and what came of the guesses. */
    async function answers(model: string, speculation: 'on' | 'off') {
      // What the metrics of a worker are told.
      let heard = 0;
      await using under = await engine(model, speculation, ({ drafted, steps = 1 }) => {
        heard += drafted * steps;
      });
      const said: string[] = [];
      for (const [i, player] of questions.entries()) {
        const prompt = { ...coldPrompt(player, 1), npc: `miller-${i}`, system: `You are miller ${i}.` };
        const { text, usage, reason } = await read(
          under.engine.generate(prompt, { maxTokens: 24, temperature: 0 }, never),
        );
        said.push(`${text} (${usage.completion}, ${reason})`);
      }
      const { drafted = 0, accepted = 0 } = under.engine.stats().speculation ?? {};
      expect(Math.round(heard)).toBe(drafted);
      return { said, drafted, accepted };
    }

    /** An answer over HTTP, as anybody may ask for it. */
    async function ask(model: string, body: object) {
      const response = await fetch(`${triton.httpUrl}/v2/models/${model}/generate`, {
        method: 'POST',
        body: JSON.stringify({ top_k: 1, ...body }),
      });
      return (await response.json()) as {
        text_output: string;
        num_output_tokens: number;
        total_draft_tokens?: number;
        total_accepted_draft_tokens?: number;
        error?: string;
      };
    }

    test('says the same with guesses and without; those of the same model all come true', async () => {
      const plain = await answers('tensorrt_llm_bls', 'off');
      const fast = await answers('tensorrt_llm_bls', 'on');
      expect(fast.said).toEqual(plain.said);
      expect(plain.drafted).toBe(0);
      expect(fast.drafted).toBeGreaterThan(40);
      expect(fast.accepted).toBe(fast.drafted);
      // The target hears of a wrong guess at its first wrong token.
      const wrong = await answers('bls_wrong', 'on');
      expect(wrong.said).toEqual(plain.said);
      expect(wrong.accepted).toBeGreaterThan(0);
      expect(wrong.accepted / wrong.drafted).toBeLessThan(0.5);
      // A draft model that fails leaves the rest to the target.
      const failing = await answers('bls_failing', 'on');
      expect(failing.said).toEqual(plain.said);
      expect(failing.drafted).toBeGreaterThan(0);
      expect(failing.drafted).toBeLessThan(fast.drafted / 2);
    });

    test('ends at a stop word and after as many tokens as were asked for, guessed or not', async () => {
      const text_input =
        '<|im_start|>user\nCount from one to ten in words.<|im_end|>\n<|im_start|>assistant\n';
      const whole = await ask('tensorrt_llm_bls', { text_input, max_tokens: 30 });
      const words = whole.text_output.split(' ');
      const stop = words[3]!;
      expect(stop.length).toBeGreaterThan(1);
      for (const num_draft_tokens of [0, 1, guessed, 99]) {
        for (const max_tokens of [1, 2, 7]) {
          const cut = await ask('tensorrt_llm_bls', { text_input, max_tokens, num_draft_tokens });
          expect([cut.num_output_tokens, whole.text_output.startsWith(cut.text_output)]).toEqual([
            max_tokens,
            true,
          ]);
        }
        const stopped = await ask('tensorrt_llm_bls', {
          text_input,
          max_tokens: 30,
          num_draft_tokens,
          stop_words: [stop],
        });
        const end = whole.text_output.indexOf(stop) + stop.length;
        expect(stopped.text_output).toBe(whole.text_output.slice(0, end));
      }
      expect(
        (await ask('tensorrt_llm_bls', { text_input, max_tokens: 9 })).total_draft_tokens,
      ).toBeUndefined();
      await expect.poll(() => modelFigures(triton), patient).toMatchObject({ running: 0 });
    });

    test('guesses in drawn answers too, but not where a penalty looks at the answer alone', async () => {
      const drawn = {
        text_input: 'The miller said:',
        max_tokens: 16,
        num_draft_tokens: guessed,
        top_k: 20,
        seed: 5,
      };
      expect((await ask('tensorrt_llm_bls', drawn)).total_draft_tokens).toBeGreaterThan(0);
      const punished = await ask('tensorrt_llm_bls', { ...drawn, presence_penalty: 0.5 });
      expect([punished.num_output_tokens > 0, punished.total_draft_tokens]).toEqual([true, undefined]);
    });

    test.each(['on', 'off'] as const)(
      'frees the model when nobody listens any more, guesses %s',
      async (speculation) => {
        await using under = await engine('tensorrt_llm_bls', speculation);
        const abort = new AbortController();
        const before = await modelFigures(triton);
        const long = { maxTokens: 400, temperature: 0.8, seed: 3 };
        const answer = await read(
          under.engine.generate(coldPrompt('Tell me a very long story.', 1), long, abort.signal),
          (count) => count === 3 && abort.abort(),
        );
        expect(answer.reason).toBe('aborted');
        await expect.poll(() => modelFigures(triton), patient).toMatchObject({ running: 0 });
        const after = await modelFigures(triton);
        expect(after.decoded - before.decoded).toBeLessThan(200);
        if (speculation === 'off') expect(after.cancelled).toBe(before.cancelled + 1);
      },
    );

    test('a fault of the target is an error, guesses or not', async () => {
      for (const num_draft_tokens of [0, guessed]) {
        const long = { text_input: 'word '.repeat(2_000), max_tokens: 9, num_draft_tokens };
        expect((await ask('tensorrt_llm_bls', long)).error).toMatch(
          /tensorrt_llm_bls failed: Prompt length .* exceeds/,
        );
      }
    });

    test('passes its smoke test with the same words; without guesses, or with other words, it is not published', async () => {
      const smoke = (model: string) =>
        inBuild(
          `
import json, sys
from graph import BuildFailure
from smoke import PROMPTS, QUESTION, SYSTEM, ask_twice
prompt = PROMPTS["chatml"].format(system=SYSTEM, player=QUESTION) + "A sword costs"
try:
    print(json.dumps(ask_twice(sys.argv[1], prompt, ${guessed}, sys.argv[2])))
except BuildFailure as failure:
    print(failure)
`,
          triton.httpUrl,
          model,
        );
      const passed = JSON.parse(await smoke('tensorrt_llm_bls'));
      expect(passed).toMatchObject({ passed: true, draft: { tokens: guessed } });
      expect(passed.draft.right).toBe(passed.draft.guessed);
      expect(await smoke('bls_credulous')).toMatch(
        /with 4 tokens guessed at once the model says .*, without '/,
      );
      // Its first two guesses are none of a failing one, and may have been asked for above.
      await smoke('bls_failing');
      expect(await smoke('bls_failing')).toMatch(/the draft model guesses nothing/);
    });
  },
);
