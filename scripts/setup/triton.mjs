// A Triton server for this machine, with llama.cpp behind its Python backend: for `npm start -- --gold triton` and the
// tests of that engine. Wheels, pinned by hash; 105 MB to fetch, 300 MB on disk. Nothing else needs it, so `npm test`
// goes on without it and says so.

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, copyFileSync, existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { answer, aptInstall, isRoot, onPath, run, withFolder } from './child.mjs';
import { clientFailure, diskFailure, SetupFailure, say } from './failure.mjs';
import { withLock } from './lock.mjs';
import { pythonWithPip } from './wheel.mjs';

const step = 'triton';
const version = '2.51.0';
const wheels = [
  ['nvidia-pytriton==0.7.0', '21f063ff93bb426d0c06b7a55e7eb9efcfe62c0dddd9a908e9877e18710128df'],
  ['xllamacpp==2026.10.11549', 'c54e7d13520ecc989c63dc99d55de3065e2f343a91f43f053d16b5e62077c261'],
  [
    // The bundled Python backend reads NumPy's own structures, which were others from 2.0 on.
    'numpy==1.26.4',
    'ffa75af20b44f8dba823498024771d5ac50620e6915abac414251bd971b4529f', // Python 3.10
    '666dbfb6ec68962c033a450943ded891bed2d54e6755e35e5835d63f4f6931d5', // 3.11
    '675d61ffbfa78604709862923189bad94014bef562cc35cf61d3a07bba02a7ed', // 3.12
  ],
];
/** Other wheels lie in another folder. */
const pins = createHash('sha256').update(JSON.stringify(wheels)).digest('hex').slice(0, 8);
const pythons = ['3.10', '3.11', '3.12'];

/**
 * Resolves with the folder that holds `pytriton/tritonserver` and the Python packages. Throws a SetupFailure where it
 * cannot be had.
 */
export async function ensureTriton(cache) {
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    throw new SetupFailure(
      step,
      'the wheel that carries Triton exists for Linux on x64 alone',
      'run Triton elsewhere and name it in PARLEY_TRITON_URLS',
    );
  }
  return withLock(`cache ${cache}`, async () => {
    const python = await pythonWithPip(step, cache);
    const abi = answer(python, ['-c', 'import sys; print("%d.%d" % sys.version_info[:2])']);
    if (!pythons.includes(abi)) {
      throw new SetupFailure(
        step,
        `${python} is Python ${abi}`,
        `put one of Python ${pythons.join(', ')} first on PATH`,
      );
    }
    const folder = join(cache, `triton-${version}-python${abi}-${pins}`);
    if (!existsSync(join(folder, 'complete'))) {
      say(`${step}: fetching Triton ${version} and llama.cpp for Python ${abi} (105 MB)`);
      await fetchWheels(cache, python, abi, folder);
    }
    await needLibraries(cache, stubIn(folder), abi);
    return folder;
  });
}

/** As `ensureTriton`, for tests: where it cannot be had, says why and resolves with null. */
export async function tryTriton(cache) {
  try {
    return await ensureTriton(cache);
  } catch (error) {
    if (!(error instanceof SetupFailure)) throw error;
    say(`${step}: ${error.message}; the engine of the Gold tier will not be tested (${error.remedy})`);
    return null;
  }
}

async function fetchWheels(cache, python, abi, target) {
  try {
    await withFolder(cache, async (folder) => {
      const requirements = join(folder, 'requirements.txt');
      const lines = wheels.map(([name, ...hashes]) =>
        [name, ...hashes.map((h) => `--hash=sha256:${h}`)].join(' '),
      );
      writeFileSync(requirements, `${lines.join('\n')}\n`);
      const packages = join(folder, 'packages');
      const installed = await run(
        python,
        [
          ...['-m', 'pip', 'install', '--require-hashes', '--only-binary', ':all:', '--no-deps', '--quiet'],
          ...['--no-cache-dir', '--disable-pip-version-check', '--retries', '2', '--no-warn-script-location'],
          ...['--root-user-action', 'ignore', '--target', packages, '-r', requirements],
        ],
        { env: { ...process.env, TMPDIR: folder } },
      );
      if (installed.code !== 0) throw clientFailure(step, cache, 'pip', installed);
      const server = join(packages, 'pytriton', 'tritonserver');
      chmodSync(join(server, 'bin', 'tritonserver'), 0o755);
      // Triton looks for the program that runs Python models beside the backend.
      copyFileSync(join(server, 'python_backend_stubs', abi, 'triton_python_backend_stub'), stubIn(packages));
      chmodSync(stubIn(packages), 0o755);
      writeFileSync(join(packages, 'complete'), '');
      mkdirSync(cache, { recursive: true });
      rmSync(target, { recursive: true, force: true });
      renameSync(packages, target);
    });
  } catch (error) {
    throw diskFailure(step, cache, error);
  }
}

const stubIn = (folder) =>
  join(folder, 'pytriton', 'tritonserver', 'backends', 'python', 'triton_python_backend_stub');

/** The stub is linked with Python as a library, which a distribution packs apart. */
async function needLibraries(cache, stub, abi) {
  const missing = () => {
    const { stdout } = spawnSync('ldd', [stub], { encoding: 'utf8' });
    return (stdout ?? '').match(/^\s*(\S+) => not found$/m)?.[1];
  };
  const name = missing();
  if (!name) return;
  const wanted = `libpython${abi}`;
  if (name.startsWith(wanted) && isRoot && onPath('apt-get').length > 0) {
    say(`${step}: installing ${wanted} of the distribution`);
    const installed = await aptInstall(wanted);
    if (!missing()) return;
    if (installed.code !== 0) throw clientFailure(step, cache, `apt-get install ${wanted}`, installed);
  }
  throw new SetupFailure(
    step,
    `${name} is missing`,
    `sudo apt-get update && sudo apt-get install -y ${wanted}`,
  );
}
