// What a small model is to answer to a prompt: words that stand in it. A model of a hundred million parameters makes up what it
// is not told, and repeats what it is; so it learns which of the facts in its prompt answers the words, and never to say what
// no fact of its prompt says. Larger models learn the authored words (`--as-authored`).

import type { Characters } from '../npcs/characters.ts';
import type { AuthoredAct, Kind } from '../npcs/exchange.ts';
import type { Authored } from '../npcs/read-exchanges.ts';
import { plain } from './plain.ts';

/** An authored turn with the facts of its prompt. */
export interface Told {
  readonly npc: string;
  readonly kind: Kind;
  readonly answer: string;
  readonly does: readonly AuthoredAct[];
  readonly facts: readonly string[];
  /** The answer to a sum, where one is asked for. */
  readonly sum?: string;
}

/** The answer to learn; undefined where the prompt tells none that is right. */
export type Teach = (told: Told) => string | undefined;

/** Kinds in which one answer is as right as another of the same character. */
const alike: ReadonlySet<Kind> = new Set(['unknown', 'safety', 'language']);

/** Teaches what these exchanges tell. */
export function teacher(all: readonly Authored[], set: Characters): Teach {
  const meanings = meaningsOf(all, set);
  return ({ npc, kind, answer, does, facts, sum }) => {
    if (sum !== undefined) return does.length === 0 ? sum : undefined;
    if (facts.includes(answer)) return answer;
    const means = meanings.get(keyOf(npc, answer)) ?? meaningOf({ kind, does }, answer);
    return facts.find((fact) => meanings.get(keyOf(npc, fact)) === means);
  };
}

/** What every authored answer comes to: answers of one meaning can stand for each other. */
function meaningsOf(all: readonly Authored[], set: Characters): ReadonlyMap<string, string> {
  const meanings = new Map<string, string>();
  const inFacts = plain(all, set);
  for (const [i, { npc, exchange, rows }] of all.entries()) {
    for (const [r, row] of rows.entries())
      for (const [t, { answer, does }] of row.turns.entries()) {
        const fact = inFacts[i]!.rows[r]!.turns[t]!.answer;
        meanings.set(keyOf(npc, answer), meaningOf({ kind: exchange.kind, does }, fact));
      }
  }
  return meanings;
}

function meaningOf({ kind, does }: Pick<Told, 'kind' | 'does'>, fact: string): string {
  return JSON.stringify([does, alike.has(kind) ? kind : fact]);
}

function keyOf(npc: string, answer: string): string {
  return `${npc} ${answer}`;
}
