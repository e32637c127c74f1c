// Speculation on and off on the embedded engine: the villagers answer the same questions, each arm in turns. Whether the
// words are the same is looked at too.

import { loadCharacters } from '../../npcs/characters.ts';
import { readConfig } from '../../runtime/config.ts';
import type { Prompt } from '../../tiers/engine.ts';
import type { SpeculationMode } from '../../tiers/gold/speculation.ts';
import { buildPrompt } from '../../tiers/prompt.ts';
import { percentile } from '../loop/frames.ts';
import { type Arms, contextTokens } from './arms.ts';
import { ask } from './ask.ts';

const questions = [
  'Hello, who are you?',
  'What do you sell?',
  'What happened at the mine?',
  'Where can I sleep tonight?',
  'Tell me about this village.',
];
const answerTokens = 32;

export interface Guessing {
  readonly questions: number;
  /** Milliseconds a token of whole answers without guesses, by those with them: medians over the questions. */
  readonly onSpeedUp: number;
  readonly autoSpeedUp: number;
  /** Of what `on` guessed. */
  readonly acceptance: number;
  readonly draftMs: number;
  /** Answers of either that were not those of `off`. */
  readonly different: number;
}

/** Asks `rounds` villagers each question with guesses always, where they pay, and never. */
export async function guessing(arms: Arms, rounds: number): Promise<Guessing> {
  const modes: readonly SpeculationMode[] = ['off', 'on', 'auto'];
  const engines = new Map(
    await Promise.all(
      modes.map(
        async (speculation) =>
          [speculation, await arms.anotherLlama({ speculation, sequences: 10 })] as const,
      ),
    ),
  );
  try {
    const { characters } = await loadCharacters(readConfig().npcs);
    const asked: Prompt[] = [...characters.values()]
      .slice(0, rounds)
      .flatMap((character) =>
        questions.map((words) =>
          buildPrompt({ character, history: [], words, contextTokens, maxTokens: answerTokens }),
        ),
      );
    const ratios = { on: [] as number[], auto: [] as number[] };
    let different = 0;
    for (const [i, prompt] of asked.entries()) {
      const ms = new Map<SpeculationMode, number>();
      const texts = new Map<SpeculationMode, string>();
      // Whoever is first finds the machine's caches cold; it is never the same.
      for (const mode of modes.map((_, k) => modes[(i + k) % modes.length]!)) {
        const engine = engines.get(mode)!;
        await ask(engine, prompt, { maxTokens: 1 });
        const { gapsMs, text } = await ask(engine, prompt, { maxTokens: answerTokens });
        ms.set(
          mode,
          gapsMs.reduce((sum, gap) => sum + gap, 0),
        );
        texts.set(mode, text);
      }
      for (const mode of ['on', 'auto'] as const) {
        if (texts.get(mode) !== texts.get('off')) different++;
        else if (ms.get(mode)! > 0) ratios[mode].push(ms.get('off')! / ms.get(mode)!);
      }
    }
    const { acceptance = 0, draftMs = 0 } = engines.get('on')!.stats().speculation ?? {};
    return {
      questions: asked.length,
      onSpeedUp: percentile(ratios.on, 0.5),
      autoSpeedUp: percentile(ratios.auto, 0.5),
      acceptance,
      draftMs,
      different,
    };
  } finally {
    for (const engine of engines.values()) await engine.close();
  }
}
