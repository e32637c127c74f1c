// What the llama engine does with its cache and its turns, on the real model: how much sooner a second sentence
// comes than the first, what four players at once cost, how long others wait while one prefills, how soon a
// cancel is heard. Prints ratios from one run and ends with one line of JSON. The machine's speed is not judged.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readConfig } from '../runtime/config.ts';
import type { GenerateOptions, Prompt } from '../tiers/engine.ts';
import { defaultModelFile } from '../tiers/llama/load-model.ts';
import type { Round } from '../tiers/llama/rounds.ts';
import { createLlamaEngine } from '../tiers/llama-engine.ts';
import { ask as askEngine } from './gold/ask.ts';

const config = readConfig();
const model = config.model || join(config.home, 'cache', 'models', defaultModelFile);
const home = await mkdtemp(join(tmpdir(), 'parley-bench-'));
const repeats = 5;

let rounds: Round[] = [];
const start = () =>
  createLlamaEngine({
    home,
    model,
    adapter: config.adapter,
    threads: config.threads,
    contextTokens: config.contextTokens,
    concurrency: 4,
    sequences: 8,
    prefillChunkTokens: config.prefillChunkTokens,
    onRound: (round) => rounds.push(round),
  });
let engine = await start();

/** A character of about 300 tokens that nobody has spoken to. */
function persona(name: string, player: string): Prompt {
  const line = `${name} keeps the old mill by the river and grinds the grain of the whole valley. `;
  return {
    npc: name,
    system: `You are ${name}, the miller of a small village. You tell long stories. ${line.repeat(14)}`,
    examples: [{ player: 'Good day.', npc: 'Good day to you. The mill is busy and the river is high.' }],
    turns: [],
    player,
  };
}

/** Asks the engine that runs now. */
const ask = (
  prompt: Prompt,
  options: Partial<GenerateOptions> = {},
  signal?: AbortSignal,
  onPiece?: (count: number) => void,
) => askEngine(engine, prompt, { maxTokens: 16, ...options }, signal, onPiece);

const median = (values: readonly number[]) =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!;
const round = (value: number) => Math.round(value * 1000) / 1000;
const prefilled = () => rounds.flatMap((r) => r.prefilled).reduce((sum, p) => sum + p.tokens, 0);

/** First and second sentence to a cold character; then the same after a new start, from the state on disk. */
async function sentences() {
  const cold: number[] = [];
  const second: number[] = [];
  for (let i = 0; i < repeats; i++) {
    const first = await ask(persona(`Cora${i}`, 'Hello, who are you?'));
    const next = {
      ...persona(`Cora${i}`, 'And what do you grind?'),
      turns: [{ player: 'Hello, who are you?', npc: first.text }],
    };
    cold.push(first.firstMs);
    second.push((await ask(next)).firstMs);
  }
  await engine.close();
  engine = await start();
  const restarted: number[] = [];
  for (let i = 0; i < repeats; i++)
    restarted.push((await ask(persona(`Cora${i}`, 'Hello, who are you?'))).firstMs);
  return {
    coldMs: round(median(cold)),
    secondToFirst: round(median(second) / median(cold)),
    afterRestartToFirst: round(median(restarted) / median(cold)),
  };
}

/** Four players speak to a cold character at once. */
async function fourAtOnce(coldMs: number) {
  const ratios: number[] = [];
  const slowest: number[] = [];
  for (let i = 0; i < repeats; i++) {
    rounds = [];
    const answers = await Promise.all(
      [1, 2, 3, 4].map((n) => ask(persona(`Dora${i}`, `I am player ${n}. Who are you?`))),
    );
    ratios.push(prefilled() / answers[0]!.usage.prompt);
    slowest.push(Math.max(...answers.map((a) => a.firstMs)));
  }
  return {
    fourAtOncePrefills: round(median(ratios)),
    fourAtOnceSlowestToCold: round(median(slowest) / coldMs),
  };
}

