// Empty homes for the engines of a test file, deleted after its tests. The model is not in them: engines read it from where
// set-up put it.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';

/** What makes an empty PARLEY_HOME for a test of this file, or of this `describe`. */
export function useHomes(): () => Promise<string> {
  const homes: string[] = [];
  afterAll(() => Promise.all(homes.map((home) => rm(home, { recursive: true, force: true }))));
  return async () => {
    const home = await mkdtemp(join(tmpdir(), 'parley-home-'));
    homes.push(home);
    return home;
  };
}
