// Sessions in Redis, so that any gateway of the cluster can go on with them: whose a session is, which gateway holds
// it since which epoch, and which worker has each of its streams. Gateways alone use it. A live stream does not
// need it: when Redis is away, sessions stay where they are.

import { createHash } from 'node:crypto';
import type { End, Say, Tok } from './protocol.ts';
import { type Redis, runScript, script } from './redis.ts';
import type { Keys } from './subjects.ts';

/** What a gateway that has never seen a stream must know to go on with it. */
export interface StreamRecord {
  readonly npc: string;
  readonly say: Say;
  readonly tier: 'gold' | 'silver';
  readonly worker?: string;
  readonly attempt: number;
  /** ms since the epoch. */
  readonly deadlineAt: number;
  readonly ended: boolean;
  /** Messages of an answer that a gateway wrote itself: it is kept here and not with a worker. */
  readonly written?: readonly (Tok | End)[];
}

/** A session as another gateway left it. */
export interface SessionRecord {
  readonly session: string;
  readonly epoch: number;
  /** The gateway that held it before. */
  readonly gateway: string;
  readonly streams: ReadonlyMap<number, StreamRecord>;
  /** State of the player's own limits. */
  readonly limits?: string;
}

/** Where a player was before a new session took over. */
export interface Before {
  readonly epoch: number;
  readonly session?: string;
  readonly gateway?: string;
}

// One epoch a player, raised by each welcome, so that any two claims can be compared.
// KEYS: session, player. ARGV: session id, key hash, gateway, player, ttl s.
const openScript = script(`
local before = redis.call('HMGET', KEYS[2], 'session', 'gateway')
local epoch = redis.call('HINCRBY', KEYS[2], 'epoch', 1)
redis.call('HSET', KEYS[2], 'session', ARGV[1], 'gateway', ARGV[3])
redis.call('HSET', KEYS[1], 'player', ARGV[4], 'key', ARGV[2])
redis.call('EXPIRE', KEYS[1], ARGV[5])
redis.call('EXPIRE', KEYS[2], ARGV[5])
return {epoch, before[1], before[2]}`);

// KEYS: session, player. ARGV: session id, key hash, gateway, player, ttl s.
const resumeScript = script(`
local own = redis.call('HMGET', KEYS[1], 'player', 'key')
if own[1] ~= ARGV[4] or own[2] ~= ARGV[2] then return false end
local at = redis.call('HMGET', KEYS[2], 'session', 'gateway')
if at[1] ~= ARGV[1] then return false end
local epoch = redis.call('HINCRBY', KEYS[2], 'epoch', 1)
redis.call('HSET', KEYS[2], 'gateway', ARGV[3])
redis.call('EXPIRE', KEYS[1], ARGV[5])
redis.call('EXPIRE', KEYS[2], ARGV[5])
return {epoch, at[2], redis.call('HGETALL', KEYS[1])}`);

// Only the gateway with the newest epoch may write. A record that Redis has lost is made again.
// KEYS: session, player. ARGV: epoch, ttl s, session id, key hash, gateway, player, field, value, …
const writeScript = script(`
local epoch = tonumber(redis.call('HGET', KEYS[2], 'epoch') or '0')
if epoch > tonumber(ARGV[1]) then return 0 end
if epoch < tonumber(ARGV[1]) then
  redis.call('HSET', KEYS[2], 'epoch', ARGV[1], 'session', ARGV[3], 'gateway', ARGV[5])
  redis.call('HSET', KEYS[1], 'player', ARGV[6], 'key', ARGV[4])
end
if #ARGV > 6 then redis.call('HSET', KEYS[1], unpack(ARGV, 7)) end
redis.call('EXPIRE', KEYS[1], ARGV[2])
redis.call('EXPIRE', KEYS[2], ARGV[2])
return 1`);

// The epoch stays until it expires: it must never go down while an older process may be about.
// KEYS: session, player. ARGV: epoch.
const closeScript = script(`
if redis.call('HGET', KEYS[2], 'epoch') ~= ARGV[1] then return 0 end
redis.call('HDEL', KEYS[2], 'session', 'gateway')
return redis.call('DEL', KEYS[1])`);

