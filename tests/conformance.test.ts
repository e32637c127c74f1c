// RFC 6455 by the cases that everybody uses: Autobahn's, run by kosoku against the gateway's WebSocket library with the
// gateway's options. Without the groups on performance (9) and on compression (12, 13), which is never agreed on.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { expect, test } from 'vitest';
import { readConfig } from '../runtime/config.ts';
import { startProcess } from '../scripts/stack/process.ts';
import { finish } from './helpers/processes.ts';

const version = '0.1.0';
const leftOut = ['9.*', '12.*', '13.*'];
/** Outcomes of a case that conforms. NON-STRICT: what came before a fault was echoed or not, as time would have it. */
const good = ['OK', 'NON-STRICT', 'INFORMATIONAL'];

interface Outcome {
  readonly behavior: string;
  readonly behaviorClose: string;
}

/** The outcome of each case, as kosoku reports it. Throws with what it printed when it did not get that far. */
async function runCases(packages: string, address: string, report: string): Promise<Map<string, Outcome>> {
  const { code, stderr } = await finish(
    'python3',
    [
      ...['-c', 'from kosoku._cli import main; main()', address, '--parallelism', '4', '--outdir', report],
      ...leftOut.flatMap((group) => ['--exclude', group]),
    ],
    { PATH: process.env.PATH, PYTHONPATH: packages, PYTHONDONTWRITEBYTECODE: '1' },
  );
  try {
    const index = JSON.parse(readFileSync(join(report, 'index.json'), 'utf8'));
    const [outcomes] = Object.values(index) as Record<string, Outcome>[];
    return new Map(Object.entries(outcomes!));
  } catch (cause) {
    throw new Error(`kosoku ended with ${code}:\n${stderr}`, { cause });
  }
}

test('every case of Autobahn passes', { timeout: 240_000 }, async (ctx) => {
  // Not in cache/, which belongs to set-up: a test of it looks whether anything changes there.
  const target = join(resolve(readConfig().home), 'conformance', `kosoku-${version}`, 'kosoku');
  const fetched = await finish(process.execPath, ['tests/conformance/kosoku.mjs', target], process.env);
  const why = /stopped at .*/.exec(fetched.stderr)?.[0];
  if (why !== undefined) return ctx.skip(why);
  expect(fetched).toMatchObject({ code: 0 });

  const report = mkdtempSync(join(tmpdir(), 'parley-conformance-'));
  await using echo = await startProcess('tests/conformance/echo.ts', {}, { name: 'echo server' });
  try {
    const outcomes = await runCases(dirname(target), `ws://127.0.0.1:${echo.listening.port}`, report);
    const counts = new Map<string, number>();
    for (const { behavior } of outcomes.values()) counts.set(behavior, (counts.get(behavior) ?? 0) + 1);
    const said = [...counts].map(([behavior, count]) => `${count} ${behavior}`);
    console.log(`conformance: ${outcomes.size} cases: ${said.join(', ')}`);

    const failed = [...outcomes].filter(
      ([, { behavior, behaviorClose }]) => !good.includes(behavior) || !good.includes(behaviorClose),
    );
    // uWebSockets.js has no deviation that we know of: nothing is excused.
    expect(Object.fromEntries(failed)).toEqual({});
    expect(outcomes.size).toBe(247);
  } finally {
    rmSync(report, { recursive: true, force: true });
  }
});
