// Runs the package clients (npm, pip, apt-get) and looks programs up on PATH. What a child prints goes to our
// standard error; its own standard error is kept as well, to say afterwards why it failed.

import { spawn, spawnSync } from 'node:child_process';
import { accessSync, constants, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';

const children = new Set();
const folders = new Set();

/** Resolves with `{code, signal, errors}`; a program that cannot be started counts as code 127. Never rejects. */
export function run(command, args, { env = process.env, cwd } = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd, env, stdio: ['ignore', 2, 'pipe'] });
    let errors = '';
    children.add(child);
    child.stderr.on('data', (chunk) => {
      process.stderr.write(chunk);
      errors = (errors + chunk).slice(-32_768);
    });
    child.on('error', (error) => {
      children.delete(child);
      resolve({ code: 127, signal: null, errors: `${errors}${error.message}` });
    });
    child.on('close', (code, signal) => {
      children.delete(child);
      resolve({ code, signal, errors });
    });
  });
}

/** What a program prints when asked for its version, or undefined when it does not run. */
export function answer(command, args) {
  const { status, stdout } = spawnSync(command, args, { encoding: 'utf8', timeout: 20_000 });
  return status === 0 ? stdout.trim() : undefined;
}

/** Every executable file of that name on PATH, in order. */
export function onPath(name) {
  return (process.env.PATH ?? '')
    .split(delimiter)
    .filter((folder) => folder !== '')
    .map((folder) => join(folder, name))
    .filter((file) => {
      try {
        accessSync(file, constants.X_OK);
        return statSync(file).isFile();
      } catch {
        return false;
      }
    });
}

/**
 * Calls `work` with a new folder inside `parent`, which is removed afterwards, also when set-up is interrupted. The
 * caller holds the lock of `parent`, so such folders that lie there already belong to a set-up that was killed.
 */
export async function withFolder(parent, work) {
  mkdirSync(parent, { recursive: true });
  for (const name of readdirSync(parent)) {
    if (name.startsWith('.fetch-')) rmSync(join(parent, name), { recursive: true, force: true });
  }
  const folder = mkdtempSync(join(parent, '.fetch-'));
  folders.add(folder);
  try {
    return await work(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
    folders.delete(folder);
  }
}

/** Ends what is running and removes half-done work. */
export function cleanUp(signal) {
  for (const child of children) child.kill(signal);
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
}

export const isRoot = process.getuid?.() === 0;

/** Installs packages of a Debian-like distribution; resolves with the last child's result. */
export async function aptInstall(...packages) {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const updated = await run('apt-get', ['update', '-q'], { env });
  if (updated.code !== 0) return updated;
  return run('apt-get', ['install', '-q', '-y', '--no-install-recommends', ...packages], { env });
}
