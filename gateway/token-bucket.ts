// A token bucket: `burst` at once, `perSecond` in the long run. Two numbers and no timer. Whose clock it is does not
// matter, as long as it is always the same one.

export class TokenBucket {
  private tokens: number;
  private at: number;

  constructor(burst: number, now: number) {
    this.tokens = burst;
    this.at = now;
  }

  /** Takes one token if there is one. Returns 0, or the milliseconds until the next. */
  take(now: number, perSecond: number, burst: number): number {
    this.tokens = Math.min(burst, this.tokens + (Math.max(0, now - this.at) / 1_000) * perSecond);
    this.at = now;
    if (this.tokens >= 1) {
      this.tokens -= 1;
      return 0;
    }
    return Math.ceil(((1 - this.tokens) / perSecond) * 1_000);
  }

  /** Whether it has as much as it can hold: then it need not be remembered. */
  full(now: number, perSecond: number, burst: number): boolean {
    return this.tokens + ((now - this.at) / 1_000) * perSecond >= burst;
  }

  set(tokens: number, at: number): void {
    this.tokens = tokens;
    this.at = at;
  }

  /** Tokens and clock, as text. */
  state(): string {
    return `${Math.round(this.tokens * 1_000) / 1_000} ${Math.round(this.at)}`;
  }
}
