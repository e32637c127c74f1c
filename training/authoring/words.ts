// Texts as the checks read them: clauses, words that carry a question, and how alike two texts are. Knows no character
// and no fact.

import { normal } from '../../npcs/figures.ts';
import { stems } from '../../tiers/recall.ts';

/** The parts of a text between which an amount and its thing do not go together. */
export function clauses(text: string): readonly string[] {
  return text.split(/[.!?;:,]|\band\b|\bbut\b|\bso\b/i).filter((clause) => clause.trim() !== '');
}

/** How alike two sets are, from 0 to 1: what they share of what they have together. Less than `least` may be told as 0. */
export function overlap(a: ReadonlySet<string>, b: ReadonlySet<string>, least = 0): number {
  const [few, many] = a.size < b.size ? [a, b] : [b, a];
  // So many must be shared for `least`: of millions of pairs most are given up after a few parts.
  const needed = Math.ceil((least * (a.size + b.size)) / (1 + least));
  let missed = 0;
  for (const part of few) {
    if (many.has(part)) continue;
    missed++;
    if (few.size - missed < needed) return 0;
  }
  const shared = few.size - missed;
  const all = a.size + b.size - shared;
  return all === 0 ? 0 : shared / all;
}

/** Runs of three letters, blanks among them: what two texts share when only an ending or a word differs. */
export function trigrams(text: string): ReadonlySet<string> {
  const padded = ` ${normal(text)} `;
  return new Set(Array.from({ length: Math.max(0, padded.length - 2) }, (_, i) => padded.slice(i, i + 3)));
}

/** Words that say nothing of what is asked. */
const filler = stems(
  'a an the is are was be do does did i you me my your it of to in on at for and or so please can could would will there here what how who where when which that this have has s t',
);

/** The words of a question that carry it, by their stems. */
export function keywords(text: string): ReadonlySet<string> {
  return new Set([...stems(text)].filter((stem) => !filler.has(stem)));
}
