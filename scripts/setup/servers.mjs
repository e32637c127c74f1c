// Where set-up found the servers, for what runs after it: cache/servers.json. scripts/stack/ reads that file, so
// the search is written once.

import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { diskFailure } from './failure.mjs';

/** Writes `{natsServer?, redisServer?}` unless the file says so already. */
export function writeServers(cache, servers) {
  const file = join(cache, 'servers.json');
  const text = `${JSON.stringify({ ...read(file), ...servers }, null, 2)}\n`;
  try {
    if (text === readFileSync(file, 'utf8')) return;
  } catch {
    // Not there yet.
  }
  try {
    mkdirSync(cache, { recursive: true });
    writeFileSync(`${file}.${process.pid}`, text);
    renameSync(`${file}.${process.pid}`, file);
  } catch (error) {
    throw diskFailure('servers', cache, error);
  }
}

function read(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return {};
  }
}
