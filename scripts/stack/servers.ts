// Where the servers are, as set-up found them (scripts/setup/), and where this repository is.

import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

export const repository = fileURLToPath(new URL('../..', import.meta.url));

/** The program of a server. Throws with the line to type when set-up has not found it. */
export function serverProgram(home: string, which: 'natsServer' | 'redisServer'): string {
  const cache = join(home, 'cache');
  try {
    const servers: Record<string, unknown> = JSON.parse(readFileSync(join(cache, 'servers.json'), 'utf8'));
    const program = servers[which];
    if (typeof program === 'string') return resolve(cache, program);
  } catch {
    // No set-up yet: said below.
  }
  const name = which === 'natsServer' ? 'nats-server' : 'redis-server';
  throw new Error(`${name} has not been set up in ${home}; type: node scripts/setup.mjs test`);
}

/** What set-up made of Triton, or why there is none on this machine. */
export function tritonFolder(home: string): { readonly folder: string } | { readonly missing: string } {
  const cache = join(home, 'cache');
  try {
    const { triton } = JSON.parse(readFileSync(join(cache, 'servers.json'), 'utf8'));
    if (typeof triton === 'string') return { folder: resolve(cache, triton) };
    if (triton === null) return { missing: 'set-up could not fetch it and said why' };
  } catch {
    // No set-up yet: said below.
  }
  return { missing: `it has not been set up in ${home}; type: node scripts/setup.mjs test` };
}
