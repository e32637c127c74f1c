// How many new sessions a second, in all and from one address. Resumes with a valid key are not asked: five hundred
// players behind one address come back at once when a gateway has died.

import type { Config } from '../runtime/config.ts';
import { TokenBucket } from './token-bucket.ts';

const burstS = 10;
/** More addresses than this are not told apart; the oldest are forgotten. */
const maxAddresses = 100_000;

export class HandshakeLimits {
  private readonly config: Pick<Config, 'handshakesPerSecond' | 'addressHandshakesPerSecond'>;
  private readonly all: TokenBucket;
  private readonly byAddress = new Map<string, TokenBucket>();

  constructor(config: HandshakeLimits['config']) {
    this.config = config;
    this.all = new TokenBucket(config.handshakesPerSecond * burstS, performance.now());
  }

  /** Whether one more may come in from that address. */
  admit(address: string): boolean {
    const now = performance.now();
    const { handshakesPerSecond, addressHandshakesPerSecond: perSecond } = this.config;
    if (this.all.take(now, handshakesPerSecond, handshakesPerSecond * burstS) > 0) return false;
    if (perSecond === 0) return true;
    const burst = perSecond * burstS;
    let bucket = this.byAddress.get(address);
    if (!bucket) {
      if (this.byAddress.size >= maxAddresses) this.byAddress.delete(this.byAddress.keys().next().value!);
      bucket = new TokenBucket(burst, now);
      this.byAddress.set(address, bucket);
    }
    return bucket.take(now, perSecond, burst) === 0;
  }

  /** Forgets addresses that have been quiet. Called now and then. */
  sweep(): void {
    const now = performance.now();
    const perSecond = this.config.addressHandshakesPerSecond;
    for (const [address, bucket] of this.byAddress) {
      if (bucket.full(now, perSecond, perSecond * burstS)) this.byAddress.delete(address);
    }
  }
}
