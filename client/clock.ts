// The server's clock, as well as it can be known from here: each answer to a ping says what time it was there, give
// or take half of the way. Of the last few, the one with the shortest way is believed. Asks for nothing by itself.

/** So many answers are remembered: an old one with a short way must not outlive a change of the network. */
const kept = 8;

export class Clock {
  readonly #samples: { tripMs: number; base: number }[] = [];
  /** The server's time less `performance.now()`. */
  #base = performance.timeOrigin;

  /** Milliseconds since the epoch by the server's clock; by this machine's before the first `welcome`. */
  now(): number {
    return performance.now() + this.#base;
  }

  /** How far the server's clock is ahead of `Date.now()`. */
  get offsetMs(): number {
    return this.now() - Date.now();
  }

  /** The way there and back of the answer that is believed; undefined before the first. */
  get tripMs(): number | undefined {
    return this.#best()?.tripMs;
  }

  /** It was `time` at the server somewhere between `sentAt` and now, both by `performance.now()`. */
  sample(sentAt: number, time: number, nowMs = performance.now()): void {
    const tripMs = nowMs - sentAt;
    this.#samples.push({ tripMs, base: time + tripMs / 2 - nowMs });
    if (this.#samples.length > kept) this.#samples.shift();
    this.#base = this.#best()!.base;
  }

  /** Another server: what the last one said does not count any more. */
  restart(): void {
    this.#samples.length = 0;
  }

  #best() {
    return this.#samples.reduce<{ tripMs: number; base: number } | undefined>(
      (best, sample) => (best && best.tripMs <= sample.tripMs ? best : sample),
      undefined,
    );
  }
}
