// `npm run forget -- PLAYER`: removes everything that a player and the characters of this game ever said to each other
// from the newest stack that runs here, or from the Redis of PARLEY_REDIS_URL.

import { resolve } from 'node:path';
import { Redis } from 'ioredis';
import { History } from '../bus/history.ts';
import { createKeys } from '../bus/subjects.ts';
import { readConfig } from '../runtime/config.ts';
import { stackState } from './stack/state.ts';

const [player] = process.argv.slice(2);
const config = readConfig();
const url = config.redisUrl || (await stackState(resolve(config.home)))?.ready.redis;
if (!player || !url) {
  const why = player ? 'no stack runs here; set PARLEY_REDIS_URL' : 'usage: npm run forget -- PLAYER';
  process.stderr.write(`forget: ${why}\n`);
  process.exit(player ? 1 : 2);
}
const redis = new Redis(url);
const history = new History({
  redis,
  keys: createKeys(config.prefix),
  turns: config.historyTurns,
  ttlS: config.historyTtlS,
});
const conversations = await history.forget(player);
redis.disconnect();
process.stdout.write(`${conversations} conversations forgotten\n`);
