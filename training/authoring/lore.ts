// What is true in the world of the exchanges, as npcs/exchanges/lore.yaml says it: prices, counts, what nobody may say,
// names, secrets. The author's own; the checks in facts.ts and leaks.ts hold answers against it.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseDocument } from 'yaml';
import { z } from 'zod';
import type { Character } from '../../npcs/characters.ts';
import { exchangesFolder } from '../../npcs/read-exchanges.ts';

const phrase = z.string().trim().min(1).max(60);
const phrases = z.array(phrase).min(1).max(32);

const loreFile = z.strictObject({
  /** Who lives there besides, what places are called: capitalised words that may stand in an answer. */
  names: z.array(phrase).default([]),
  /** Things that have a price, by the words for them; only `by` know it. */
  goods: z
    .array(
      z.strictObject({
        words: phrases,
        /** What players call it when they reckon; too common to take a price next to it for its own. */
        also: z.array(phrase).default([]),
        price: z.number().int().min(0),
        by: phrases,
      }),
    )
    .default([]),
  /** The only number that may stand before these words. */
  counts: z.array(z.strictObject({ of: phrases, are: z.number().int() })).default([]),
  /** What must not be said by a sentence that means it (no denial, no question, no condition). */
  never: z
    .array(
      z.strictObject({
        says: phrases,
        why: z.string().trim().min(1).max(200),
        /** Only these characters must not; all, where it is left out. */
        by: phrases.optional(),
        /** Words that make a wish or a lie of another of it. */
        unless: z.array(phrase).default([]),
        /** Fine when the game tells this. */
        unlessState: z.string().optional(),
      }),
    )
    .default([]),
  /** What nobody tells, not even its owner, and the words that give it away, whether denied or not. */
  secrets: z.array(z.strictObject({ of: phrase, tells: phrases })).default([]),
  /** Words that only one character can say of itself. */
  own: z.record(z.string(), phrases).default({}),
  /** Words that no answer has. */
  forbidden: z.array(phrase).default([]),
});
export type Lore = Readonly<z.output<typeof loreFile>>;

export const loreName = 'lore.yaml';

/** Reads the lore. Throws an Error with every fault: a file that is missing or broken, a character that is none. */
export async function readLore(npcs: string, characters: ReadonlyMap<string, Character>): Promise<Lore> {
  const file = join(npcs, exchangesFolder, loreName);
  const document = parseDocument(await readFile(file, 'utf8'));
  const broken = document.errors.map((error) => error.message.split('\n')[0]!);
  const parsed = loreFile.safeParse(broken.length > 0 ? {} : document.toJS());
  const faults = parsed.success
    ? [...broken, ...strangersIn(parsed.data, characters)]
    : parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`);
  if (!parsed.success || faults.length > 0)
    throw new Error(faults.map((fault) => `${exchangesFolder}/${loreName}: ${fault}`).join('\n'));
  return parsed.data;
}

function strangersIn(lore: Lore, characters: ReadonlyMap<string, Character>): string[] {
  const named = [
    ...lore.goods.flatMap(({ by }) => by),
    ...lore.never.flatMap(({ by = [] }) => by),
    ...lore.secrets.map(({ of }) => of),
    ...Object.keys(lore.own),
  ];
  return [...new Set(named)].filter((id) => !characters.has(id)).map((id) => `there is no character ${id}`);
}
