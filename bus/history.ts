// What a player and a character said to each other, in Redis. Read by workers for the prompt, written once a
// turn by whoever made the answer: a worker, or the gateway for an authored line. It lives in bus/ because both
// sides must agree on its form.

import { randomUUID } from 'node:crypto';
import { ParleyError } from '../runtime/errors.ts';
import { type Redis, runScript, script } from './redis.ts';
import type { Keys } from './subjects.ts';

export interface HistoryTurn {
  /** What the player said. */
  readonly player: string;
  /** What the character really said: the text that was emitted, which may be half a sentence. */
  readonly npc: string;
  /** Why the answer ended. */
  readonly reason: 'stop' | 'length' | 'cancelled' | 'deadline' | 'filtered' | 'lost';
  /** Milliseconds since the epoch. */
  readonly at: number;
}

/** Whose turn it is; `session` and `stream` make the commit idempotent, a backend's request has none. */
export interface TurnKey {
  readonly player: string;
  readonly npc: string;
  readonly session?: string;
  readonly stream: number;
}

// In one step, so that a turn is either there with its marker or not at all.
// KEYS: marker, list, index. ARGV: turn, bound, ttl in seconds, character.
const commitScript = script(`
if redis.call('SET', KEYS[1], '1', 'NX', 'EX', ARGV[3]) == false then return 0 end
redis.call('RPUSH', KEYS[2], ARGV[1])
redis.call('LTRIM', KEYS[2], -tonumber(ARGV[2]), -1)
redis.call('EXPIRE', KEYS[2], ARGV[3])
redis.call('SADD', KEYS[3], ARGV[4])
redis.call('EXPIRE', KEYS[3], ARGV[3])
return 1`);

export class History {
  private readonly redis: Redis;
  private readonly keys: Keys;
  private readonly turns: number;
  private readonly ttlS: number;

  /** Keeps `turns` turns of each conversation for `ttlS` seconds after the last. */
  constructor({ redis, keys, turns, ttlS }: { redis: Redis; keys: Keys; turns: number; ttlS: number }) {
    this.redis = redis;
    this.keys = keys;
    this.turns = turns;
    this.ttlS = ttlS;
  }

  /** The turns of a conversation, oldest first. Rejects when Redis cannot be reached. */
  async read(player: string, npc: string): Promise<HistoryTurn[]> {
    if (this.turns === 0) return [];
    const rows = await this.redis.lrange(this.keys.history(player, npc), -this.turns, -1);
    return rows.map((row) => JSON.parse(row) as HistoryTurn);
  }

  /** Adds a turn unless it is there already; says whether it added it. Rejects when Redis cannot be reached. */
  async commit(key: TurnKey, turn: HistoryTurn): Promise<boolean> {
    if (this.turns === 0) return false;
    const added = await runScript(
      this.redis,
      commitScript,
      [
        this.keys.turn(key.session ?? randomUUID(), key.stream),
        this.keys.history(key.player, key.npc),
        this.keys.historyIndex(key.player),
      ],
      [JSON.stringify(turn), String(this.turns), String(this.ttlS), key.npc],
    );
    return added === 1;
  }

  /** Forgets everything that a player ever said. Returns the number of conversations. */
  async forget(player: string): Promise<number> {
    const index = this.keys.historyIndex(player);
    const npcs = await this.redis.smembers(index);
    if (npcs.length === 0) return 0;
    const removed = await this.redis.del(...npcs.map((npc) => this.keys.history(player, npc)), index);
    if (removed === 0) throw new ParleyError('internal', `history of a player could not be removed`);
    return npcs.length;
  }
}
