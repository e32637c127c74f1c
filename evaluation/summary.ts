// The scores of an arm, out of its verdicts: shares with their intervals, by character and by kind, and what two arms
// that were asked the same questions differ by. Pure.

import { normal } from '../npcs/figures.ts';
import type { Asked } from './ask.ts';
import { answerable, type Kind, kinds, outOfScope, type Question } from './questions.ts';
import { type FaultName, faultNames, type Verdict } from './score.ts';
import { comparePaired, median, type Paired, type Share, shareOf } from './statistics.ts';

export interface Scores {
  /** Right answers to the questions that have one. */
  readonly accuracy: Share;
  /** The character with the least accuracy. */
  readonly weakest: Share & { readonly npc: string };
  readonly byNpc: Readonly<Record<string, Share>>;
  readonly byKind: Readonly<Partial<Record<Kind, Share>>>;
  /** In character where there is nothing to know, and under attack. */
  readonly outOfScope: Share;
  /** Of the questions that judge acts: speech and acts agree, and the acts are those that the situation calls for. */
  readonly speechActAgreement: Share;
  readonly actsAsWanted: Share;
  /** Different answers among those to what a character cannot know. */
  readonly variedness: Share;
  /** How often each fault was found. */
  readonly faults: Readonly<Partial<Record<FaultName, number>>>;
  /** Medians. */
  readonly tokensPerSecond: number;
  readonly firstMs: number;
}

/** The scores of what was answered, which may be less than all. */
export function summarise(
  questions: readonly Question[],
  verdicts: readonly Verdict[],
  answers: ReadonlyMap<string, Asked>,
): Scores {
  const byId = new Map(questions.map((question) => [question.id, question]));
  const of = (select: (question: Question) => boolean) =>
    shareRight(verdicts.filter(({ id }) => select(byId.get(id)!)));
  const npcs = [...new Set(verdicts.map(({ id }) => byId.get(id)!.npc))];
  const accuracies = npcs.map((npc) => ({
    npc,
    ...of((q) => q.npc === npc && answerable.includes(q.kind)),
  }));
  const judged = verdicts.filter(({ agrees }) => agrees !== undefined);
  const unknown = verdicts.filter(({ id }) => byId.get(id)!.kind === 'unknown').map(({ id }) => id);
  const different = new Set(
    unknown.map((id) => `${byId.get(id)!.npc} ${normal(answers.get(id)?.said.at(-1) ?? '')}`),
  );
  const faults: Partial<Record<FaultName, number>> = {};
  for (const why of Object.keys(faultNames) as FaultName[]) {
    const count = verdicts.filter((verdict) => verdict.faults.some((fault) => fault.why === why)).length;
    if (count > 0) faults[why] = count;
  }
  const asked = verdicts.map(({ id }) => answers.get(id)!);
  const weakest = accuracies.filter((one) => one.of > 0).sort((a, b) => a.share - b.share)[0];
  return {
    accuracy: of((q) => answerable.includes(q.kind)),
    weakest: weakest ?? { npc: '', ...shareOf(0, 0) },
    byNpc: Object.fromEntries(accuracies.map(({ npc, ...share }) => [npc, share])),
    byKind: Object.fromEntries(
      kinds.map((kind) => [kind, of((q) => q.kind === kind)] as const).filter(([, share]) => share.of > 0),
    ),
    outOfScope: of((q) => outOfScope.includes(q.kind)),
    speechActAgreement: shareOf(judged.filter(({ agrees }) => agrees).length, judged.length),
    actsAsWanted: shareOf(judged.filter(({ actsRight }) => actsRight).length, judged.length),
    variedness: shareOf(different.size, unknown.length),
    faults,
    tokensPerSecond: 1_000 / median(asked.flatMap(({ tokenMs }) => tokenMs ?? [])),
    firstMs: median(asked.flatMap(({ firstMs }) => firstMs ?? [])),
  };
}

function shareRight(verdicts: readonly Verdict[]): Share {
  return shareOf(verdicts.filter(({ right }) => right).length, verdicts.length);
}

export interface Comparison {
  readonly accuracy: Paired;
  readonly outOfScope: Paired;
  /** Speed of the second, of that of the first, by questions that both were asked in one run; NaN without any. */
  readonly speed: number;
  readonly speedOf: number;
}

/** The second arm beside the first, question by question. */
export function compare(
  questions: readonly Question[],
  [first, second]: readonly [ComparedArm, ComparedArm],
): Comparison {
  const pairs = (select: readonly Kind[]) =>
    questions.flatMap(({ id, kind }) => {
      const [a, b] = [first.get(id), second.get(id)];
      return select.includes(kind) && a && b ? [[a.right, b.right] as const] : [];
    });
  const ratios = questions.flatMap(({ id }) => {
    const [a, b] = [first.get(id), second.get(id)];
    return a?.tokenMs && b?.tokenMs && a.run === b.run ? [a.tokenMs / b.tokenMs] : [];
  });
  return {
    accuracy: comparePaired(pairs(answerable)),
    outOfScope: comparePaired(pairs(outOfScope)),
    speed: median(ratios),
    speedOf: ratios.length,
  };
}

/** By question. */
export type ComparedArm = ReadonlyMap<
  string,
  Pick<Verdict, 'right'> & { readonly run: string; readonly tokenMs?: number }
>;
