// Mono, by which a test compiles and runs the C# client of examples/unity: on PATH, or from the distribution (as root).
// Nothing else needs it, so a machine without it is told and goes on, and the test is skipped.

import { aptInstall, isRoot, onPath } from './child.mjs';
import { clientFailure, say } from './failure.mjs';
import { withLock } from './lock.mjs';

const step = 'mono';
// The compiler, the runtime, and by their dependencies the class libraries that the client uses: 7 MB, 26 MB unpacked.
const packages = ['mono-mcs', 'mono-runtime'];
const without = 'the C# client of examples/unity will not be tested';

/** Resolves once `mcs` and `mono` are there, or once it was said why they are not. */
export async function ensureMono(cache) {
  const isThere = () => ['mcs', 'mono'].every((name) => onPath(name).length > 0);
  if (isThere()) return;
  if (!isRoot || onPath('apt-get').length === 0) {
    say(`${step}: mcs and mono are not on PATH; ${without} (apt-get install ${packages.join(' ')})`);
    return;
  }
  await withLock(`cache ${cache}`, async () => {
    if (isThere()) return;
    say(`${step}: installing ${packages.join(' and ')} of the distribution (7 MB)`);
    const installed = await aptInstall(...packages);
    if (isThere()) return;
    const failure = clientFailure(step, cache, `apt-get install ${packages.join(' ')}`, installed);
    say(`${step}: ${failure.message}; ${without}`);
  });
}
