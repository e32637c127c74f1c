// Set-up: makes a fresh clone able to run. `npm start`, `npm test`, `npm run bench` and `npm run check` call it
// first, so it uses Node's own modules alone. It finds or fetches npm packages, nats-server, redis-server and the
// model, each once; when all is there it touches neither the network nor the disk. All it says goes to standard
// error, since standard output belongs to the program that follows.

import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cleanUp } from './setup/child.mjs';
import { ensureChromium } from './setup/chromium.mjs';
import { SetupFailure, say } from './setup/failure.mjs';
import { ensureModel } from './setup/model.mjs';
import { ensureMono } from './setup/mono.mjs';
import { ensureNatsServer } from './setup/nats.mjs';
import { ensureNpmPackages } from './setup/npm-packages.mjs';
import { checkPlatform } from './setup/platform.mjs';
import { tryPython } from './setup/python-env.mjs';
import { ensureRedisServer } from './setup/redis.mjs';
import { writeServers } from './setup/servers.mjs';
import { tryTriton } from './setup/triton.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const cache = join(resolve(process.env.PARLEY_HOME || join(homedir(), '.parley')), 'cache');

async function setUp(purpose) {
  const { PARLEY_NATS_URL, PARLEY_REDIS_URL, PARLEY_MODEL } = process.env;
  const tests = purpose === 'test';
  checkPlatform();
  await ensureNpmPackages(root);
  if (purpose === 'check') return;
  const servers = {};
  if (tests || !PARLEY_NATS_URL) servers.natsServer = await ensureNatsServer(cache);
  if (tests || !PARLEY_REDIS_URL) servers.redisServer = await ensureRedisServer(cache);
  if (tests || !PARLEY_MODEL) await ensureModel(cache);
  if (tests) await ensureMono(cache);
  if (tests) servers.chromium = await ensureChromium(cache);
  if (tests) servers.triton = await tryTriton(cache);
  if (tests) await tryPython(cache);
  writeServers(cache, servers);
}

const purpose = process.argv[2];
if (!['start', 'test', 'check'].includes(purpose)) {
  say('usage: node scripts/setup.mjs start|test|check');
  process.exit(2);
}
for (const [signal, number] of [
  ['SIGHUP', 1],
  ['SIGINT', 2],
  ['SIGTERM', 15],
]) {
  process.on(signal, () => {
    cleanUp(signal);
    say(`stopped by ${signal}; what was fetched whole is kept, the rest is fetched again next time`);
    process.exit(128 + number);
  });
}
const started = performance.now();
try {
  await setUp(purpose);
  say(`all is there (${((performance.now() - started) / 1000).toFixed(1)} s)`);
} catch (error) {
  cleanUp('SIGTERM');
  if (!(error instanceof SetupFailure)) throw error;
  say(error.report());
  process.exitCode = 1;
}
