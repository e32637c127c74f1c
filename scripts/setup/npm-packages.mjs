// The npm packages, exactly as package-lock.json has them. A stamp inside node_modules says for which lockfile and
// which Node they were installed, so that the check costs one small file.

import { createHash } from 'node:crypto';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from './child.mjs';
import { clientFailure, diskFailure, say } from './failure.mjs';
import { withLock } from './lock.mjs';

const step = 'npm packages';
const clone = 'git clone the repository there';

/** Runs `npm ci` when node_modules is missing, half done, or belongs to another lockfile or Node. */
export async function ensureNpmPackages(root) {
  const modules = join(root, 'node_modules');
  const stampFile = join(modules, '.parley-stamp');
  const stamp = createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .update(`${process.platform} ${process.arch} ${process.versions.modules}`)
    .digest('hex');
  const installed = () => existsSync(stampFile) && readFileSync(stampFile, 'utf8') === stamp;
  if (installed()) return;
  await withLock(`npm ${root}`, async () => {
    if (installed()) return;
    say(`${step}: npm ci (about 15 s)`);
    try {
      rmSync(stampFile, { force: true });
      const result = await npm(root, [
        'ci',
        '--include=dev', // whatever NODE_ENV says: npm test needs them
        '--ignore-scripts',
        '--no-audit',
        '--no-fund',
        '--fetch-retries=2',
        '--fetch-retry-mintimeout=1000',
        '--fetch-retry-maxtimeout=5000',
      ]);
      if (result.code !== 0) throw clientFailure(step, root, 'npm', result, clone);
      writeFileSync(stampFile, stamp);
    } catch (error) {
      throw diskFailure(step, root, error, clone);
    }
  });
}

function npm(root, args) {
  const cli = process.env.npm_execpath; // the npm that called us, where one did
  return cli?.endsWith('.js')
    ? run(process.execPath, [cli, ...args], { cwd: root })
    : run('npm', args, { cwd: root });
}
