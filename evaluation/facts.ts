// What recall is worth without a model: whether the facts that a prompt would tell hold what must be said, and nothing that
// must not, and whether who says them does what must be done. An answer before the last is taken to be the first fact of its
// prompt that is no state of the game. Asks no engine.

import type { Characters } from '../npcs/characters.ts';
import { agree } from '../tiers/agreement.ts';
import type { Turn } from '../tiers/engine.ts';
import { factsOf, textsToRecall } from '../tiers/prompt.ts';
import { stateLines } from '../tiers/recall.ts';
import type { Recollection } from '../tiers/recollection/recollection.ts';
import type { Kind, Question } from './questions.ts';
import { type FaultName, judge } from './score.ts';

/** Faults that lie in what is told. */
const telling: readonly FaultName[] = ['missing', 'forbidden', 'actMissing', 'actUnwanted'];

export interface Told {
  readonly question: Question;
  readonly facts: readonly string[];
  /** Which fact answers the question, from 0; -1 where none does. */
  readonly rightAt: number;
}

/** What a conversation, oldest turn first, brings up at its end. */
export async function factsFor(
  { npc, turns, state = {} }: Pick<Question, 'npc' | 'turns' | 'state'>,
  { characters, game }: Characters,
  recollection: Recollection | undefined,
): Promise<readonly string[]> {
  const character = characters.get(npc)!;
  const history: Turn[] = [];
  let facts: readonly string[] = [];
  for (const words of turns) {
    const recall = await recollection?.of(npc, textsToRecall(character, { history, words }));
    const lines = stateLines(state, game.state, words);
    facts = factsOf({ character, history, words, state: lines, recall }).facts;
    // The state of the game stands before what answers; of two answers the first is the likelier.
    const answer = facts.find((fact) => !lines.beside.includes(fact)) ?? facts.at(-1);
    history.push({ player: words, npc: answer ?? 'Well.' });
  }
  return facts;
}

/** The facts for the last turn of each question, and which of them answers it. */
export async function factsForAll(
  questions: readonly Question[],
  cast: Characters,
  recollection: Recollection | undefined,
): Promise<Told[]> {
  const { characters, game } = cast;
  const told: Told[] = [];
  for (const question of questions) {
    const facts = await factsFor(question, cast, recollection);
    const rightAt = facts.findIndex((fact) => {
      const { due } = agree(characters.get(question.npc)!, game, {
        words: question.turns.at(-1)!,
        speech: fact,
      });
      const acts = due.map(({ verb, args }) => ({ name: verb, args }));
      const answer = { said: [fact], acts, reason: 'stop', source: 'live' };
      const { faults } = judge(question, answer, { characters, verbs: game.verbs });
      return !faults.some(({ why }) => telling.includes(why));
    });
    told.push({ question, facts, rightAt });
  }
  return told;
}

/** Of each kind: how many questions, how many the first fact answers, how many any. */
export function sharesOf(
  told: readonly Told[],
): ReadonlyMap<Kind, { all: number; first: number; any: number }> {
  const shares = new Map<Kind, { all: number; first: number; any: number }>();
  for (const { question, rightAt } of told) {
    const share = shares.get(question.kind) ?? { all: 0, first: 0, any: 0 };
    share.all++;
    if (rightAt === 0) share.first++;
    if (rightAt >= 0) share.any++;
    shares.set(question.kind, share);
  }
  return shares;
}
