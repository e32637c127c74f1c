// Renders the authored wordings into what the encoder of recall learns from: which of them ask for the same thing.
// `node --import tsx training/wordings.ts --out FILE`. Wordings of one character whose answers tell the same fact have one
// label, and so have those of one refusal. Renders no prompts (render.ts).

import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { Characters } from '../npcs/characters.ts';
import type { Authored } from '../npcs/read-exchanges.ts';
import { readConfig } from '../runtime/config.ts';
import { readAuthored } from './authored.ts';
import { plain } from './plain.ts';

/** One way to say something. */
export interface Wording {
  readonly npc: string;
  readonly words: string;
  /** Of the same character, the same for wordings that ask for the same. */
  readonly label: string;
}

/** The wordings in the order of the exchanges, each once. Sums are left out: their numbers differ, not their meaning. */
export function wordings(all: readonly Authored[], set: Characters): readonly Wording[] {
  const found = new Map<string, Wording>();
  for (const { npc, exchange, rows } of plain(all, set)) {
    if (exchange.kind === 'sum' || exchange.kind === 'think') continue;
    for (const turn of rows.flatMap(({ turns }) => turns))
      for (const words of turn.wordings) {
        const wording = { npc, words, label: turn.answer };
        found.set(JSON.stringify(wording), wording);
      }
  }
  return [...found.values()];
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { out: { type: 'string' } } });
  if (!values.out) throw new Error('usage: node --import tsx training/wordings.ts --out FILE');
  const { set, all } = await readAuthored(readConfig().npcs);
  const out = resolve(values.out);
  await mkdir(dirname(out), { recursive: true });
  const lines = wordings(all, set).map((wording) => `${JSON.stringify(wording)}\n`);
  await writeFile(out, lines.join(''));
  process.stdout.write(`${JSON.stringify({ file: out, wordings: lines.length })}\n`);
}

if (process.argv[1] && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  main().catch((error: Error) => {
    process.stderr.write(`wordings: ${error.message}\n`);
    process.exitCode = 1;
  });
}
