// The connection to Redis, reconnecting for ever. Commands fail at once while it is away: what needs Redis says
// so instead of waiting, and a live stream does not need it.

import { createHash } from 'node:crypto';
import { Redis } from 'ioredis';
import { type Log, withoutCredentials } from '../runtime/log.ts';

export type { Redis };

/** Resolves when connected, or after two seconds without: Redis may come later. */
export async function connectRedis({
  url,
  name,
  log,
  onState,
}: {
  url: string;
  name: string;
  log: Log;
  onState?: (connected: boolean) => void;
}): Promise<Redis> {
  const redis = new Redis(url, {
    connectionName: name.replace(/[^A-Za-z0-9_-]/g, '-'),
    lazyConnect: true,
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    commandTimeout: 1_000,
    connectTimeout: 2_000,
    retryStrategy: (tries) => Math.min(2_000, 100 * 2 ** Math.min(tries, 5)) * (0.5 + Math.random() / 2),
  });
  let connected = false;
  const set = (now: boolean) => {
    if (now !== connected) {
      connected = now;
      if (now) log.info({ server: withoutCredentials(url) }, 'connected to Redis');
      else if (!closing.has(redis)) log.warn('lost Redis; reconnecting');
    }
    onState?.(now);
  };
  redis.on('ready', () => set(true));
  redis.on('close', () => set(false));
  redis.on('error', (error) => log.debug({ error: error.message }, 'Redis'));
  const ready = new Promise<void>((resolve) => redis.once('ready', () => resolve()));
  // The first try may fail; the retries go on by themselves.
  redis.connect().catch(() => {});
  await Promise.race([ready, new Promise((resolve) => setTimeout(resolve, 2_000).unref())]);
  if (!connected)
    log.warn({ server: withoutCredentials(url) }, 'Redis cannot be reached yet; going on without');
  return redis;
}

const closing = new WeakSet<Redis>();

/** Leaves for good. */
export function disconnectRedis(redis: Redis): void {
  closing.add(redis);
  redis.disconnect();
}

/**
 * Runs a script by its hash, which Redis keeps: the text only travels when Redis does not know it (yet, or after a
 * restart).
 */
export async function runScript(
  redis: Redis,
  script: Script,
  keys: string[],
  args: (string | number)[],
): Promise<unknown> {
  try {
    return await redis.evalsha(script.hash, keys.length, ...keys, ...args);
  } catch (error) {
    if (!(error instanceof Error) || !error.message.startsWith('NOSCRIPT')) throw error;
    return redis.eval(script.text, keys.length, ...keys, ...args);
  }
}

export interface Script {
  readonly text: string;
  readonly hash: string;
}

/** A Lua script with the hash by which Redis knows it. */
export function script(text: string): Script {
  return { text, hash: createHash('sha1').update(text).digest('hex') };
}
