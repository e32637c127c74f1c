// Cold and warm first words, and milliseconds a token with 1, 2, 4 and 8 characters at once, each engine in turns.

import type { Engine } from '../../tiers/engine.ts';
import { percentile } from '../loop/frames.ts';
import { type Arms, askHttp } from './arms.ts';
import { ask, stranger } from './ask.ts';

export interface FirstWords {
  readonly engine: string;
  readonly promptTokens: number;
  readonly coldMs: number;
  readonly warmMs: number;
  /** Median of the ratios of one character each. */
  readonly warmToCold: number;
}

/** A stranger is spoken to by one player and then by another. */
export async function firstWords(engines: readonly Engine[], repeats: number): Promise<FirstWords[]> {
  const seen = engines.map((engine) => ({
    engine: engine.name,
    tokens: 0,
    cold: [] as number[],
    warm: [] as number[],
  }));
  for (let i = 0; i < repeats; i++) {
    for (const [at, engine] of engines.entries()) {
      const prompt = stranger();
      const cold = await ask(engine, prompt);
      const warm = await ask(engine, { ...prompt, player: 'What do you grind there?' });
      if (warm.usage.cached < warm.usage.prompt / 2)
        throw new Error(
          `${engine.name} computed ${warm.usage.prompt - warm.usage.cached} tokens of a prefix that it had`,
        );
      seen[at]!.tokens = cold.usage.prompt;
      seen[at]!.cold.push(cold.firstMs);
      seen[at]!.warm.push(warm.firstMs);
    }
  }
  return seen.map(({ engine, tokens, cold, warm }) => ({
    engine,
    promptTokens: tokens,
    coldMs: percentile(cold, 0.5),
    warmMs: percentile(warm, 0.5),
    warmToCold: percentile(
      cold.map((ms, i) => warm[i]! / ms),
      0.5,
    ),
  }));
}

export interface Together {
  readonly engine: string;
  readonly characters: number;
  readonly p50Ms: number;
  readonly p95Ms: number;
  /** Median gap by that of the same engine with one character. */
  readonly toAlone: number;
}

/** So many characters, warm, tell a story at the same time. */
export async function together(
  engines: readonly Engine[],
  repeats: number,
  tokens: number,
): Promise<Together[]> {
  const gaps = new Map<string, number[]>();
  const counts = [1, 2, 4, 8];
  for (let i = 0; i < repeats; i++) {
    for (const characters of counts) {
      for (const engine of engines) {
        const prompts = Array.from({ length: characters }, () => ({
          npc: `teller-${characters}`,
          system: 'You tell very long stories about the river.',
          examples: [],
          turns: [],
          player: `Tell me a very long story, number ${Math.random()}.`,
        }));
        const options = { maxTokens: tokens, temperature: 0.8, seed: i };
        const answers = await Promise.all(prompts.map((prompt) => ask(engine, prompt, options)));
        // The first gaps hold the prompts of those who are not through yet.
        const of = `${engine.name} ${characters}`;
        gaps.set(of, [...(gaps.get(of) ?? []), ...answers.flatMap(({ gapsMs }) => gapsMs.slice(3))]);
      }
    }
  }
  return engines.flatMap(({ name }) => {
    const alone = percentile(gaps.get(`${name} 1`)!, 0.5);
    return counts.map((characters) => {
      const all = gaps.get(`${name} ${characters}`)!;
      const p50Ms = percentile(all, 0.5);
      return { engine: name, characters, p50Ms, p95Ms: percentile(all, 0.95), toAlone: p50Ms / alone };
    });
  });
}

/** What Triton with our client adds to a first token and to each other one, over the same llama.cpp asked by HTTP. */
export async function tritonAdds(
  { engine, server }: NonNullable<Arms['triton']>,
  repeats: number,
  tokens: number,
) {
  const first = { triton: [] as number[], http: [] as number[] };
  const gaps = { triton: [] as number[], http: [] as number[] };
  const prompt = stranger();
  for (let i = 0; i < repeats; i++) {
    const told = { ...prompt, player: `Tell me story ${i}.` };
    // Not counted: whoever comes first computes the player's words.
    await ask(engine, told, { topK: 1, seed: 1 });
    for (const arm of i % 2 ? (['triton', 'http'] as const) : (['http', 'triton'] as const)) {
      const timed =
        arm === 'triton'
          ? await ask(engine, told, { maxTokens: tokens, topK: 1, seed: 1 })
          : await askHttp(server.modelUrl, told, tokens);
      first[arm].push(timed.firstMs);
      gaps[arm].push(...timed.gapsMs);
    }
  }
  const medians = {
    tritonFirstMs: percentile(first.triton, 0.5),
    httpFirstMs: percentile(first.http, 0.5),
    tritonTokenMs: percentile(gaps.triton, 0.5),
    httpTokenMs: percentile(gaps.http, 0.5),
  };
  return {
    ...medians,
    addedFirstMs: medians.tritonFirstMs - medians.httpFirstMs,
    addedTokenMs: medians.tritonTokenMs - medians.httpTokenMs,
  };
}
