// A token bucket: `burst` at once, `perSecond` in the long run. Two numbers a session and no timer.

export class TokenBucket {
  private tokens: number;
  private at: number;

  constructor(burst: number, now: number) {
    this.tokens = burst;
    this.at = now;
  }

  /** Takes one token if there is one. Returns 0, or the milliseconds until the next. */
  take(now: number, perSecond: number, burst: number): number {
    this.tokens = Math.min(burst, this.tokens + ((now - this.at) / 1_000) * perSecond);
    this.at = now;
    if (this.tokens >= 1) {
      this.tokens -= 1;
      return 0;
    }
    return Math.ceil(((1 - this.tokens) / perSecond) * 1_000);
  }
}
