// Where set-up found the servers, for what runs after it: cache/servers.json. scripts/stack/ reads that file, so
// the search is written once.

import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { isAbsolute, join, relative } from 'node:path';
import { diskFailure } from './failure.mjs';

/**
 * Writes `{natsServer?, redisServer?}` unless the file says so already. What lies in the cache is named relative to it:
 * a cache may be moved, or be a link in several homes.
 */
export function writeServers(cache, servers) {
  const file = join(cache, 'servers.json');
  const entries = Object.entries(servers).map(([name, path]) => {
    const inside = typeof path === 'string' && isAbsolute(path) && !relative(cache, path).startsWith('..');
    return [name, inside ? relative(cache, path) : path];
  });
  const text = `${JSON.stringify({ ...read(file), ...Object.fromEntries(entries) }, null, 2)}\n`;
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
