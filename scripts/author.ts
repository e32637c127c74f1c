// `npm run author -- check [ID...]`: holds the exchanges that authors wrote (npcs/exchanges/) against the characters, their
// acts, the lore and the held-out questions. Prints every fault; exits with 1 when there is one, with 2 when it was
// called wrongly. Changes nothing. `npm run author -- remember`: writes the vectors of new wordings to the file beside the
// encoder (npcs/recall/), so that no worker has to make them at its start. `npm run author -- recall ID`: reads what a player
// says, a conversation a line with | between its turns, and prints what the character would be told to answer.

import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { factsFor } from '../evaluation/facts.ts';
import { loadCharacters } from '../npcs/characters.ts';
import { kinds } from '../npcs/exchange.ts';
import { readConfig } from '../runtime/config.ts';
import { Recollection, vectorsFile } from '../tiers/recollection/recollection.ts';
import { writeVectors } from '../tiers/recollection/vectors.ts';
import { checkExchanges, type Report } from '../training/authoring/check.ts';

const usage =
  'usage: npm run author -- check [ID...]\n       npm run author -- remember\n       npm run author -- recall ID < lines';

function print({ faults, counts, sums, heldOut }: Report): void {
  const out = (line: string) => process.stdout.write(`${line}\n`);
  for (const fault of faults) out(fault);
  if (faults.length > 0) out('');
  const cells = (row: readonly (string | number)[]) =>
    row.map((cell, i) => (i === 0 ? String(cell).padEnd(8) : String(cell).padStart(9))).join('');
  out(cells(['', ...kinds, 'all']));
  for (const [npc, own] of counts) {
    const numbers = kinds.map((kind) => own[kind]);
    out(cells([npc, ...numbers, numbers.reduce((sum, n) => sum + n, 0)]));
  }
  out(`sums reckoned: ${sums}; held-out questions compared with: ${heldOut}; faults: ${faults.length}`);
}

async function check(only: readonly string[]): Promise<void> {
  const report = await checkExchanges({ npcs: readConfig().npcs, questions: 'evaluation/questions', only });
  print(report);
  process.exitCode = report.faults.length > 0 ? 1 : 0;
}

async function remember(): Promise<void> {
  const { npcs, recall: setting } = readConfig();
  const { characters } = await loadCharacters(npcs);
  const recollection = await Recollection.open({ npcs, setting });
  if (!recollection)
    throw new Error(`there is no encoder in ${npcs}/recall; npm run train -- recall makes one`);
  const { vectors, made } = await recollection.allVectors(characters);
  const file = vectorsFile(npcs);
  await writeVectors(file, vectors, recollection.encoder);
  await recollection.close();
  process.stdout.write(`${file}: ${vectors.size} wordings, ${made} of them new\n`);
}

async function recall(npc: string): Promise<void> {
  const { npcs, recall: setting } = readConfig();
  const cast = await loadCharacters(npcs);
  if (!cast.characters.has(npc)) throw new Error(`there is no character ${npc}`);
  const recollection = await Recollection.learnt({ npcs, setting }, cast.characters);
  for await (const line of createInterface({ input: process.stdin })) {
    const turns = line.split('|').map((words) => words.trim());
    if (turns.every((words) => words === '')) continue;
    const facts = await factsFor({ npc, turns }, cast, recollection);
    process.stdout.write(`> ${turns.join(' | ')}\n${facts.map((fact) => `    ${fact}\n`).join('')}`);
  }
  await recollection?.close();
}

try {
  const { positionals } = parseArgs({ allowPositionals: true });
  const [command, ...only] = positionals;
  if (command === 'remember') await remember();
  else if (command === 'recall' && only.length === 1) await recall(only[0]!);
  else if (command === 'check') await check(only);
  else {
    process.stderr.write(`${usage}\n`);
    process.exit(2);
  }
} catch (error) {
  process.stderr.write(`author: ${(error as Error).message}\n`);
  process.exitCode = 2;
}
