// Intents, from the act that comes to the character that does it: checked, put into its slot, taken up by the next frame,
// told to the game where the game has to do something, and ended when their time is over. How a character then moves
// is decided in policies.ts.

import type { Intent } from '../../bus/protocol.ts';
import { aim } from './aim.ts';
import type { Blackboard } from './blackboard.ts';
import { animation, policy } from './codes.ts';
import { IntentSlots } from './intents.ts';
import type { Names } from './names.ts';
import { decide, hasReached } from './policies.ts';
import type { Stats } from './stats.ts';
import type { Surroundings } from './surroundings.ts';
import type { Verbs } from './verbs.ts';

const gestureMs = 1_300;

export interface CarryingOutParts {
  readonly blackboard: Blackboard;
  readonly surroundings: Surroundings;
  readonly verbs: Verbs;
  readonly stats: Stats;
  /** The game has to carry out this. */
  tell(i: number, intent: Intent): void;
}

export class CarryingOut {
  readonly slots: IntentSlots;
  readonly #b: Blackboard;
  readonly #s: Surroundings;
  readonly #verbs: Verbs;
  readonly #stats: Stats;
  readonly #tellGame: (i: number, intent: Intent) => void;
  /** The earliest end of an intent. */
  #nextEnd = Number.POSITIVE_INFINITY;

  constructor({ blackboard, surroundings, verbs, stats, tell }: CarryingOutParts) {
    this.slots = new IntentSlots(blackboard.capacity);
    this.#b = blackboard;
    this.#s = surroundings;
    this.#verbs = verbs;
    this.#stats = stats;
    this.#tellGame = tell;
  }

  /**
   * Checks an act and writes it into its slot, unless it is a gesture that the character made less than `restMs` ago.
   * Returns whether the same may be done again; undefined: it was no act.
   */
  accept(names: Names, i: number, intent: Intent, generation: number, restMs: number): boolean | undefined {
    const verb = typeof intent === 'object' && intent !== null ? this.#verbs.check(intent) : undefined;
    if (!verb || (verb.policy >= 0 && !aim(this.#b, this.#s, names, i, verb, intent))) {
      this.#stats.ignored++;
      return undefined;
    }
    // What a game's server agreed to is always done.
    const again = verb.spec.authority !== 'server';
    const rest = again ? restMs : 0;
    if (verb.policy < 0 && !this.slots.isRested(i, verb, this.#s.nowMs, rest)) this.#stats.repeated++;
    else this.#stats.replaced += this.slots.put(i, verb, intent, generation, this.#s.nowMs);
    return again;
  }

  /** Takes up what has come since the last frame, and ends what is over. */
  takeUp(): void {
    const { slots } = this;
    const count = slots.begin();
    for (let n = 0; n < count; n++) {
      const i = slots.waiting(n);
      if (this.#b.alive[i] === 0) continue;
      for (let k = slots.momentsOf(i); k > 0; k--) {
        const intent = slots.takeMoment(i, this.#s.nowMs);
        if (intent) this.#doMoment(i, intent);
        else this.#stats.stale++;
        if (this.#b.alive[i] === 0) break;
      }
      if (this.#b.alive[i] === 0) continue;
      if (slots.takeMovement(i)) {
        if (slots.expiresAt[i]! <= this.#s.nowMs) {
          this.#stats.stale++;
          slots.clear(i);
        } else {
          this.#stats.taken++;
          this.#nextEnd = Math.min(this.#nextEnd, slots.expiresAt[i]!);
        }
      }
      this.decide(i);
    }
    if (this.#s.nowMs >= this.#nextEnd) this.#end();
  }

  /** Character i decides anew, by what it was told and by itself. */
  decide(i: number): void {
    const b = this.#b;
    const { slots } = this;
    const verb = slots.verb[i];
    decide(b, this.#s, i, verb ? verb.policy : -1, slots.confidence);
    if (b.policy[i] === policy.approach && slots.told[i] === 0 && hasReached(b, this.#s, i)) {
      slots.told[i] = 1;
      b.pose[i] = animation.strike;
      b.gestureUntil[i] = this.#s.nowMs + gestureMs;
      this.#tell(i, slots.intent[i]!);
    }
  }

  /** Age of the movement that a character is carrying out, in milliseconds; −1: it is carrying out none. */
  ageMs(i: number): number {
    return this.slots.intent[i] ? this.#s.nowMs - this.slots.arrivedAt[i]! : -1;
  }

  /** The game's clock was set anew: all times move by so much. */
  shift(ms: number): void {
    this.#nextEnd += ms;
    this.slots.shift(ms);
  }

  #doMoment(i: number, intent: Intent): void {
    const b = this.#b;
    b.still[i] = 0;
    b.pose[i] = intent.name === 'say' ? animation.talk : animation.gesture;
    b.gestureUntil[i] = this.#s.nowMs + gestureMs;
    if (b.playerDistance2[i]! < (8 * this.#s.metre) ** 2) {
      const angle = Math.atan2(this.#s.playerY - b.y[i]!, this.#s.playerX - b.x[i]!);
      b.look[i] = angle;
      b.face[i] = angle;
    }
    this.#stats.taken++;
    this.#tell(i, intent);
  }

  #tell(i: number, intent: Intent): void {
    try {
      this.#tellGame(i, intent);
    } catch {
      this.#stats.thrown++;
    }
  }

  #end(): void {
    const { expiresAt } = this.slots;
    this.#nextEnd = Number.POSITIVE_INFINITY;
    for (let i = 0; i < this.#b.size; i++) {
      const ends = expiresAt[i]!;
      if (ends <= this.#s.nowMs) {
        this.slots.clear(i);
        this.#stats.expired++;
        this.decide(i);
      } else if (ends < this.#nextEnd) this.#nextEnd = ends;
    }
  }
}
