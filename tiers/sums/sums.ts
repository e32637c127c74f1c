// The answer to a sum, of gold, of time or of what was counted, where words ask for one: reckoned by the program, not by the model.

import type { Character } from '../../npcs/characters.ts';
import { reckonCount } from './counted.ts';
import { reckon, type Sum } from './gold.ts';
import { reckonRate } from './rates.ts';

/** As the character can say it; undefined where none is asked for, or where it is not clear what is meant. */
export function sumOf(
  { wares, counts }: Pick<Character, 'wares' | 'counts'>,
  said: Omit<Sum, 'wares'>,
): string | undefined {
  return (
    reckonRate({ counts, wares }, said.words, said.before) ??
    reckon({ wares, ...said }) ??
    reckonCount(counts, said.words, said)
  );
}
