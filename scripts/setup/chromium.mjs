// Chromium, in which tests try the village: named by PARLEY_CHROMIUM, on PATH, or from the distribution (as root).
// Nothing else needs it, so a machine without it is told and goes on, and those tests are skipped.

import { answer, aptInstall, isRoot, onPath } from './child.mjs';
import { clientFailure, say } from './failure.mjs';
import { withLock } from './lock.mjs';

const step = 'chromium';
const names = ['chromium', 'chromium-browser', 'google-chrome'];
const without = 'the village will not be tested in a browser';

/** Resolves with the path of a Chromium that runs, or with null once it was said why there is none. */
export async function ensureChromium(cache) {
  const named = process.env.PARLEY_CHROMIUM;
  if (named) {
    if (usable(named)) return named;
    say(`${step}: PARLEY_CHROMIUM names ${named}, which does not run; ${without}`);
    return null;
  }
  const find = () => names.flatMap(onPath).find(usable);
  const found = find();
  if (found) return found;
  if (!isRoot || onPath('apt-get').length === 0) {
    say(
      `${step}: none on PATH; ${without} (apt-get install ${names[0]}, or PARLEY_CHROMIUM=/path/to/a/chromium)`,
    );
    return null;
  }
  return withLock(`cache ${cache}`, async () => {
    const meanwhile = find();
    if (meanwhile) return meanwhile;
    say(`${step}: installing ${names[0]} of the distribution (100 MB)`);
    const installed = await aptInstall(names[0]);
    const program = find();
    if (program) return program;
    const failure = clientFailure(step, cache, `apt-get install ${names[0]}`, installed);
    say(`${step}: ${failure.message}; ${without}`);
    return null;
  });
}

function usable(file) {
  return /\d+\.\d+/.test(answer(file, ['--version']) ?? '');
}
