// `npm run eval`: asks the held-out questions through the real stack, prints the arms side by side, and ends with one
// line of JSON. Answers that were had before, in the same setting, are not asked for again.

import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { armsOf, settingOf } from '../evaluation/arms.ts';
import { ArmError, evaluate, usualParallel } from '../evaluation/evaluate.ts';
import { factsForAll, sharesOf } from '../evaluation/facts.ts';
import { loadQuestions, type Question, QuestionError } from '../evaluation/questions.ts';
import { rejudge } from '../evaluation/rejudge.ts';
import { report } from '../evaluation/report.ts';
import { type ArmResult, byId, readResults, writeResult } from '../evaluation/results.ts';
import { faultNames } from '../evaluation/score.ts';
import { compare } from '../evaluation/summary.ts';
import { aligned, faultRows, kindRows, mainRows, npcRows } from '../evaluation/table.ts';
import { CharacterError, type Characters, loadCharacters } from '../npcs/characters.ts';
import { readExchanges } from '../npcs/read-exchanges.ts';
import { type Config, ConfigError, readConfig } from '../runtime/config.ts';
import { Recollection } from '../tiers/recollection/recollection.ts';
import { faultsOfHeldOut, readHeldOut } from '../training/authoring/held-out.ts';
import { drills } from '../training/drills.ts';
import { repository } from './stack/servers.ts';
import { Complaint } from './talk/complaint.ts';

const usage = `usage: npm run eval [-- --arm NAME[=FILE.gguf] … --npc ID … --only QUESTION … --limit N --parallel N --fresh --practice --json]
       npm run eval -- --report
       npm run eval -- --held-out
       npm run eval -- --facts --practice

  --arm NAME[=FILE]  base (the model alone), shipped, champion, or an adapter under a name of your choice; several are
                     asked in turns. Without any: base, and shipped where there is one
  --npc ID           the questions of this character alone
  --only QUESTION    this question alone, and its answers in full
  --limit N          the first N questions of each character
  --parallel N       questions at once (${usualParallel} here)
  --fresh            asks again what was answered before
  --practice         asks evaluation/practice instead, the questions that things are tuned by; writes no results
  --json             nothing on standard output but the last line
  --report           asks nothing; judges evaluation/results again and writes EVALUATION.md
  --held-out         asks nothing; whether an exchange of npcs/exchanges is a question, or nearly one
  --facts            asks no model; whether the facts that prompts would tell hold the answers, and where not

A run over all questions writes evaluation/results/NAME.json.`;

const questionsFolder = join(repository, 'evaluation', 'questions');
const practiceFolder = join(repository, 'evaluation', 'practice');
const results = join(repository, 'evaluation', 'results');
const say = (line: string) => void process.stderr.write(`${line}\n`);

