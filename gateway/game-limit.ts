// The limit of a whole game, shared by its gateways: each counts for itself, once a second they add up in Redis,
// and each gets its share of the next second by what it needed in the last. Off the request path; while Redis is
// away nobody is refused for it.

import type { Redis } from '../bus/redis.ts';
import type { Keys } from '../bus/subjects.ts';
import type { Log } from '../runtime/log.ts';

const keepS = 10;

export class GameLimit {
  private readonly perSecond: number;
  private readonly redis: Redis;
  private readonly keys: Keys;
  private readonly log: Log;
  private asked = 0;
  private taken = 0;
  private allowance: number;

  /** `perSecond` 0: no limit. */
  constructor({ perSecond, redis, keys, log }: { perSecond: number; redis: Redis; keys: Keys; log: Log }) {
    this.perSecond = perSecond;
    this.redis = redis;
    this.keys = keys;
    this.log = log;
    this.allowance = perSecond;
  }

  /** Whether the game may take one more in this second, when what is asked for may use up to `share` of it. */
  admit(share = 1): boolean {
    if (this.perSecond === 0) return true;
    this.asked++;
    if (this.taken >= this.allowance * share) return false;
    this.taken++;
    return true;
  }

  /** Settles with the other gateways. Called once a second; never rejects. */
  async settle(): Promise<void> {
    if (this.perSecond === 0) return;
    const mine = this.asked;
    this.asked = 0;
    this.taken = 0;
    if (this.redis.status !== 'ready') {
      this.allowance = Number.POSITIVE_INFINITY;
      return;
    }
    try {
      const key = this.keys.gameLimit('say', Math.floor(Date.now() / 1_000));
      const replies = await this.redis.multi().incrby(key, mine).expire(key, keepS).exec();
      const total = Number(replies?.[0]?.[1] ?? mine);
      // Whoever settles late in the second sees all of it; whoever is early sees part and is generous to itself.
      const free = Math.max(0, this.perSecond - (total - mine));
      this.allowance =
        total <= this.perSecond ? free : Math.max(1, Math.ceil((this.perSecond * mine) / total));
    } catch (error) {
      this.allowance = Number.POSITIVE_INFINITY;
      this.log.warn({ err: error }, 'the limit of the game cannot be settled; nobody is refused for it');
    }
  }
}
