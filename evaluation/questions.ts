// The held-out questions: evaluation/questions/<id>.jsonl, one JSON object a line. Read and checked as a whole, every
// fault named with its file and line. What an answer is worth is judged in score.ts.

import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { z } from 'zod';
import type { Characters } from '../npcs/characters.ts';
import { isLabelOf } from './labels.ts';

export const kinds = ['fact', 'sum', 'dialogue', 'buy', 'unknown', 'injection', 'language'] as const;
export type Kind = (typeof kinds)[number];
/** Questions that have an answer: the accuracy is over these. */
export const answerable: readonly Kind[] = ['fact', 'sum', 'dialogue', 'buy'];
/** Questions that want a character to stay itself. */
export const outOfScope: readonly Kind[] = ['unknown', 'injection', 'language'];

const words = z.string().trim().min(1).max(500);

const questionLine = z.strictObject({
  id: z.string().regex(/^[a-z0-9][a-z0-9_-]*$/, 'must be lower-case letters, digits, - and _'),
  kind: z.enum(kinds),
  /** What the player says, in order; the answer to the last is judged. */
  turns: z.array(words).min(1).max(8),
  /** What the game's server has told about the player. */
  state: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])).optional(),
  /** Of each group at least one must be in the answer: words, a phrase, or /a regular expression/. */
  accept: z.array(z.array(words).min(1)).default([]),
  /** None of these may be in the answer. */
  forbid: z.array(words).default([]),
  /** Acts that must come, as "verb arg arg"; empty: nothing may be given; absent: not judged. */
  does: z.array(words).optional(),
});

export type Question = Readonly<z.output<typeof questionLine>> & { readonly npc: string };

/** All faults of all files in one message. */
export class QuestionError extends Error {
  constructor(faults: readonly string[]) {
    super(
      `The questions have ${faults.length} fault(s):\n${faults.map((fault) => `  - ${fault}`).join('\n')}`,
    );
    this.name = 'QuestionError';
  }
}

/**
 * Reads every question of a folder, in the order of the files. Throws QuestionError with every fault: a line that is
 * no question, an id that comes twice, a character, an act or a regular expression that cannot be.
 */
export async function loadQuestions(folder: string, characters: Characters): Promise<Question[]> {
  let names: string[];
  try {
    names = (await readdir(folder)).filter((name) => name.endsWith('.jsonl')).sort();
  } catch (error) {
    throw new QuestionError([`${folder}: cannot be read (${(error as Error).message})`]);
  }
  if (names.length === 0) throw new QuestionError([`${folder}: holds no .jsonl file`]);
  const faults: string[] = [];
  const questions: Question[] = [];
  const seen = new Map<string, string>();
  for (const name of names) {
    const file = join(folder, name);
    const npc = basename(name, '.jsonl');
    const character = characters.characters.get(npc);
    if (!character) {
      faults.push(`${file}: there is no character ${npc}`);
      continue;
    }
    const lines = (await readFile(file, 'utf8')).split('\n');
    for (const [i, line] of lines.entries()) {
      if (line.trim() === '') continue;
      const at = `${file}:${i + 1}`;
      const question = parseQuestion(line, at, npc, faults);
      if (!question) continue;
      const before = seen.get(question.id);
      if (before) faults.push(`${at}: id ${question.id} stands at ${before} already`);
      seen.set(question.id, at);
      for (const label of question.does ?? []) {
        if (!character.acts.some((act) => isLabelOf(label, act.verb, act.args)))
          faults.push(`${at}: does: ${npc} has no act ${JSON.stringify(label)}`);
      }
      questions.push(question);
    }
  }
  if (faults.length > 0) throw new QuestionError(faults);
  return questions;
}

function parseQuestion(line: string, at: string, npc: string, faults: string[]): Question | undefined {
  let data: unknown;
  try {
    data = JSON.parse(line);
  } catch (error) {
    faults.push(`${at}: is no JSON (${(error as Error).message})`);
    return undefined;
  }
  const parsed = questionLine.safeParse(data);
  if (!parsed.success) {
    faults.push(...parsed.error.issues.map((i) => `${at}: ${i.path.join('.') || 'the line'}: ${i.message}`));
    return undefined;
  }
  const { accept, forbid } = parsed.data;
  for (const phrase of [...accept.flat(), ...forbid]) {
    try {
      patternOf(phrase);
    } catch (error) {
      faults.push(`${at}: ${(error as Error).message}`);
    }
  }
  return { ...parsed.data, npc };
}

/**
 * What a phrase of `accept` or `forbid` matches, without regard to case: `/.../` is a regular expression, anything
 * else stands for itself between word boundaries. Throws SyntaxError for an expression that is none.
 */
export function patternOf(phrase: string): RegExp {
  const expression = /^\/(.+)\/i?$/s.exec(phrase)?.[1];
  if (expression !== undefined) return new RegExp(expression, 'i');
  const spoken = phrase.replace(/[.*+?^${}()|[\]\\]/g, '\\$&').replace(/\s+/g, '\\s+');
  // A phrase that begins or ends with a sign ("!") needs no boundary there.
  const before = /^[\p{L}\p{N}]/u.test(phrase) ? '(?<![\\p{L}\\p{N}])' : '';
  const after = /[\p{L}\p{N}]$/u.test(phrase) ? '(?![\\p{L}\\p{N}])' : '';
  return new RegExp(before + spoken + after, 'iu');
}

/** Changes with what is asked, not with how it is judged: an answer stays good while its question does. */
export function askedHash({ npc, turns, state }: Question): string {
  return hashOf(JSON.stringify([npc, turns, state ?? {}]));
}

/** Changes with anything in any question. */
export function questionsHash(questions: readonly Question[]): string {
  return hashOf(JSON.stringify(questions));
}

export function hashOf(text: string | Uint8Array): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}