/** Three players listen to a long story while a fourth speaks to a cold character of 300 tokens. */
async function othersWhilePrefilling() {
  const worst: number[] = [];
  const usual: number[] = [];
  const between: number[] = [];
  for (let i = 0; i < repeats; i++) {
    const abort = new AbortController();
    const seen = [0, 0, 0];
    const times: number[][] = [[], [], []];
    const listeners = seen.map((_, n) =>
      ask(
        persona('Edda', `Tell me story ${n}.`),
        { maxTokens: 600, temperature: 0.9, seed: n + 10 * i },
        abort.signal,
        () => {
          seen[n]!++;
          times[n]!.push(performance.now());
        },
      ),
    );
    while (seen.some((n) => n < 12)) await new Promise((resolve) => setTimeout(resolve, 5));
    const from = performance.now();
    rounds = [];
    await ask(persona(`Faye${i}`, 'Hello.'), { maxTokens: 1 });
    const to = performance.now();
    abort.abort();
    await Promise.all(listeners);
    const gaps = (a: number, b: number) =>
      times.flatMap((t) => t.slice(1).flatMap((at, k) => (t[k]! >= a && at <= b ? [at - t[k]!] : [])));
    worst.push(Math.max(...gaps(from, to)));
    usual.push(median(gaps(0, from)));
    between.push(Math.max(...rounds.map((r) => r.prefilled.reduce((sum, p) => sum + p.tokens, 0))));
  }
  return {
    worstGapMs: round(Math.max(...worst)),
    medianWorstGapMs: round(median(worst)),
    worstGapToUsual: round(median(worst) / median(usual)),
    mostPrefillTokensBetween: Math.max(...between),
  };
}

/** Tokens and chunks that are computed after an abort. */
async function cancels() {
  let tokens = 0;
  let prefillTokens = 0;
  for (let i = 0; i < repeats; i++) {
    const abort = new AbortController();
    let heard = 0;
    const decoded = () => rounds.reduce((sum, r) => sum + r.decoded.length, 0);
    rounds = [];
    await ask(
      persona('Edda', 'Tell me a story.'),
      { maxTokens: 100, temperature: 0.9, seed: i },
      abort.signal,
      (n) => {
        if (n !== 5) return;
        heard = decoded();
        abort.abort();
      },
    );
    tokens = Math.max(tokens, decoded() - heard);
    const early = new AbortController();
    rounds = [];
    const running = ask(persona(`Gwen${i}`, 'Hello.'), {}, early.signal);
    while (prefilled() === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    const before = prefilled();
    early.abort();
    await running;
    prefillTokens = Math.max(prefillTokens, prefilled() - before);
  }
  return { cancelTokens: tokens, cancelPrefillTokens: prefillTokens };
}

/** Tokens a second of four streams together, beside one alone. */
async function throughput() {
  const alone: number[] = [];
  const together: number[] = [];
  for (let i = 0; i < repeats; i++) {
    const one = await ask(persona('Edda', 'Tell me a story.'), { maxTokens: 40, temperature: 0.9, seed: i });
    alone.push(median(one.gapsMs));
    const four = await Promise.all(
      [1, 2, 3, 4].map((n) =>
        ask(persona('Edda', 'Tell me a story.'), { maxTokens: 40, temperature: 0.9, seed: n + 10 * i }),
      ),
    );
    together.push(median(four.flatMap((f) => f.gapsMs)));
  }
  return {
    aloneMsPerToken: round(median(alone)),
    fourStreamsMsPerTokenToAlone: round(median(together) / median(alone)),
  };
}

const once = await sentences();
const figures = {
  bench: 'engine',
  model: engine.model,
  threads: config.threads,
  ...once,
  ...(await fourAtOnce(once.coldMs)),
  ...(await othersWhilePrefilling()),
  ...(await cancels()),
  ...(await throughput()),
};
await engine.close();
await rm(home, { recursive: true, force: true });
const meanings: [keyof typeof figures, string][] = [
  ['secondToFirst', 'second sentence, time to first token, of the first (persona of 300 tokens)'],
  ['afterRestartToFirst', 'first sentence after a new start, from the state on disk, of the first ever'],
  [
    'fourAtOncePrefills',
    'prompt tokens computed for four players at once on a cold character, of one prompt',
  ],
  ['fourAtOnceSlowestToCold', 'the slowest of the four, time to first token, of one alone'],
  [
    'worstGapToUsual',
    'worst wait for a token of three others during a prefill of 300 tokens, of the usual wait',
  ],
  ['medianWorstGapMs', 'the same in ms, median of the runs'],
  ['worstGapMs', 'the same in ms, worst of all runs'],
  ['cancelTokens', 'tokens decoded after a cancel'],
  ['cancelPrefillTokens', 'prompt tokens prefilled after a cancel, nobody else there'],
  ['fourStreamsMsPerTokenToAlone', 'time for a token with four streams, of one alone'],
];
for (const [key, meaning] of meanings)
  process.stdout.write(`${String(figures[key]).padStart(9)}  ${meaning}\n`);
process.stdout.write(`${JSON.stringify(figures)}\n`);
