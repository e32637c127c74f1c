// Locks between processes of one machine, by a local socket: the kernel lets go of it when its holder ends, however
// it ends, so no lock is ever stale. Used by set-up (two at once) and by the local stack (which data folder is whose).

import { createHash } from 'node:crypto';
import { unlinkSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { say } from './failure.mjs';

const abstract = process.platform === 'linux'; // such a socket has a name but no file

function address(name) {
  const id = `parley-${createHash('sha256').update(name).digest('hex').slice(0, 32)}`;
  return abstract ? `\0${id}` : join(tmpdir(), id);
}

/** Takes the lock and resolves with a function that lets go, or with undefined when another process holds it. */
export async function tryLock(name) {
  const path = address(name);
  const server = createServer((socket) => socket.destroy());
  const listen = () =>
    new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen(path, resolve);
    });
  try {
    await listen();
  } catch (error) {
    if (error.code !== 'EADDRINUSE') throw error;
    if (abstract || (await isLocked(name))) return undefined;
    unlinkSync(path); // the file of a holder that is gone
    await listen();
  }
  server.unref();
  return () => new Promise((resolve) => server.close(resolve));
}

/** Whether a living process holds the lock. */
export function isLocked(name) {
  return new Promise((resolve) => {
    const socket = connect(address(name));
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

/** Waits for the lock, holds it while `work` runs, and returns what `work` returned. */
export async function withLock(name, work) {
  let release = await tryLock(name);
  if (!release) say('another set-up is at work here; waiting for it');
  while (!release) {
    await sleep(200);
    release = await tryLock(name);
  }
  try {
    return await work();
  } finally {
    await release();
  }
}
