// What was answered, on disk. A journal in PARLEY_HOME takes each answer as it comes, so that a run that was ended goes
// on where it was; evaluation/results/<arm>.json is the whole of a finished arm, kept with the repository.

import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import type { AdapterFile, Arm, Setting } from './arms.ts';
import type { Asked } from './ask.ts';
import { askedHash, hashOf, type Question } from './questions.ts';
import type { Verdict } from './score.ts';
import type { Scores } from './summary.ts';

/** An answer with when and to what it was given. */
export interface Entry extends Asked {
  readonly id: string;
  /** Of what was asked. */
  readonly asked: string;
  /** The run that asked: arms of one run were asked in turns, so their speeds can be compared. */
  readonly run: string;
}

export interface ArmResult extends Setting {
  readonly form: 1;
  readonly arm: string;
  readonly adapter: AdapterFile | null;
  /** Of the questions. */
  readonly questions: string;
  /** ISO 8601, of the last run; and seconds that the worker took for the answers that are judged. */
  readonly date: string;
  readonly seconds: number;
  readonly scores: Scores;
  /** In the order of the questions, each with its verdict. */
  readonly answers: readonly (Entry & Omit<Verdict, 'id'>)[];
}

/** The answers of one arm in one setting. */
export class Journal {
  private readonly file: string;
  private readonly entries = new Map<string, Entry>();

  /** Reads what is there; a line that was cut short by a crash is left out. `fresh` reads nothing. */
  constructor(home: string, arm: Arm, setting: Setting, { fresh = false } = {}) {
    const { model, characters, code } = setting;
    const folder = join(home, 'evaluation');
    const of = hashOf(JSON.stringify([arm.adapter?.sha256 ?? 'none', model, characters, code]));
    this.file = join(folder, `${of}.jsonl`);
    mkdirSync(folder, { recursive: true });
    // What is answered anew is written after the old, and the last line of a question counts.
    if (fresh || !existsSync(this.file)) return;
    for (const line of readFileSync(this.file, 'utf8').split('\n')) {
      try {
        const entry = JSON.parse(line) as Entry;
        this.entries.set(entry.asked, entry);
      } catch {
        // The last line of a run that was killed, or the empty one at the end.
      }
    }
  }

  find(question: Question): Entry | undefined {
    const entry = this.entries.get(askedHash(question));
    return entry && { ...entry, id: question.id };
  }

  add(question: Question, run: string, asked: Asked): void {
    const entry: Entry = { id: question.id, asked: askedHash(question), run, ...asked };
    this.entries.set(entry.asked, entry);
    appendFileSync(this.file, `${JSON.stringify(entry)}\n`);
  }
}

/** Writes `<arm>.json`, an answer a line, whole or not at all. */
export function writeResult(folder: string, { answers, ...rest }: ArmResult): void {
  mkdirSync(folder, { recursive: true });
  const file = join(folder, `${rest.arm}.json`);
  const head = JSON.stringify(rest, null, 1).replace(/\n}$/, '');
  const lines = answers.map((answer) => JSON.stringify(answer)).join(',\n');
  writeFileSync(`${file}.draft`, `${head},\n "answers": [\n${lines}\n]}\n`);
  renameSync(`${file}.draft`, file);
}

/** In this order; arms of other names stand between them. */
const first = ['base', 'sft', 'srl', 'rlvr'];
const last = ['champion', 'shipped'];

/** Every arm of a folder, in the order of training. Throws an Error that names a file that is none. */
export function readResults(folder: string): ArmResult[] {
  const names = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith('.json')) : [];
  const results = names.sort().map((name) => {
    const result = JSON.parse(readFileSync(join(folder, name), 'utf8')) as ArmResult;
    if (result.form !== 1 || !Array.isArray(result.answers))
      throw new Error(`${join(folder, name)} is no result of npm run eval; remove it`);
    return result;
  });
  const place = ({ arm }: ArmResult) =>
    first.includes(arm) ? first.indexOf(arm) : first.length + 1 + last.indexOf(arm);
  return results.sort((a, b) => place(a) - place(b));
}

/** The answers of an arm by question. */
export function byId({ answers }: ArmResult): ReadonlyMap<string, ArmResult['answers'][number]> {
  return new Map(answers.map((answer) => [answer.id, answer]));
}
