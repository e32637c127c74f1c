// `npm run --silent token -- PLAYER`: a token for a player of the newest stack that runs here (or the one at
// --http URL), signed with its development key. In production the game's own login service signs them.

import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { readConfig } from '../runtime/config.ts';
import { stackState } from './stack/state.ts';
import { signToken } from './stack/token.ts';

function fail(message: string, exitCode: number): never {
  process.stderr.write(`token: ${message}\n`);
  process.exit(exitCode);
}

try {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { hours: { type: 'string', default: '12' }, http: { type: 'string' } },
  });
  const [player] = positionals;
  const hours = Number(values.hours);
  if (!player || positionals.length > 1 || !(hours > 0)) {
    fail('usage: npm run --silent token -- PLAYER [--hours 12] [--http URL]', 2);
  }
  const home = resolve(readConfig().home);
  const state = await stackState(home, values.http);
  if (!state) {
    const which = values.http
      ? `no stack at ${values.http} was started from ${home}`
      : `no stack runs in ${home}`;
    fail(`${which}; start one with: npm start`, 1);
  }
  process.stdout.write(`${await signToken(state.key, player, hours)}\n`);
} catch (error) {
  fail((error as Error).message, 2);
}
