// Which acts are in question, and which go with what was said: speech and act agree by construction. Whoever says
// "take this bread" gives it, whoever says no does not, and no model is asked about that. A pure function.

import type { CharacterAct } from '../npcs/acts.ts';
import type { Character } from '../npcs/characters.ts';
import type { Game } from '../npcs/verbs.ts';
import { isAnySaid, stems } from './recall.ts';

export interface Agreement {
  /** The speech promises them: they are done. */
  readonly due: readonly CharacterAct[];
  /** One of them may be done. */
  readonly open: readonly CharacterAct[];
  /** Whether nothing may be done as well. */
  readonly isFree: boolean;
}

/**
 * Of the acts of a character, those that agree with what was said to it (or the situation) and what it said; without
 * `speech` it said nothing and was not to (mode think). Acts whose verb does not exist are in neither list.
 */
export function agree(
  { acts, choices }: Pick<Character, 'acts' | 'choices'>,
  { verbs, denials }: Pick<Game, 'verbs' | 'denials'>,
  { words, speech }: { words: string; speech?: string },
): Agreement {
  // Sentence by sentence, or a phrase would be put together of words that have nothing to do with each other.
  const heard = sentences(words).map(stems);
  const said = sentences(speech ?? '').map(stems);
  const promises = sentences(speech ?? '').filter((sentence) => isPromise(sentence, denials));
  const due: CharacterAct[] = [];
  const named: CharacterAct[] = [];
  const others: CharacterAct[] = [];
  for (const act of acts) {
    const verb = verbs.get(act.verb);
    if (!verb) continue;
    const isNamed = heard.some((sentence) => isAnySaid(act.about, sentence));
    if (act.says.length > 0) {
      // The speech itself may name what it is about: "Take this bread", to a player who only said yes.
      const isMeant =
        act.about.length === 0 || isNamed || said.some((sentence) => isAnySaid(act.about, sentence));
      if (isMeant && promises.some((sentence) => isAnySaid(act.says, stems(sentence)))) due.push(act);
    } else if (speech === undefined || verb.authority === 'client') {
      if (isNamed) named.push(act);
      // What needs no occasion would cost a question to the model at every word.
      else if (choices === 'all' || (speech === undefined && act.about.length === 0)) others.push(act);
    }
  }
  if (due.length > 0) return { due, open: [], isFree: false };
  if (choices === 'all') return { due, open: [...named, ...others], isFree: true };
  if (named.length === 0) return { due, open: others.slice(0, choices), isFree: true };
  // A small model that may do nothing mostly does: where the situation names an act, it has to choose one.
  return { due, open: named.slice(0, choices), isFree: speech !== undefined };
}

/** A text sentence by sentence. */
export function sentences(text: string): string[] {
  return text.match(/[^.!?;\n]+[.!?;]*/g) ?? [];
}

/** Turns of phrase that sound like a denial and are none. */
const noDenials =
  /\bno (?:trouble|problem|worries|charge|matter|doubt|need to thank)\b|\bwhy not\b|\bnot at all\b/g;

/** Whether a sentence means what it says: it asks nothing, denies nothing, sets no condition. */
export function isPromise(sentence: string, denials: readonly string[]): boolean {
  if (sentence.includes('?')) return false;
  const plain = sentence.toLowerCase().replace(noDenials, ' ');
  if (/n['\u2019]t\b/.test(plain)) return false;
  // Word for word: by their stems, "noted" would be "not".
  const spoken = new Set(wordsIn(plain));
  return !denials.some((denial) => {
    const words = wordsIn(denial.toLowerCase());
    return words.length > 0 && words.every((word) => spoken.has(word));
  });
}

function wordsIn(text: string): readonly string[] {
  return text.match(/[\p{L}\p{N}]+/gu) ?? [];
}
