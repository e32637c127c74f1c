// Answers of the model by situation, so that a situation that comes again needs no model: a fixed table of sets of
// four, the least used of a set going first. Looking up and finding allocate nothing. Knows nothing of what it keeps.

import type { Intent } from '../../bus/protocol.ts';

export interface CacheOptions {
  /** Situations that are kept; 512 if it is not said. */
  size?: number;
  /** How long an answer is used again; 60 s. */
  ttlMs?: number;
  /** Different answers to one situation; 3. */
  variants?: number;
  /** While there are fewer than that, the share of times in which the model is asked again; 0.25. */
  explore?: number;
}

/** What a character did at one answer. Empty: it decided to do nothing, which is worth knowing too. */
export type Answer = readonly Intent[];

const ways = 4;

export class IntentCache {
  readonly variants: number;
  readonly explore: number;
  readonly #ttlMs: number;
  readonly #sets: number;
  readonly #keys: Int32Array;
  readonly #usedAt: Float64Array;
  readonly #expiresAt: Float64Array;
  readonly #count: Uint8Array;
  readonly #next: Uint8Array;
  readonly #answers: (Answer | undefined)[];

  constructor({ size = 512, ttlMs = 60_000, variants = 3, explore = 0.25 }: CacheOptions = {}) {
    this.variants = Math.min(Math.max(1, variants), 16);
    this.explore = explore;
    this.#ttlMs = ttlMs;
    this.#sets = Math.max(1, Math.ceil(size / ways));
    const entries = this.#sets * ways;
    this.#keys = new Int32Array(entries).fill(-1);
    this.#usedAt = new Float64Array(entries);
    this.#expiresAt = new Float64Array(entries);
    this.#count = new Uint8Array(entries);
    this.#next = new Uint8Array(entries);
    this.#answers = new Array(entries * this.variants).fill(undefined);
  }

  /** Where the answers to a situation are, for `answer` and `count`; −1: nowhere. */
  find(key: number, nowMs: number): number {
    const entry = this.#entryOf(key);
    if (entry < 0 || this.#expiresAt[entry]! <= nowMs) return -1;
    this.#usedAt[entry] = nowMs;
    return entry;
  }

  count(entry: number): number {
    return this.#count[entry]!;
  }

  /** One of the answers; `chance` from 0 up to 1 says which. */
  answer(entry: number, chance: number): Answer {
    return this.#answers[entry * this.variants + Math.floor(chance * this.#count[entry]!)]!;
  }

  /** Keeps an answer; of more than `variants` the oldest goes. A fresh answer makes all of its situation last. */
  put(key: number, answer: Answer, nowMs: number): void {
    let entry = this.#entryOf(key);
    if (entry < 0 || this.#expiresAt[entry]! <= nowMs) {
      if (entry < 0) entry = this.#oldestOf(key);
      this.#keys[entry] = key;
      this.#count[entry] = 0;
      this.#next[entry] = 0;
      for (let k = 0; k < this.variants; k++) this.#answers[entry * this.variants + k] = undefined;
    }
    const at = this.#next[entry]!;
    this.#answers[entry * this.variants + at] = answer;
    this.#next[entry] = (at + 1) % this.variants;
    if (this.#count[entry]! < this.variants) this.#count[entry]!++;
    this.#usedAt[entry] = nowMs;
    this.#expiresAt[entry] = nowMs + this.#ttlMs;
  }

  /** The game's clock was set anew: all times move by so much. */
  shift(ms: number): void {
    for (const time of [this.#usedAt, this.#expiresAt])
      for (let entry = 0; entry < time.length; entry++) time[entry] = time[entry]! + ms;
  }

  #entryOf(key: number): number {
    const first = this.#setOf(key);
    for (let entry = first; entry < first + ways; entry++) if (this.#keys[entry] === key) return entry;
    return -1;
  }

  #oldestOf(key: number): number {
    const first = this.#setOf(key);
    let oldest = first;
    for (let entry = first; entry < first + ways; entry++) {
      if (this.#keys[entry] === -1) return entry;
      if (this.#usedAt[entry]! < this.#usedAt[oldest]!) oldest = entry;
    }
    return oldest;
  }

  #setOf(key: number): number {
    return ((Math.imul(key, 0x9e3779b1) >>> 0) % this.#sets) * ways;
  }
}
