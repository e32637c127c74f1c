// `npm test [-- FILTER or vitest options]`: runs the tests, and after them prints coverage (of a whole run), why each
// skipped test was skipped, and as the last line "N passed, N failed". Fails when a test failed or none ran.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseCLI, startVitest, type Vitest } from 'vitest/node';
import { coverageReport } from './coverage.ts';
import { repository } from './stack/servers.ts';

const args = process.argv.slice(2);
const { filter, options } = parseCLI(['vitest', 'run', ...args]);
const whole = args.length === 0;
const coverage = options.coverage?.enabled ?? whole;
const children = mkdtempSync(join(tmpdir(), 'parley-coverage-'));
// The tests say themselves which settings they want; those of this shell may point at somebody's real servers.
for (const name of Object.keys(process.env)) {
  if (name.startsWith('PARLEY_') && name !== 'PARLEY_HOME') delete process.env[name];
}
if (coverage) process.env.CHILD_COVERAGE_DIR = children; // scripts/stack/process.ts passes it on

try {
  const vitest = await startVitest('test', filter, {
    ...options,
    root: repository,
    run: true,
    watch: false,
    coverage: { ...options.coverage, enabled: coverage },
  });
  await vitest.close();
  if (coverage) process.stdout.write(coverageReport(join(repository, 'coverage'), children));
  report(vitest);
} finally {
  rmSync(children, { recursive: true, force: true });
}

function report(vitest: Vitest): void {
  const count = { passed: 0, failed: 0, skipped: 0 };
  for (const module of vitest.state.getTestModules()) {
    for (const test of module.children.allTests()) {
      const result = test.result();
      if (result.state === 'passed') count.passed++;
      else if (result.state === 'skipped') {
        count.skipped++;
        if (result.note === undefined && test.options.mode === 'run') continue; // left out by a filter
        const why = result.note ?? 'no reason given';
        process.stdout.write(`skipped: ${module.relativeModuleId}: ${test.fullName}: ${why}\n`);
      } else count.failed++; // failed, or never got to run
    }
    // A file or a hook that fails outside every test.
    const broken =
      module.errors().length > 0 || [...module.children.allSuites()].some((s) => s.errors().length > 0);
    if (broken) count.failed++;
  }
  count.failed += vitest.state.getUnhandledErrors().length;
  if (count.failed > 0 || count.passed === 0) process.exitCode = 1;
  const skipped = count.skipped > 0 ? `, ${count.skipped} skipped` : '';
  process.stdout.write(`${count.passed} passed, ${count.failed} failed${skipped}\n`);
}
