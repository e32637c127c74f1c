// The loop of a thousand characters makes no garbage: measured in a process of its own, where nothing is collected
// in between.

import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';

test('twenty thousand frames of a thousand characters allocate next to nothing and keep nothing', () => {
  const script = join(import.meta.dirname, 'controller', 'heap.ts');
  const flags = ['--expose-gc', '--min-semi-space-size=64', '--max-semi-space-size=64', '--import', 'tsx'];
  const { frames, allocated, stayed, asked, cacheHits } = JSON.parse(
    execFileSync(process.execPath, [...flags, script], { encoding: 'utf8' }),
  );
  expect(cacheHits).toBeGreaterThan(1_000);
  // A question makes its words and its record; a frame makes nothing, but for what the engine does while it compiles.
  expect(allocated - asked * 2_000).toBeLessThan(frames * 150);
  expect(stayed).toBeLessThan(200_000);
});
