// How the tests run. They start real servers and a real model, so few run at once and each has time; scripts/test.ts
// is what `npm test` calls.

import { defineConfig } from 'vitest/config';

export default defineConfig({
  oxc: { target: 'es2022' }, // Node 20 has no `await using`
  test: {
    include: ['tests/**/*.test.ts'],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 180_000, // a stack starts here, with its model
    teardownTimeout: 30_000,
    coverage: {
      provider: 'v8',
      include: ['runtime/**', 'bus/**', 'gateway/**', 'tiers/**', 'client/**', 'npcs/**'].map(
        (f) => `${f}/*.ts`,
      ),
      reporter: ['json'], // scripts/coverage.ts adds the child processes and prints
      reportOnFailure: true,
    },
  },
});
