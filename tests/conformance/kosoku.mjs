// Fetches the runner of Autobahn's WebSocket cases, a Python wheel, as set-up fetches its servers: pinned by version
// and hash, once. `node tests/conformance/kosoku.mjs FOLDER` puts the package there; when it cannot be had, it says
// why on standard error and exits with 1.

import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { SetupFailure, say } from '../../scripts/setup/failure.mjs';
import { withLock } from '../../scripts/setup/lock.mjs';
import { fetchFromWheel } from '../../scripts/setup/wheel.mjs';

const wheel = {
  requirement: 'kosoku==0.1.0',
  hashes: [
    'a9b34e593defe29d931e346c88947b58a015495f09dd13643e4cc952c75602ac', // Linux x64
    '911610fc6d21e9d8b5b53936ea134b2b4ab58cd6252e9ad7c7f69c540a028027', // Linux arm64
    '398e2a5cd5bf1eaa95d4342540a87f9c58edf5200478eccfaf07ee21fb80244a', // macOS arm64
  ],
  member: 'kosoku', // the whole package
};

const target = process.argv[2];
const there = () => existsSync(join(target, '__init__.py'));
try {
  await withLock(`cache ${dirname(dirname(target))}`, async () => {
    if (there()) return;
    say(`conformance: fetching ${wheel.requirement} (3 MB)`);
    await fetchFromWheel('conformance', wheel, target);
  });
} catch (error) {
  if (!(error instanceof SetupFailure)) throw error;
  say(error.report());
  process.exitCode = 1;
}
