// `npm run bench [-- relay engine …]`: runs all benches, or those named, one after the other. Each prints one line of
// JSON on standard output, the figures; what a person reads meanwhile is on standard error. Options go to each bench.

import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { basename, join } from 'node:path';

/** A bench is a file beside this one. */
const there = readdirSync(import.meta.dirname)
  .filter((file) => file.endsWith('.ts') && file !== basename(import.meta.filename))
  .map((file) => basename(file, '.ts'))
  .sort();

// Names first, then options with their values: `relay --part idle`.
const firstOption = process.argv.findIndex((word, i) => i > 1 && word.startsWith('-'));
const end = firstOption < 0 ? process.argv.length : firstOption;
const named = process.argv.slice(2, end);
const options = process.argv.slice(end);
const unknown = named.filter((name) => !there.includes(name));
if (unknown.length > 0) {
  process.stderr.write(`There is no bench ${unknown.join(', ')}. There are: ${there.join(', ')}\n`);
  process.exit(2);
}
for (const name of named.length > 0 ? named : there) {
  process.stderr.write(`bench ${name}\n`);
  const entry = join(import.meta.dirname, `${name}.ts`);
  const { status } = spawnSync(process.execPath, ['--import', 'tsx', entry, ...options], {
    stdio: 'inherit',
  });
  if (status !== 0) process.exitCode = 1;
}
