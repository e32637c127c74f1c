// The characters and their exchanges as training reads them: whole, or not at all.

import { type Characters, loadCharacters } from '../npcs/characters.ts';
import { type Authored, readExchanges } from '../npcs/read-exchanges.ts';

/** Of these characters, or of all. Rejects with an Error that names every fault of the exchanges. */
export async function readAuthored(
  npcs: string,
  only: readonly string[] = [],
): Promise<{ set: Characters; all: readonly Authored[] }> {
  const set = await loadCharacters(npcs);
  const { all, faults } = await readExchanges(npcs, set.characters, only);
  if (faults.length > 0) throw new Error(`the exchanges have faults:\n${faults.join('\n')}`);
  return { set, all };
}
