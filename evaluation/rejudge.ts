// Kept answers judged again: questions get more synonyms and scoring gets better after an arm was asked, and then every
// arm is judged by the same rules. An answer to a question that has been worded anew since is left out.

import { judged } from './evaluate.ts';
import { askedHash, type Question } from './questions.ts';
import type { ArmResult } from './results.ts';
import type { Cast } from './score.ts';

export function rejudge(result: ArmResult, questions: readonly Question[], cast: Cast): ArmResult {
  const asked = new Map(questions.map((question) => [question.id, askedHash(question)]));
  const entries = result.answers
    .filter(({ id, asked: then }) => asked.get(id) === then)
    .map(({ right: _right, faults: _faults, agrees: _agrees, actsRight: _actsRight, ...entry }) => entry);
  const { arm: name, adapter } = result;
  const arm = { name, ...(adapter && { adapter }) };
  return { ...judged(entries, { questions, cast, arm, setting: result }), date: result.date };
}
