// `npm run check`: types, lint and format, .env.example against the table of settings, and the size of the client.
// Everything runs and every fault is shown. With `-- --write`, what can be mended is.

import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { configManual } from '../runtime/config.ts';
import { clientSize, maxGzipBytes } from './client-bundle.ts';
import { repository } from './stack/servers.ts';

const write = process.argv.includes('--write');
const faults: string[] = [];

function tool(name: string, script: string, args: string[]): void {
  const command = [join(repository, 'node_modules', script), ...args];
  const { status } = spawnSync(process.execPath, command, { cwd: repository, stdio: 'inherit' });
  if (status !== 0) faults.push(name);
}

const manual = join(repository, '.env.example');
if (write) writeFileSync(manual, configManual());
if (readManual() !== configManual()) {
  process.stdout.write('.env.example differs from the settings; type: npm run check -- --write\n');
  faults.push('.env.example');
}
tool('biome', '@biomejs/biome/bin/biome', ['check', ...(write ? ['--write'] : [])]);
tool('tsc', 'typescript/bin/tsc', ['--noEmit', '-p', '.']);
const { bytes, gzipBytes } = await clientSize();
process.stdout.write(`client/: ${bytes} bytes, ${gzipBytes} with gzip (at most ${maxGzipBytes})\n`);
if (gzipBytes > maxGzipBytes) faults.push('size of client/');

process.stdout.write(faults.length === 0 ? 'check: passed\n' : `check: failed: ${faults.join(', ')}\n`);
process.exitCode = faults.length === 0 ? 0 : 1;

function readManual(): string {
  try {
    return readFileSync(manual, 'utf8');
  } catch {
    return '';
  }
}
