// The slots: what each character was last told to do. Message callbacks write, the next tick reads; both run on the
// game's one thread, so a sequence number is all the order there is. Memory is fixed: a flood overwrites itself.

import type { Intent } from '../../bus/protocol.ts';
import type { KnownVerb } from './verbs.ts';

/** Moments (a gift, a wave) that may come between two frames without one replacing another. */
const moments = 4;
const longestTtlMs = 600_000;
/** Verbs whose last time is remembered for each character; of two with one number the later counts. */
const remembered = 8;

export class IntentSlots {
  /** The newest movement, one for each character. */
  readonly intent: (Intent | undefined)[];
  readonly verb: (KnownVerb | undefined)[];
  readonly version: Uint8Array;
  readonly generation: Uint32Array;
  readonly confidence: Float64Array;
  readonly arrivedAt: Float64Array;
  /** Infinity while the slot is empty. */
  readonly expiresAt: Float64Array;
  /** Counts what was written; `taken` is the number that the loop has seen. */
  readonly sequence: Uint32Array;
  readonly taken: Uint32Array;
  /** Whether the game has been told, for verbs that are told on arrival. */
  readonly told: Uint8Array;

  readonly #moments: (Intent | undefined)[];
  readonly #momentExpires: Float64Array;
  readonly #momentCount: Uint8Array;
  readonly #doneAt: Float64Array;
  /** Who has something new, in the order in which it came; two lists that change places each frame. */
  #waiting: Int32Array;
  #taking: Int32Array;
  readonly #isWaiting: Uint8Array;
  #waitingCount = 0;

  constructor(capacity: number) {
    this.intent = new Array(capacity).fill(undefined);
    this.verb = new Array(capacity).fill(undefined);
    this.version = new Uint8Array(capacity);
    this.generation = new Uint32Array(capacity);
    this.confidence = new Float64Array(capacity);
    this.arrivedAt = new Float64Array(capacity);
    this.expiresAt = new Float64Array(capacity).fill(Number.POSITIVE_INFINITY);
    this.sequence = new Uint32Array(capacity);
    this.taken = new Uint32Array(capacity);
    this.told = new Uint8Array(capacity);
    this.#moments = new Array(capacity * moments).fill(undefined);
    this.#momentExpires = new Float64Array(capacity * moments);
    this.#momentCount = new Uint8Array(capacity);
    this.#doneAt = new Float64Array(capacity * remembered).fill(Number.NEGATIVE_INFINITY);
    this.#waiting = new Int32Array(capacity);
    this.#taking = new Int32Array(capacity);
    this.#isWaiting = new Uint8Array(capacity);
  }

  /** Writes an intent that has been checked. Returns how many older ones it has pushed out unseen. */
  put(i: number, verb: KnownVerb, intent: Intent, generation: number, nowMs: number): number {
    // Fields that no schema covers may be anything: an encoding has integers that are no numbers.
    const given = Number.isFinite(intent.ttlMs) && intent.ttlMs >= 0;
    const ttlMs = given ? Math.min(intent.ttlMs, longestTtlMs) : verb.ttlMs;
    let lost = 0;
    if (verb.policy >= 0) {
      if (this.sequence[i] !== this.taken[i]) lost = 1;
      this.intent[i] = intent;
      this.verb[i] = verb;
      this.version[i] = intent.v ?? 1;
      this.generation[i] = generation;
      const { confidence: sure } = intent;
      this.confidence[i] = typeof sure === 'number' && sure >= 0 && sure <= 1 ? sure : 0.5;
      this.arrivedAt[i] = nowMs;
      this.expiresAt[i] = nowMs + ttlMs;
      this.sequence[i]!++;
      this.told[i] = 0;
    } else {
      const first = i * moments;
      let count = this.#momentCount[i]!;
      if (count === moments) {
        // The oldest goes: what is newest is nearest to what the player sees.
        this.#dropOldest(i);
        count--;
        lost = 1;
      }
      this.#moments[first + count] = intent;
      this.#momentExpires[first + count] = nowMs + ttlMs;
      this.#momentCount[i] = count + 1;
      this.#doneAt[i * remembered + (verb.index % remembered)] = nowMs;
    }
    this.wake(i);
    return lost;
  }

  /** Whether a character has not done this for so long. */
  isRested(i: number, verb: KnownVerb, nowMs: number, restMs: number): boolean {
    return nowMs - this.#doneAt[i * remembered + (verb.index % remembered)]! >= restMs;
  }

  /** Has the next tick look at this character. */
  wake(i: number): void {
    if (this.#isWaiting[i]) return;
    this.#isWaiting[i] = 1;
    this.#waiting[this.#waitingCount++] = i;
  }

  /** Begins a frame. Returns how many characters have something new; what comes after this waits for the next. */
  begin(): number {
    const count = this.#waitingCount;
    const taking = this.#waiting;
    this.#waiting = this.#taking;
    this.#taking = taking;
    this.#waitingCount = 0;
    for (let k = 0; k < count; k++) this.#isWaiting[taking[k]!] = 0;
    return count;
  }

  /** Character number k of those of this frame. */
  waiting(k: number): number {
    return this.#taking[k]!;
  }

  /** Whether there is a movement that the loop has not seen; it has after this. */
  takeMovement(i: number): boolean {
    if (this.sequence[i] === this.taken[i]) return false;
    this.taken[i] = this.sequence[i]!;
    return this.intent[i] !== undefined;
  }

  /** Takes the oldest moment of a character; undefined: there is none, or its time is over (see `momentsOf`). */
  takeMoment(i: number, nowMs: number): Intent | undefined {
    const first = i * moments;
    const intent = this.#moments[first];
    const good = this.#momentExpires[first]! > nowMs;
    this.#dropOldest(i);
    return good ? intent : undefined;
  }

  /** How many moments wait for the loop. */
  momentsOf(i: number): number {
    return this.#momentCount[i]!;
  }

  /** Forgets the movement of a character. */
  clear(i: number): void {
    this.intent[i] = undefined;
    this.verb[i] = undefined;
    this.expiresAt[i] = Number.POSITIVE_INFINITY;
    this.taken[i] = this.sequence[i]!;
  }
  /** The game's clock was set anew: all times move by so much. */
  shift(ms: number): void {
    for (const time of [this.arrivedAt, this.expiresAt, this.#momentExpires, this.#doneAt])
      for (let k = 0; k < time.length; k++) time[k] = time[k]! + ms;
  }

  /** Forgets everything, for an index whose character is gone. */
  empty(i: number): void {
    this.clear(i);
    this.#doneAt.fill(Number.NEGATIVE_INFINITY, i * remembered, (i + 1) * remembered);
    while (this.#momentCount[i]! > 0) this.#dropOldest(i);
  }

  #dropOldest(i: number): void {
    const first = i * moments;
    const count = this.#momentCount[i]! - 1;
    for (let k = 0; k < count; k++) {
      this.#moments[first + k] = this.#moments[first + k + 1];
      this.#momentExpires[first + k] = this.#momentExpires[first + k + 1]!;
    }
    this.#moments[first + count] = undefined;
    this.#momentCount[i] = count;
  }
}
