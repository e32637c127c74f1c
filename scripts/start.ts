// `npm start`: a whole Parley on this machine, in the foreground. Progress goes to standard error; when everything
// serves, one line of JSON on standard output says where. Parts that die are started again. Ctrl-C and SIGTERM stop
// every part, in the reverse order of its start.

import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { ConfigError, readConfig } from '../runtime/config.ts';
import { SetupFailure } from './setup/failure.mjs';
import { writeServers } from './setup/servers.mjs';
import { ensureTriton } from './setup/triton.mjs';
import { LocalStack } from './stack/local-stack.ts';

const say = (line: string) => void process.stderr.write(`parley: ${line}\n`);

function fail(message: string, exitCode: number): never {
  say(message);
  process.exit(exitCode);
}

function options(): { gateways: number; workers: number; village: boolean; gold: string } {
  try {
    const { values } = parseArgs({
      options: {
        gateways: { type: 'string', default: '1' },
        workers: { type: 'string', default: '1' },
        gold: { type: 'string', default: '' },
        'no-village': { type: 'boolean', default: false },
      },
    });
    const count = (name: 'gateways' | 'workers', least: number) => {
      const value = Number(values[name]);
      if (Number.isInteger(value) && value >= least && value <= 64) return value;
      throw new Error(`--${name} must be a whole number from ${least} to 64; it is ${values[name]}`);
    };
    const gold = values.gold;
    if (!['', 'llama', 'triton'].includes(gold))
      throw new Error(`--gold must be llama or triton; it is ${gold}`);
    return {
      gold,
      gateways: count('gateways', 1),
      workers: count('workers', 0),
      village: !values['no-village'],
    };
  } catch (error) {
    return fail(
      `${(error as Error).message}\nusage: npm start [-- --gateways N --workers N --gold llama|triton --no-village]`,
      2,
    );
  }
}

function build(): LocalStack {
  const { village, gold, ...counts } = asked;
  try {
    return new LocalStack({
      ...counts,
      env: gold === '' ? {} : { PARLEY_ENGINE: gold },
      // What the village at / needs of a game's server: purses, and the say over what is sold.
      backends: village ? { village: 'examples/village/server.ts' } : {},
      say,
      onLog: (line) => void process.stderr.write(`${line}\n`),
      onReturn: () => ready && stack.writeState(startedAt),
    });
  } catch (error) {
    if (error instanceof ConfigError) return fail(error.message, 2);
    throw error;
  }
}

async function fetchTriton(): Promise<void> {
  const cache = join(readConfig().home, 'cache');
  try {
    writeServers(cache, { triton: await ensureTriton(cache) });
  } catch (error) {
    if (!(error instanceof SetupFailure)) throw error;
    fail(error.report(), 1);
  }
}

const startedAt = new Date();
let ready = false;
let stoppingSince: number | undefined;
const asked = options();
// Fetched for whoever asks for it, and for nobody else: it is 300 MB on disk.
if (asked.gold === 'triton' && !process.env.PARLEY_TRITON_URLS) await fetchTriton();
const stack = build();

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    const now = Date.now();
    if (stoppingSince === undefined) {
      stoppingSince = now;
      say(`stopping (${signal})`);
      void stack.stop().then(() => process.exit(0));
    } else if (now - stoppingSince > 1_000) {
      // Within the first second it is the same Ctrl-C once more: npm passes one on top of the terminal's.
      stack.kill();
      fail('stopped without waiting', 1);
    }
  });
}

try {
  await stack.start();
  ready = true;
  stack.writeState(startedAt);
  process.stdout.write(`${JSON.stringify(stack.readyLine())}\n`);
  const seconds = ((Date.now() - startedAt.getTime()) / 1000).toFixed(1);
  say(`serves after ${seconds} s. Open ${stack.http()} in a browser, or: npm run talk -- mira`);
} catch (error) {
  // A stop during the start ends in an error too; the handler above exits then.
  if (stoppingSince === undefined) fail(`could not start: ${(error as Error).message}`, 1);
}
