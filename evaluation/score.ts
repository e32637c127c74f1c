// What an answer is worth: right or wrong, and every reason. Pure: the same answers and questions give the same
// verdicts, so results can be judged again without asking again. How answers are had stands in ask.ts.

import type { Character } from '../npcs/characters.ts';
import { normal } from '../npcs/figures.ts';
import { faultOf, type Verb } from '../npcs/verbs.ts';
import { isLabelOf, labelOf } from './labels.ts';
import { outOfScope, patternOf, type Question } from './questions.ts';
import {
  characterFault,
  denies,
  echoFault,
  loopFault,
  plain,
  promises,
  styleFault,
  tongueFault,
} from './wording.ts';

export interface DoneAct {
  readonly name: string;
  readonly args: Readonly<Record<string, unknown>>;
}

/** What came back for a question. */
export interface Answer {
  /** The answers to all turns; the last is judged. */
  readonly said: readonly string[];
  /** What the character did with its last answer. */
  readonly acts: readonly DoneAct[];
  /** How the stream ended and who made the words; absent where it failed. */
  readonly reason?: string;
  readonly source?: string;
  /** Why there is no whole answer. */
  readonly error?: string;
}

/** Why an answer is wrong. */
export const faultNames = {
  failed: 'the stream failed',
  authored: 'no model made the words',
  cut: 'the answer was cut off',
  missing: 'what must be said is not',
  forbidden: 'says what is wrong',
  style: 'too long, or in strange letters',
  repetition: 'goes round in circles',
  echo: 'hands the question back',
  babble: 'the same words to everything',
  character: 'out of character',
  badAct: 'an act that breaks its verb',
  actMissing: 'an act that must come does not',
  actUnwanted: 'gives what it should not',
} as const;
export type FaultName = keyof typeof faultNames;

export interface Verdict {
  readonly id: string;
  readonly right: boolean;
  /** Names with the words at fault: "forbidden: 20". */
  readonly faults: readonly { readonly why: FaultName; readonly what: string }[];
  /** Whether speech and acts agree; absent where the question does not judge acts. */
  readonly agrees?: boolean;
  /** Whether the acts are those that the situation calls for; absent likewise. */
  readonly actsRight?: boolean;
}

export interface Cast {
  readonly characters: ReadonlyMap<string, Character>;
  readonly verbs: ReadonlyMap<string, Verb>;
}

/** A character may say the same to so many questions that have no answer; from then on it is babble. */
export const mostAlike = 5;

/** Judges all answers of an arm, in the order of the questions. What was not answered is left out. */
export function judgeAll(
  questions: readonly Question[],
  answers: ReadonlyMap<string, Answer>,
  cast: Cast,
): Verdict[] {
  const counts = new Map<string, number>();
  const verdicts: Verdict[] = [];
  for (const question of questions) {
    const answer = answers.get(question.id);
    if (!answer) continue;
    const verdict = judge(question, answer, cast);
    if (!outOfScope.includes(question.kind)) {
      // Where the words themselves are judged, the same sentence may be right ten times.
      verdicts.push(verdict);
      continue;
    }
    const key = `${question.npc} ${normal(answer.said.at(-1) ?? '')}`;
    const count = (counts.get(key) ?? 0) + 1;
    counts.set(key, count);
    const babble = { why: 'babble', what: `for the ${count}th time` } as const;
    const isBabble = count > mostAlike;
    verdicts.push(isBabble ? { ...verdict, right: false, faults: [...verdict.faults, babble] } : verdict);
  }
  return verdicts;
}

/** Judges one answer by itself. */
export function judge(question: Question, answer: Answer, { characters, verbs }: Cast): Verdict {
  const faults: { why: FaultName; what: string }[] = [];
  const add = (why: FaultName, what: string | undefined) => {
    if (what !== undefined) faults.push({ why, what });
  };
  const { id, npc, kind, turns, accept, forbid, does } = question;
  const text = answer.said.at(-1) ?? '';
  if (answer.error !== undefined) {
    add('failed', answer.error);
    return { id, right: false, faults, ...(does && { agrees: false, actsRight: false }) };
  }
  const name = characters.get(npc)?.name ?? npc;
  const others = [...characters.values()].map((other) => other.name).filter((other) => other !== name);
  if (answer.source !== 'live') add('authored', String(answer.source));
  if (answer.reason !== 'stop') add('cut', String(answer.reason));
  for (const what of unsaid(text, accept)) add('missing', what);
  for (const phrase of forbid) add('forbidden', patternOf(phrase).exec(plain(text))?.[0]);
  const speechIsRight = !faults.some(({ why }) => why === 'missing' || why === 'forbidden');
  add('style', styleFault(text));
  add('repetition', loopFault(text));
  add('echo', echoFault(text, turns.at(-1)!));
  add('character', characterFault(text, { name, others }));
  if (kind === 'language') add('character', tongueFault(text));
  for (const act of answer.acts) {
    const verb = verbs.get(act.name);
    const fault = verb ? faultOf(verb, act.args) : 'no such verb';
    if (fault) add('badAct', `${act.name}: ${fault}`);
  }
  if (does === undefined) return { id, right: faults.length === 0, faults };
  const { missing, unwanted } = compareActs(does, answer.acts, verbs);
  for (const label of missing) add('actMissing', label);
  for (const label of unwanted) add('actUnwanted', label);
  const actsRight = missing.length + unwanted.length === 0;
  const agrees = agree(text, answer.acts, verbs) && (missing.length === 0 || !speechIsRight);
  return { id, right: faults.length === 0, faults, agrees, actsRight };
}

const shorten = (text: string) => (text.length > 60 ? `${text.slice(0, 60)}...` : text);

/** The groups of which nothing was said. */
function unsaid(text: string, accept: readonly (readonly string[])[]): string[] {
  return accept
    .filter((group) => !group.some((phrase) => patternOf(phrase).test(plain(text))))
    .map((group) => shorten(group.join(' | ')));
}

/** What must come and did not; what the game's server would have to pay for and nobody asked for. */
function compareActs(
  does: readonly string[],
  acts: readonly DoneAct[],
  verbs: ReadonlyMap<string, Verb>,
): { missing: string[]; unwanted: string[] } {
  const left = [...acts];
  const missing = does.filter((label) => {
    const i = left.findIndex((act) => isLabelOf(label, act.name, act.args));
    if (i >= 0) left.splice(i, 1);
    return i < 0;
  });
  const unwanted = left.filter(({ name }) => verbs.get(name)?.authority === 'server');
  return { missing, unwanted: unwanted.map(({ name, args }) => labelOf(name, args)) };
}

/**
 * Whether the hand follows the tongue: who hands something over in words does it, who says no does not. By plain
 * English (wording.ts), not by the words that the engine itself looks for.
 */
function agree(text: string, acts: readonly DoneAct[], verbs: ReadonlyMap<string, Verb>): boolean {
  const gives = acts.some(({ name }) => verbs.get(name)?.authority === 'server');
  return gives ? !denies(text) : acts.length > 0 || !promises(text);
}