function readArguments() {
  try {
    return parseArgs({
      options: {
        arm: { type: 'string', multiple: true, default: [] },
        npc: { type: 'string', multiple: true, default: [] },
        only: { type: 'string', multiple: true, default: [] },
        limit: { type: 'string' },
        parallel: { type: 'string', default: String(usualParallel) },
        fresh: { type: 'boolean', default: false },
        practice: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
        report: { type: 'boolean', default: false },
        facts: { type: 'boolean', default: false },
        'held-out': { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    }).values;
  } catch (error) {
    throw new Complaint(`${(error as Error).message}\n${usage}`);
  }
}

function wholeNumber(name: string, raw: string | undefined): number | undefined {
  if (raw === undefined) return undefined;
  if (/^[1-9]\d{0,5}$/.test(raw)) return Number(raw);
  throw new Complaint(`--${name} ${raw} is no whole number from 1 on`);
}

/** The questions that are meant. Throws Complaint for a word that means none. */
function select(
  questions: readonly Question[],
  { npc, only, limit }: { npc: readonly string[]; only: readonly string[]; limit?: string | undefined },
): Question[] {
  const most = wholeNumber('limit', limit) ?? Number.POSITIVE_INFINITY;
  for (const id of npc) {
    if (!questions.some((question) => question.npc === id))
      throw new Complaint(`--npc ${id} has no questions`);
  }
  for (const id of only) {
    if (!questions.some((question) => question.id === id)) throw new Complaint(`--only ${id} is no question`);
  }
  const counts = new Map<string, number>();
  return questions.filter((question) => {
    if (npc.length > 0 && !npc.includes(question.npc)) return false;
    if (only.length > 0 && !only.includes(question.id)) return false;
    const count = (counts.get(question.npc) ?? 0) + 1;
    counts.set(question.npc, count);
    return count <= most;
  });
}

/** The last line: of the last arm, with the base beside it. */
function figures(questions: readonly Question[], arms: readonly ArmResult[]) {
  const round = (value: number) => (Number.isFinite(value) ? Math.round(value * 10_000) / 10_000 : null);
  const last = arms.at(-1)!;
  const base = arms.find(({ arm }) => arm === 'base');
  const of = ({ scores }: ArmResult) => ({
    accuracy: round(scores.accuracy.share),
    weakest: round(scores.weakest.share),
    weakestNpc: scores.weakest.npc,
    outOfScope: round(scores.outOfScope.share),
    speechActAgreement: round(scores.speechActAgreement.share),
    tokensPerSecond: round(scores.tokensPerSecond),
  });
  return {
    arm: last.arm,
    questions: last.answers.length,
    ...of(last),
    baseAccuracy: base ? round(base.scores.accuracy.share) : null,
    // Tokens a second, of those of the base; null where they were not asked in turns.
    speedToBase: base && base !== last ? round(compare(questions, [byId(base), byId(last)]).speed) : null,
    arms: Object.fromEntries(arms.map((arm) => [arm.arm, of(arm)])),
  };
}

function print(arms: readonly ArmResult[]): void {
  const columns = arms.map(({ arm, scores }) => ({ arm, scores }));
  const head = (title: string): [string, ...string[]] => [title, ...arms.map(({ arm }) => arm)];
  const tables = [
    aligned(head('all characters'), mainRows(columns)),
    aligned(head('accuracy'), npcRows(columns)),
    aligned(head('right'), kindRows(columns)),
    aligned(head('faults'), faultRows(columns)),
  ];
  process.stdout.write(`\n${tables.join('\n\n')}\n\n`);
}

/** The answers to single questions, with all turns and the reasons. */
function printAnswers(questions: readonly Question[], arms: readonly ArmResult[]): void {
  for (const { id, turns } of questions) {
    for (const { arm, answers } of arms) {
      const answer = answers.find((one) => one.id === id)!;
      const why = answer.faults.map(({ why, what }) => `${faultNames[why]} (${what})`).join(', ');
      process.stdout.write(`\n${id}, ${arm}: ${answer.right ? 'right' : `wrong: ${why}`}\n`);
      for (const [i, turn] of turns.entries())
        process.stdout.write(`  > ${turn}\n  ${answer.said[i] ?? ''}\n`);
      for (const act of answer.acts)
        process.stdout.write(`  [${[act.name, ...Object.values(act.args)].join(' ')}]\n`);
    }
  }
}

/** Judges what is kept, writes it back and the page with it. */
function writeReport(questions: readonly Question[], cast: Characters): ArmResult[] {
  const arms = readResults(results).map((result) => rejudge(result, questions, cast));
  if (arms.length === 0) throw new Complaint(`${results} holds no result. Run: npm run eval`);
  for (const arm of arms) writeResult(results, arm);
  writeFileSync(join(repository, 'EVALUATION.md'), report(questions, arms));
  return arms;
}

/** Throws Complaint for every exchange and drill that comes near a question. */
async function checkHeldOut(cast: Characters, npcs: string): Promise<void> {
  const { all, faults } = await readExchanges(npcs, cast.characters);
  const heldOut = await readHeldOut(questionsFolder);
  const trained = [...all, ...drills(cast.characters)];
  const found = [...faults, ...heldOut.faults, ...faultsOfHeldOut(trained, heldOut)];
  if (found.length > 0) throw new Complaint(found.join('\n'));
  process.stdout.write(
    `${heldOut.questions.length} held-out turns, none of them near ${trained.length} exchanges and drills\n`,
  );
}

/** What recall is worth by itself. */
async function printFacts(questions: readonly Question[], cast: Characters, config: Config): Promise<void> {
  const npcs = resolve(repository, config.npcs);
  const recollection = await Recollection.learnt({ npcs, setting: config.recall }, cast.characters);
  const told = await factsForAll(questions, cast, recollection);
  await recollection?.close();
  for (const { question, facts, rightAt } of told) {
    if (rightAt === 0) continue;
    process.stdout.write(
      `${question.id} ${rightAt < 0 ? 'none' : 'second'}: ${question.turns.join(' | ')}\n`,
    );
    for (const fact of facts) process.stdout.write(`  ${fact}\n`);
  }
  process.stdout.write('\n');
  for (const [kind, { all, first, any }] of sharesOf(told))
    process.stdout.write(`${kind.padEnd(10)} ${all} questions, first fact right ${first}, any ${any}\n`);
}

async function main(): Promise<void> {
  const values = readArguments();
  if (values.help) {
    process.stdout.write(`${usage}\n`);
    return;
  }
  const config = readConfig();
  const home = resolve(config.home);
  const npcs = resolve(repository, config.npcs);
  const cast = await loadCharacters(npcs);
  if (values['held-out']) return checkHeldOut(cast, npcs);
  const all = await loadQuestions(values.practice ? practiceFolder : questionsFolder, cast);
  if (values.facts) return printFacts(select(all, values), cast, config);
  let arms: ArmResult[];
  if (values.report) {
    arms = writeReport(all, cast);
    say('wrote EVALUATION.md');
  } else {
    const questions = select(all, values);
    const wanted = await armsOf(values.arm, config).catch((error: Error) => {
      throw new Complaint(error.message);
    });
    arms = await evaluate({
      questions,
      arms: wanted,
      setting: await settingOf(config, cast),
      cast,
      home,
      parallel: wholeNumber('parallel', values.parallel)!,
      fresh: values.fresh,
      say,
    });
    // A worker takes an edited character over at once, so some answers would be another's.
    if ((await loadCharacters(npcs)).version !== cast.version)
      throw new Complaint('A character was edited while questions were asked. Run it again with --fresh');
    if (questions.length === all.length && !values.practice)
      for (const arm of arms) writeResult(results, arm);
    if (values.only.length > 0 && !values.json) printAnswers(questions, arms);
  }
  if (!values.json) print(arms);
  process.stdout.write(`${JSON.stringify(figures(all, arms))}\n`);
}

try {
  await main();
} catch (error) {
  const expected = [Complaint, ConfigError, QuestionError, CharacterError, ArmError].some(
    (kind) => error instanceof kind,
  );
  process.stderr.write(`${expected ? (error as Error).message : (error as Error).stack}\n`);
  process.exitCode = 1;
}
