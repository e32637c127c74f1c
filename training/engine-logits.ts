// What the engine makes of prompts: their tokens by its own chat template, and the likeliest next tokens. Reads one JSON
// object {base, adapter, prompts} on standard input, prints one JSON object a prompt. For training's `check`.

import { text } from 'node:stream/consumers';
import { getLlama, LlamaLogLevel, type Token } from 'node-llama-cpp';
import type { Prompt } from '../tiers/engine.ts';
import { ChatTemplate } from '../tiers/llama/chat-template.ts';

const likeliest = 40;

const request = JSON.parse(await text(process.stdin)) as {
  base: string;
  /** A GGUF adapter, or empty. */
  adapter: string;
  prompts: Prompt[];
};
const llama = await getLlama({
  gpu: false,
  build: 'never',
  skipDownload: true,
  progressLogs: false,
  maxThreads: 1, // on a busy machine several of them wait for each other
  logLevel: LlamaLogLevel.error,
});
const model = await llama.loadModel({ modelPath: request.base });
const context = await model.createContext({
  contextSize: Math.min(4096, model.trainContextSize),
  threads: 1,
  ...(request.adapter === '' ? {} : { lora: { adapters: [{ filePath: request.adapter }] } }),
});
const sequence = context.getSequence();
const template = new ChatTemplate(model);
let held: readonly Token[] = [];
for (const prompt of request.prompts) {
  const { tokens } = template.render(prompt);
  const last = tokens.length - 1;
  // Prompts of one character begin alike, and come one after the other.
  const other = tokens.findIndex((token, i) => token !== held[i]);
  const common = Math.min(other < 0 ? last : other, last);
  await sequence.eraseContextTokenRanges([{ start: common, end: sequence.nextTokenIndex }]);
  await sequence.evaluateWithoutGeneratingNewTokens(tokens.slice(common, last));
  held = tokens;
  // Sampling is off: the probabilities are to be those of the model.
  const options = { temperature: 1, topK: 0, topP: 1, minP: 0 };
  const [result] = await sequence.controlledEvaluate([
    [tokens[last]!, { generateNext: { probabilities: true, options } }],
  ]);
  const next = [...(result?.next.probabilities ?? [])].slice(0, likeliest);
  process.stdout.write(
    `${JSON.stringify({ ids: tokens, tokens: next.map(([token]) => token), logs: next.map(([, p]) => Math.log(p)) })}\n`,
  );
}
await llama.dispose();
