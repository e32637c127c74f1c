// EVALUATION.md, out of the results of the arms. Judges nothing: what it shows is counted in summary.ts.

import type { Question } from './questions.ts';
import { type ArmResult, byId } from './results.ts';
import { faultNames } from './score.ts';
import { compare } from './summary.ts';
import { faultRows, kindRows, mainRows, markdown, npcRows } from './table.ts';
import { mostSentences, mostWords } from './wording.ts';

/** Questions whose answers are shown. */
const shown = 12;

/** The page as text. The first result is what the others are compared with. Throws an Error without any. */
export function report(questions: readonly Question[], results: readonly ArmResult[]): string {
  const base = results[0];
  if (!base) throw new Error('There is no result yet. Run: npm run eval');
  const head = (title: string) => [title, ...results.map(({ arm }) => arm)] as [string, ...string[]];
  return [
    '# Evaluation',
    '',
    'Printed by `npm run eval -- --report` from `evaluation/results/`; edit nothing here. How questions are written stands',
    'in [evaluation/questions/README.md](evaluation/questions/README.md), how they are judged in',
    '[evaluation/README.md](evaluation/README.md).',
    '',
    '## What was asked',
    '',
    ...whatWasAsked(questions, results),
    '',
    '## Side by side',
    '',
    'Shares with their intervals of 95 % (Wilson). Accuracy is over questions that have an answer: fact, sum, dialogue, buy.',
    '',
    markdown(head('all characters'), mainRows(results)),
    '',
    markdown(head('accuracy by character'), npcRows(results)),
    '',
    markdown(head('right by kind'), kindRows(results)),
    '',
    markdown(head('answers with this fault'), faultRows(results)),
    '',
    ...differences(questions, results),
    '## Some answers',
    '',
    'Of each character two, by chance (the hash of the question): one that the last arm answered wrong, where there is one,',
    'and another.',
    '',
    ...examples(questions, results),
    '## The arms',
    '',
    markdown(
      ['arm', 'adapter', 'trained on', 'asked', 'time of the worker', 'tokens a second'],
      results.map(({ arm, adapter, date, seconds, scores }) => [
        arm,
        adapter ? `${adapter.file}, ${megabytes(adapter.bytes)}, sha256 ${adapter.sha256}` : 'none',
        adapter?.data ?? '-',
        date.slice(0, 16).replace('T', ' '),
        `${Math.round(seconds)} s`,
        Number(scores.tokensPerSecond).toFixed(1),
      ]),
    ),
    '',
    ...stale(questions, results),
  ].join('\n');
}

function whatWasAsked(questions: readonly Question[], results: readonly ArmResult[]): string[] {
  const npcs = new Set(questions.map(({ npc }) => npc)).size;
  const { model, characters, exchanges } = results[0]!;
  return [
    `${questions.length} held-out questions to ${npcs} characters, never trained on, asked through the whole stack: a gateway, a`,
    'worker with the model, NATS, Redis, the SDK, one fresh player a question, whose gold the game tells as a backend would. Of a',
    `dialogue the last answer counts. An answer is right when it says what it must and nothing that it must not, in at most`,
    `${mostSentences} sentences and ${mostWords} words of English, in character, without going round in circles, with the acts that the question calls for.`,
    `The same words for the sixth time to questions that have no answer are babble.`,
    '',
    `Model ${model}; characters ${characters}; exchanges ${exchanges}.`,
  ];
}

function differences(questions: readonly Question[], [base, ...others]: readonly ArmResult[]): string[] {
  if (!base || others.length === 0) return [];
  const rows = others.map((other): [string, ...string[]] => {
    const { accuracy, outOfScope, speed, speedOf } = compare(questions, [byId(base), byId(other)]);
    const cell = ({ won, lost, difference, p }: typeof accuracy) =>
      `${difference >= 0 ? '+' : ''}${(100 * difference).toFixed(1)} points, ${won} won, ${lost} lost, ${pText(p)}`;
    const fast =
      speedOf === 0 ? 'not asked in one run' : `${speed.toFixed(2)} of ${base.arm} (${speedOf} answers)`;
    return [other.arm, cell(accuracy), cell(outOfScope), fast];
  });
  return [
    `Differences from ${base.arm} on the same questions, with the p-value of McNemar's test (exact, two-sided). Speed is tokens a`,
    'second, as the median of the ratios of questions that both were asked in turns.',
    '',
    markdown(['arm', 'accuracy', 'out of scope', 'speed'], rows),
    '',
  ];
}

const pText = (p: number) => (p < 0.001 ? 'p < 0.001' : `p = ${p.toFixed(3)}`);
const megabytes = (bytes: number) => `${(bytes / 1_048_576).toFixed(1)} MB`;

function examples(questions: readonly Question[], results: readonly ArmResult[]): string[] {
  const arms = results.map((result) => new Map(result.answers.map((answer) => [answer.id, answer])));
  const lines: string[] = [];
  for (const { id, turns } of pick(questions, results.at(-1)!)) {
    lines.push(`**${id}** ${turns.map((turn) => `"${turn}"`).join(' then ')}`, '');
    for (const [i, { arm }] of results.entries()) {
      const answer = arms[i]!.get(id);
      if (!answer) continue;
      const acts = answer.acts
        .map(({ name, args }) => `[${[name, ...Object.values(args)].join(' ')}]`)
        .join(' ');
      const why = [...new Set(answer.faults.map((fault) => faultNames[fault.why]))].join('; ');
      const text = (answer.said.at(-1) ?? '').replace(/\s+/g, ' ').replace(/([|*_<>`[\]])/g, '\\$1');
      lines.push(
        `- ${arm}, ${answer.right ? 'right' : 'wrong'}: ${text} ${acts}`.trimEnd() + (why ? ` (${why})` : ''),
      );
    }
    lines.push('');
  }
  return lines;
}

/** Two of each character: a wrong one where there is one, the rest by the hash of what was asked. */
function pick(questions: readonly Question[], { answers }: ArmResult): Question[] {
  const answered = new Map(answers.map((answer) => [answer.id, answer]));
  const npcs = [...new Set(questions.map(({ npc }) => npc))];
  return npcs
    .flatMap((npc) => {
      const own = questions
        .filter(({ npc: whose, id }) => whose === npc && answered.has(id))
        .sort((a, b) => answered.get(a.id)!.asked.localeCompare(answered.get(b.id)!.asked));
      const wrong = own.find(({ id }) => !answered.get(id)!.right);
      const others = own.filter((question) => question !== wrong);
      return (wrong ? [wrong, ...others] : others).slice(0, Math.max(1, Math.round(shown / npcs.length)));
    })
    .slice(0, shown);
}

/** What no longer is as it was asked. */
function stale(questions: readonly Question[], results: readonly ArmResult[]): string[] {
  return results
    .filter(({ answers }) => answers.length < questions.length)
    .map(
      ({ arm, answers }) =>
        `Of ${arm}, ${questions.length - answers.length} questions were added or changed after it was asked.\n`,
    );
}
