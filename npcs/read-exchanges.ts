// Reads the exchanges of all characters from a folder beside them. Every fault is named with its file, line, id and
// place, all in one go. Whether what they say is right is asked in check.ts.

import { readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Character } from './characters.ts';
import { type Exchange, exchangeSchema, type Row, rowsOf } from './exchange.ts';

/** An exchange with where it comes from and all of its rows. */
export interface Authored {
  readonly npc: string;
  readonly exchange: Exchange;
  readonly rows: readonly Row[];
  /** As a fault begins: file, line and id. */
  readonly at: string;
}

export interface Exchanges {
  readonly all: readonly Authored[];
  /** Empty when every line was read. */
  readonly faults: readonly string[];
}

export const exchangesFolder = 'exchanges';

/**
 * The exchanges of these characters, or of all, in the order of the files' names and lines. Never rejects for what a file
 * holds: that is a fault. A character without a file has no exchanges; a file without a character is a fault.
 */
export async function readExchanges(
  npcs: string,
  characters: ReadonlyMap<string, Character>,
  only: readonly string[] = [],
): Promise<Exchanges> {
  const faults: string[] = [];
  const all: Authored[] = [];
  for (const id of only)
    if (!characters.has(id))
      faults.push(`there is no character ${id}; there are ${[...characters.keys()].join(', ')}`);
  const folder = join(npcs, exchangesFolder);
  const names = await readdir(folder).catch((error: Error) => {
    faults.push(`${folder}: cannot be read (${error.message}); each character has a file <id>.jsonl there`);
    return [];
  });
  const seen = new Map<string, string>();
  for (const name of names.filter((file) => file.endsWith('.jsonl')).sort()) {
    const npc = basename(name, '.jsonl');
    const file = `${exchangesFolder}/${name}`;
    if (!characters.has(npc)) faults.push(`${file}: there is no character ${npc}`);
    else if (only.length === 0 || only.includes(npc))
      readLines(await readFile(join(folder, name), 'utf8'), { npc, file, seen, all, faults });
  }
  return { all, faults };
}

interface Reading {
  readonly npc: string;
  readonly file: string;
  /** Ids, and where they were first. */
  readonly seen: Map<string, string>;
  readonly all: Authored[];
  readonly faults: string[];
}

function readLines(content: string, { npc, file, seen, all, faults }: Reading): void {
  for (const [i, line] of content.split('\n').entries()) {
    if (line.trim() === '') continue;
    const place = `${file}:${i + 1}`;
    let raw: unknown;
    try {
      raw = JSON.parse(line);
    } catch (error) {
      faults.push(`${place}: is no JSON (${(error as Error).message})`);
      continue;
    }
    const given = (raw as { id?: unknown } | null)?.id;
    const at = typeof given === 'string' ? `${place} ${given}` : place;
    const parsed = exchangeSchema.safeParse(raw);
    if (!parsed.success) {
      faults.push(...parsed.error.issues.map((issue) => `${at}: ${placeOf(issue.path)}${issue.message}`));
      continue;
    }
    const { id } = parsed.data;
    const before = seen.get(id);
    if (before) faults.push(`${at}: id: is used already at ${before}`);
    else seen.set(id, place);
    if (!id.startsWith(`${npc}-`)) faults.push(`${at}: id: must begin with ${npc}-, as the file is named`);
    all.push({ npc, exchange: parsed.data, rows: rowsOf(parsed.data), at });
  }
}

function placeOf(path: readonly PropertyKey[]): string {
  return path.length === 0 ? '' : `${path.join('.')}: `;
}
