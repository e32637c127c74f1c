// Whether an observation may go out now. What the player does is worth telling while it is fresh and the line is free;
// it is never queued, and it must not use up the messages that the player's words need.

import type { Welcome } from '../bus/protocol.ts';

/** Observations take at most this share of the messages that the edge allows a second. */
const share = 0.5;

export class Observing {
  #perMs = 0;
  #most = 0;
  #credit = 0;
  #countedAt = 0;
  #offered = false;

  onWelcome({ limits }: Welcome): void {
    this.#most = Math.max(1, limits.messagesPerSecond * share);
    this.#perMs = this.#most / 1_000;
    this.#credit = this.#most;
    this.#countedAt = performance.now();
    this.#offered = true;
  }

  /** The edge has nobody who listens: it would refuse each one. Until the next `welcome` none is sent. */
  onNotAvailable(): void {
    this.#offered = false;
  }

  /** True takes one from what is allowed now. */
  take(): boolean {
    if (!this.#offered) return false;
    const now = performance.now();
    this.#credit = Math.min(this.#most, this.#credit + (now - this.#countedAt) * this.#perMs);
    this.#countedAt = now;
    if (!(this.#credit >= 1)) return false;
    this.#credit -= 1;
    return true;
  }
}
