// One evaluation: the arms are asked in turns, so that a busy machine slows all of them alike; what a journal has is
// not asked again; all answers are judged at the end.

import { availableParallelism } from 'node:os';
import type { Arm, Setting } from './arms.ts';
import { Asker } from './ask.ts';
import { type Question, questionsHash } from './questions.ts';
import { type ArmResult, type Entry, Journal } from './results.ts';
import { type Cast, judgeAll } from './score.ts';
import { summarise } from './summary.ts';

export interface EvaluateOptions {
  readonly questions: readonly Question[];
  readonly arms: readonly Arm[];
  readonly setting: Setting;
  readonly cast: Cast;
  /** PARLEY_HOME, for the journals. */
  readonly home: string;
  /** Questions that are asked at once. */
  readonly parallel: number;
  /** Asks again what the journals have. */
  readonly fresh?: boolean;
  /** Settings of the stacks. */
  readonly env?: NodeJS.ProcessEnv;
  /** Progress, for a person. */
  readonly say: (line: string) => void;
}

/** An arm whose stack does not start; the message ends with the last lines of what did not. */
export class ArmError extends Error {}

/** Resolves with a result an arm, in their order. Rejects with ArmError; what was answered is kept. */
export async function evaluate(options: EvaluateOptions): Promise<ArmResult[]> {
  const { questions, arms, setting, cast, home, fresh } = options;
  const run = new Date().toISOString();
  const journals = arms.map((arm) => new Journal(home, arm, setting, { fresh }));
  await ask(options, journals, run);
  return arms.map((arm, i) => {
    const entries = questions.map((question) => journals[i]!.find(question)!);
    return judged(entries, { questions, cast, arm, setting });
  });
}

/** Asks what the journals do not have. */
async function ask(
  { questions, arms, parallel, env, say }: EvaluateOptions,
  journals: readonly Journal[],
  run: string,
): Promise<void> {
  const open = questions.filter((question) => journals.some((journal) => !journal.find(question)));
  const missing = journals.map((journal) => questions.filter((question) => !journal.find(question)).length);
  for (const [i, arm] of arms.entries()) {
    const had = questions.length - missing[i]!;
    say(`${arm.name}: ${missing[i]} questions to ask${had > 0 ? `, ${had} were answered before` : ''}`);
  }
  if (open.length === 0) return;
  const askers = arms.map((arm, i) => (missing[i] === 0 ? undefined : new Asker(arm, env)));
  try {
    for (const [i, asker] of askers.entries()) {
      if (!asker) continue;
      const { name } = arms[i]!;
      say(`${name}: starting`);
      await asker.start().catch((cause: Error) => {
        throw new ArmError(`--arm ${name} does not start: ${cause.message}`, { cause });
      });
    }
    const began = performance.now();
    for (let at = 0; at < open.length; at += parallel) {
      const batch = open.slice(at, at + parallel);
      for (const [i, asker] of askers.entries()) {
        const due = batch.filter((question) => !journals[i]!.find(question));
        await Promise.all(
          due.map(async (question) => journals[i]!.add(question, run, await asker!.ask(question))),
        );
      }
      const done = at + batch.length;
      const left = ((performance.now() - began) / done) * (open.length - done);
      if (done === open.length || Math.floor(done / 20) > Math.floor(at / 20))
        say(`${done} of ${open.length} asked, ${Math.ceil(left / 60_000)} min left`);
    }
  } finally {
    await Promise.all(askers.map((asker) => asker?.[Symbol.asyncDispose]()));
  }
  const agreed = askers.reduce((sum, asker) => sum + (asker?.agreedTo ?? 0), 0);
  say(`the game's server agreed to ${agreed} acts`);
}

/** The verdicts and scores of an arm. Also for answers from a file, when questions or scoring have changed since. */
export function judged(
  entries: readonly Entry[],
  of: {
    readonly questions: readonly Question[];
    readonly cast: Cast;
    readonly arm: Pick<Arm, 'name' | 'adapter'>;
    readonly setting: Setting;
  },
): ArmResult {
  const { questions, cast, arm, setting } = of;
  const answers = new Map(entries.map((entry) => [entry.id, entry]));
  const verdicts = judgeAll(questions, answers, cast);
  return {
    form: 1,
    arm: arm.name,
    adapter: arm.adapter ?? null,
    ...setting,
    questions: questionsHash(questions),
    date:
      entries
        .map(({ run }) => run)
        .sort()
        .at(-1) ?? '',
    seconds: Math.round(entries.reduce((sum, entry) => sum + modelMs(entry), 0) / 1_000),
    scores: summarise(questions, verdicts, answers),
    answers: verdicts.map((verdict) => ({ ...answers.get(verdict.id)!, ...verdict })),
  };
}

/** What the worker took for the answer that is judged. */
const modelMs = ({ firstMs = 0, tokenMs = 0, tokens = 1 }: Entry) => firstMs + tokenMs * (tokens - 1);

/** How many questions are asked at once when nobody says: half of the processors. */
export const usualParallel = Math.max(1, availableParallelism() >> 1);
