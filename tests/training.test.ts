// Runs training's own tests (training/tests, pytest) and reports each file by its name. Where set-up could not get the Python
// environment, which has some gigabytes, they are skipped and it is said how to make it.

import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readConfig } from '../runtime/config.ts';

const training = fileURLToPath(new URL('../training', import.meta.url));
const { home } = readConfig();
const setUp = new URL('../scripts/setup/python-env.mjs', import.meta.url).href;
const { findPython } = (await import(setUp)) as { findPython(cache: string): string | undefined };
const python = findPython(join(home, 'cache'));
const files = readdirSync(join(training, 'tests')).filter((name) => /^test_.*\.py$/.test(name));
/** On a quiet machine it takes one minute. */
const slow = 900_000;

if (!python) {
  console.log('training: skipped, no Python environment: node scripts/setup/python-env.mjs makes it (5 GB)');
}

describe.skipIf(!python)('training', () => {
  const end = new AbortController();
  let printed = '';
  /** Of each file what became of its tests. */
  const results = new Map<string, string[]>();

  // One process for all files: what they import takes as long as what they do.
  beforeAll(async () => {
    const child = spawn(
      python!,
      ['-m', 'pytest', '-v', '-rs', '--color=no', '-p', 'no:cacheprovider', 'tests'],
      {
        cwd: training,
        signal: end.signal,
        env: {
          ...process.env,
          PARLEY_HOME: home,
          PYTHONPATH: training,
          PYTHONDONTWRITEBYTECODE: '1',
          // Threads that wait for each other must not keep other tests from working.
          OMP_WAIT_POLICY: 'PASSIVE',
        },
      },
    );
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (printed += chunk));
    await new Promise((done, failed) => {
      child.once('error', failed);
      child.once('close', done);
    });
    for (const [, file, result] of printed.matchAll(
      /^tests\/(\w+\.py)::.* (PASSED|FAILED|ERROR|SKIPPED)\b.*$/gm,
    )) {
      results.set(file!, [...(results.get(file!) ?? []), result!]);
    }
    for (const [skipped] of printed.matchAll(/^SKIPPED .*$/gm)) console.log(`training: ${skipped}`);
  }, slow);
  afterAll(() => end.abort());

  it.each(files)('%s passes', (file) => {
    const found = results.get(file) ?? [];
    const faults = found.filter((result) => result === 'FAILED' || result === 'ERROR');
    expect(found, printed.slice(-8000)).not.toEqual([]);
    expect(faults, printed.slice(-8000)).toEqual([]);
  });
});
