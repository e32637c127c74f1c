// `npm run author -- check [ID...]`: holds the exchanges that authors wrote (npcs/exchanges/) against the characters, their
// acts, the lore and the held-out questions. Prints every fault; exits with 1 when there is one, with 2 when it was
// called wrongly. Changes nothing.

import { parseArgs } from 'node:util';
import { kinds } from '../npcs/exchange.ts';
import { readConfig } from '../runtime/config.ts';
import { checkExchanges, type Report } from '../training/authoring/check.ts';

const usage = 'usage: npm run author -- check [ID...]';

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

try {
  const { positionals } = parseArgs({ allowPositionals: true });
  const [command, ...only] = positionals;
  if (command !== 'check') {
    process.stderr.write(`${usage}\n`);
    process.exit(2);
  }
  const report = await checkExchanges({ npcs: readConfig().npcs, questions: 'evaluation/questions', only });
  print(report);
  process.exitCode = report.faults.length > 0 ? 1 : 0;
} catch (error) {
  process.stderr.write(`author: ${(error as Error).message}\n`);
  process.exitCode = 2;
}
