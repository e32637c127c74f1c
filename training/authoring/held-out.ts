// Whether an exchange is, or is nearly, one of the held-out questions that the evaluation asks: these must not be trained.
// Tells the exchange alone, never the question.

import { readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { z } from 'zod';
import { normal } from '../../npcs/figures.ts';
import type { Authored } from '../../npcs/read-exchanges.ts';
import { keywords, overlap, trigrams } from './words.ts';

/** Of the words that carry a question, and of its letters. */
const nearWords = 0.8;
const nearLetters = 0.75;
/** With fewer words that carry it, or of a turn that goes on from the one before, only equal words count. */
const fewestWords = 3;
/** Another character's question counts where it is the very same, and more than a greeting. */
const fewestAcross = 6;

const line = z.looseObject({ turns: z.array(z.string()).min(1) });

interface Held {
  readonly npc: string;
  readonly normal: string;
  readonly words: ReadonlySet<string>;
  readonly letters: ReadonlySet<string>;
  /** Of a conversation: what stands in the middle of one is short and common. */
  readonly isAlone: boolean;
}

export interface HeldOut {
  readonly questions: readonly Held[];
  readonly faults: readonly string[];
}

/** What is asked in the evaluation, without the answers. A folder that is not there holds none. */
export async function readHeldOut(folder: string): Promise<HeldOut> {
  const names = await readdir(folder).catch(() => []);
  const questions: Held[] = [];
  const faults: string[] = [];
  for (const name of names.filter((file) => file.endsWith('.jsonl')).sort()) {
    const lines = (await readFile(join(folder, name), 'utf8')).split('\n').entries();
    for (const [i, text] of lines) {
      if (text.trim() === '') continue;
      try {
        const { turns } = line.parse(JSON.parse(text));
        for (const turn of turns)
          questions.push({ npc: basename(name, '.jsonl'), ...marksOf(turn), isAlone: turns.length === 1 });
      } catch {
        faults.push(`held-out questions, ${name}:${i + 1}: is no question`);
      }
    }
  }
  return { questions, faults };
}

/** The exchanges that come too near to a held-out question, each with the wording to change. */
export function faultsOfHeldOut(all: readonly Authored[], { questions }: HeldOut): readonly string[] {
  const faults = new Set<string>();
  for (const { npc, exchange, rows, at } of all) {
    for (const wording of new Set(rows.flatMap(({ turns }) => turns.flatMap(({ wordings }) => wordings)))) {
      const marks = marksOf(wording);
      const isAlone = exchange.kind !== 'dialogue';
      if (questions.some((held) => isNear({ npc, ...marks, isAlone }, held)))
        faults.add(
          `${at}: ${JSON.stringify(wording)} comes too near to a held-out question: ask it in other words`,
        );
    }
  }
  return [...faults];
}

function marksOf(text: string): Pick<Held, 'normal' | 'words' | 'letters'> {
  return { normal: normal(text), words: keywords(text), letters: trigrams(text) };
}

function isNear(own: Held, held: Held): boolean {
  const isEqual = own.normal === held.normal;
  if (own.npc !== held.npc) return isEqual && own.isAlone && held.normal.split(' ').length >= fewestAcross;
  // In the middle of a conversation people say "And a shield?": that is no copy.
  const isLong = Math.min(own.words.size, held.words.size) >= fewestWords;
  if (!isLong) return isEqual && own.isAlone && held.isAlone;
  return (
    isEqual ||
    overlap(own.words, held.words) >= nearWords ||
    overlap(own.letters, held.letters) >= nearLetters
  );
}
