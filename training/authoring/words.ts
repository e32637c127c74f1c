// Texts as the checks read them: words, clauses, numbers in digits or words, and how alike two texts are. Knows no
// character and no fact.

import { stems } from '../../tiers/recall.ts';

/** Lower-case words and numbers; an apostrophe does not part a word. */
export function wordsOf(text: string): readonly string[] {
  return (
    text
      .toLowerCase()
      .replace(/['\u2019]/g, '')
      .match(/[\p{L}\p{N}]+/gu) ?? []
  );
}

/** What is left when case, punctuation and blanks do not count. */
export function normal(text: string): string {
  return wordsOf(text).join(' ');
}

/** The parts of a text between which an amount and its thing do not go together. */
export function clauses(text: string): readonly string[] {
  return text.split(/[.!?;:,]|\band\b|\bbut\b|\bso\b/i).filter((clause) => clause.trim() !== '');
}

const small =
  'zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen'.split(
    ' ',
  );
const tens = 'twenty thirty forty fifty sixty seventy eighty ninety'.split(' ');

/** A number and the words around it. */
export interface Figure {
  readonly value: number;
  /** Of a number in words or digits; empty at the ends of the text. */
  readonly before: string;
  readonly after: string;
}

/** The whole numbers of a text from left to right, up to 999 in words. "One" alone is mostly no number, and is none here. */
export function figures(text: string): readonly Figure[] {
  const words = wordsOf(text);
  const found: Figure[] = [];
  for (let i = 0; i < words.length; ) {
    const { value, length } = numberAt(words, i);
    if (length > 0 && !(length === 1 && words[i] === 'one' && !coin.test(words[i + 1] ?? '')))
      found.push({ value, before: words[i - 1] ?? '', after: words[i + length] ?? '' });
    i += Math.max(1, length);
  }
  return found;
}

/** What gold is counted in. */
export const coin = /^(?:gold|golds|coins?|pieces?)$/;

function numberAt(words: readonly string[], at: number): { value: number; length: number } {
  const word = words[at]!;
  if (/^\d{1,7}$/.test(word)) return { value: Number(word), length: 1 };
  const below = belowHundred(words, at);
  const hundred =
    (below.length > 0 ? words[at + below.length] : word === 'a' ? words[at + 1] : word) === 'hundred';
  if (!hundred) return below;
  const start = below.length > 0 ? below.length + 1 : word === 'a' ? 2 : 1;
  const and = words[at + start] === 'and' ? 1 : 0;
  const rest = belowHundred(words, at + start + and);
  const count = below.length > 0 ? below.value : 1;
  return rest.length > 0
    ? { value: count * 100 + rest.value, length: start + and + rest.length }
    : { value: count * 100, length: start };
}

function belowHundred(words: readonly string[], at: number): { value: number; length: number } {
  const ten = tens.indexOf(words[at] ?? '');
  const one = small.indexOf(words[at + (ten < 0 ? 0 : 1)] ?? '');
  if (ten < 0) return one < 0 ? { value: 0, length: 0 } : { value: one, length: 1 };
  const more = one >= 1 && one <= 9;
  return { value: (ten + 2) * 10 + (more ? one : 0), length: more ? 2 : 1 };
}

/** How alike two sets are, from 0 to 1: what they share of what they have together. */
export function overlap(a: ReadonlySet<string>, b: ReadonlySet<string>): number {
  let shared = 0;
  const [few, many] = a.size < b.size ? [a, b] : [b, a];
  for (const part of few) if (many.has(part)) shared++;
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
