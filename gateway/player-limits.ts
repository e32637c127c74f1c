// What one player may do how often, decided without asking anybody. The state is small and travels with the session
// record, so that changing the gateway wins nobody a fresh allowance.

import type { Config } from '../runtime/config.ts';
import { TokenBucket } from './token-bucket.ts';

export type PlayerLimitConfig = Pick<Config, 'saysPerSecond' | 'sayBurst' | 'thinksPerSecond' | 'thinkBurst'>;

/** Messages that cost a check of a token or a place in a queue: one a second, five at once. */
const rare = { perSecond: 1, burst: 5 };

export class PlayerLimits {
  private readonly config: PlayerLimitConfig;
  private readonly says: TokenBucket;
  private readonly thinks: TokenBucket;
  private readonly others: TokenBucket;

  /** `saved` is what `save` returned somewhere else; anything else counts as nothing used. */
  constructor(config: PlayerLimitConfig, saved?: string) {
    this.config = config;
    const now = Date.now();
    this.says = new TokenBucket(config.sayBurst, now);
    this.others = new TokenBucket(rare.burst, now);
    this.thinks = new TokenBucket(config.thinkBurst, now);
    const parts = saved?.split(' ').map(Number) ?? [];
    // Four numbers: of a release without thinks.
    if ((parts.length !== 6 && parts.length !== 4) || parts.some((n) => !Number.isFinite(n))) return;
    this.says.set(Math.min(parts[0]!, config.sayBurst), Math.min(parts[1]!, now));
    this.others.set(Math.min(parts[2]!, rare.burst), Math.min(parts[3]!, now));
    if (parts.length === 6) this.thinks.set(Math.min(parts[4]!, config.thinkBurst), Math.min(parts[5]!, now));
  }

  /** Takes one `say`. Returns 0, or the milliseconds until the next is allowed. */
  say(): number {
    return this.says.take(Date.now(), this.config.saysPerSecond, this.config.sayBurst);
  }

  /** Takes one `say` of mode `think`. */
  think(): number {
    return this.thinks.take(Date.now(), this.config.thinksPerSecond, this.config.thinkBurst);
  }

  /** Takes one `refresh` or `job`. */
  other(): number {
    return this.others.take(Date.now(), rare.perSecond, rare.burst);
  }

  save(): string {
    return `${this.says.state()} ${this.others.state()} ${this.thinks.state()}`;
  }
}