/** A session as the gateway that holds it knows it. */
export interface HeldSession {
  readonly session: string;
  readonly player: string;
  readonly epoch: number;
  readonly keyHash: string;
  readonly gateway: string;
}

/** A resume key is a secret: Redis sees only its hash. */
export const hashKey = (key: string): string => createHash('sha256').update(key).digest('base64url');

export class SessionStore {
  private readonly redis: Redis;
  private readonly keys: Keys;

  constructor({ redis, keys }: { redis: Redis; keys: Keys }) {
    this.redis = redis;
    this.keys = keys;
  }

  /** Whether Redis can be asked now. */
  get available(): boolean {
    return this.redis.status === 'ready';
  }

  /** Makes a session the player's newest. Rejects when Redis cannot be reached. */
  async open(claim: Omit<HeldSession, 'epoch'> & { ttlS: number }): Promise<Before> {
    const { session, player, keyHash, gateway, ttlS } = claim;
    const reply = (await runScript(
      this.redis,
      openScript,
      [this.keys.session(session), this.keys.player(player)],
      [session, keyHash, gateway, player, ttlS],
    )) as [number, string | null, string | null];
    return { epoch: reply[0], session: reply[1] ?? undefined, gateway: reply[2] ?? undefined };
  }

  /**
   * Claims a session for this gateway. Undefined when it is not this player's newest, or the key does not fit.
   * Rejects when Redis cannot be reached.
   */
  async resume(claim: {
    session: string;
    player: string;
    keyHash: string;
    gateway: string;
    ttlS: number;
  }): Promise<SessionRecord | undefined> {
    const { session, player, keyHash, gateway, ttlS } = claim;
    const reply = (await runScript(
      this.redis,
      resumeScript,
      [this.keys.session(session), this.keys.player(player)],
      [session, keyHash, gateway, player, ttlS],
    )) as [number, string, string[]] | null;
    if (!reply) return undefined;
    const [epoch, from, fields] = reply;
    const streams = new Map<number, StreamRecord>();
    let limits: string | undefined;
    for (let i = 0; i < fields.length; i += 2) {
      const [name, value] = [fields[i]!, fields[i + 1]!];
      if (name.startsWith('s:')) streams.set(Number(name.slice(2)), JSON.parse(value) as StreamRecord);
      else if (name === 'limits') limits = value;
    }
    return { session, epoch, gateway: from, streams, limits };
  }

  /**
   * Writes fields and renews the session. Resolves false when a newer epoch holds it: then it is no longer this
   * gateway's.
   */
  async write(
    held: HeldSession,
    ttlS: number,
    fields: { stream?: number; record?: StreamRecord; limits?: string } = {},
  ): Promise<boolean> {
    const pairs: string[] = [];
    if (fields.stream !== undefined) pairs.push(`s:${fields.stream}`, JSON.stringify(fields.record));
    if (fields.limits !== undefined) pairs.push('limits', fields.limits);
    const done = await runScript(
      this.redis,
      writeScript,
      [this.keys.session(held.session), this.keys.player(held.player)],
      [held.epoch, ttlS, held.session, held.keyHash, held.gateway, held.player, ...pairs],
    );
    return done === 1;
  }

  /** Forgets streams that nobody can ask for any more. */
  async forgetStreams(session: string, streams: readonly number[]): Promise<void> {
    await this.redis.hdel(this.keys.session(session), ...streams.map((s) => `s:${s}`));
  }

  /** Ends a session for good, unless a newer epoch holds it. */
  async close(at: { session: string; player: string; epoch: number }): Promise<void> {
    await runScript(
      this.redis,
      closeScript,
      [this.keys.session(at.session), this.keys.player(at.player)],
      [String(at.epoch)],
    );
  }

  /** Whether no newer epoch holds the player. */
  async owns({ player, epoch }: { player: string; epoch: number }): Promise<boolean> {
    return Number((await this.redis.hget(this.keys.player(player), 'epoch')) ?? 0) <= epoch;
  }

  /** The gateway that holds a player's session; undefined when there is none. */
  async holder(player: string): Promise<string | undefined> {
    return (await this.redis.hget(this.keys.player(player), 'gateway')) ?? undefined;
  }
}
