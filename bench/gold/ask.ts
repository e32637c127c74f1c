// One question to an engine, with the times of its pieces, for the benches of engines; and the prompts of the gold bench.
// Judges nothing.

import type { Engine, GenerateOptions, Prompt, Usage } from '../../tiers/engine.ts';

export interface Timed {
  readonly firstMs: number;
  /** Between one piece and the next. */
  readonly gapsMs: readonly number[];
  readonly text: string;
  readonly usage: Usage;
}

const never = new AbortController().signal;

/** Reads an answer to its end, greedily unless the options say otherwise. Rejects as the engine does. */
export async function ask(
  engine: Engine,
  prompt: Prompt,
  options: Partial<GenerateOptions> = {},
  signal: AbortSignal = never,
  onPiece: (count: number) => void = () => {},
): Promise<Timed> {
  const began = performance.now();
  const at: number[] = [];
  let text = '';
  let usage: Usage = { prompt: 0, cached: 0, completion: 0 };
  for await (const chunk of engine.generate(prompt, { maxTokens: 2, temperature: 0, ...options }, signal)) {
    if (chunk.type === 'done') usage = chunk.usage;
    else {
      at.push(performance.now());
      text += chunk.text;
      onPiece(at.length);
    }
  }
  return { firstMs: (at[0] ?? Number.NaN) - began, gapsMs: gapsOf(at), text, usage };
}

/** Milliseconds between one time and the next. */
export function gapsOf(at: readonly number[]): number[] {
  return at.slice(1).map((time, i) => time - at[i]!);
}

let strangers = 0;

/** A character that nobody has spoken to, whose persona and example have about 400 tokens and begin like no other's. */
export function stranger(): Prompt {
  const name = `Villager ${++strangers}`;
  const line = `${name} keeps the old mill by the river and grinds the grain of the whole valley. `;
  return {
    npc: `stranger-${strangers}`,
    system: `You are ${name}, the miller of a small village. You tell very long stories. ${line.repeat(17)}`,
    examples: [{ player: 'Good day.', npc: 'Good day to you. The mill is busy and the river is high.' }],
    turns: [],
    player: 'Hello, who are you?',
  };
}
