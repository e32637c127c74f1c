// Who asks the mind, and when: characters in view once a second, those near the player twice, at once when something
// woke them; never more than a few at a time, a few a second, and some microseconds a frame. Answers that are known
// come from the cache. It has no timers: everything happens in `tick`.

import type { Intent } from '../../bus/protocol.ts';
import type { Blackboard } from './blackboard.ts';
import { type CacheOptions, IntentCache } from './cache.ts';
import type { Answers, Mind } from './mind.ts';
import { Names } from './names.ts';
import { describe, factsLength, factsOf, situationKey } from './situation.ts';
import type { Stats } from './stats.ts';
import type { Surroundings } from './surroundings.ts';

export interface AskingOptions {
  /** Metres around the player in which characters think; 20. */
  view?: number;
  /** Metres in which they think more often; 6. */
  near?: number;
  /** How often each in view is asked, and each near, a second; 1 and 2. */
  viewHz?: number;
  nearHz?: number;
  /** Questions at most in one frame, under way at once, and a second; 1, 4 and 8. */
  perFrame?: number;
  outstanding?: number;
  perSecond?: number;
  /** An answer that takes longer is not waited for; 6 s. */
  answerMs?: number;
  /** A character that thinks of the same gesture or words again does nothing for so long; 12 s. */
  restMs?: number;
}

/** What the scheduler hands answers to. */
export interface Receiver {
  /** Takes an act. Returns whether the same may be done again in the same situation; undefined: it was no act. */
  accept(i: number, intent: Intent, generation: number): boolean | undefined;
}

interface Question {
  readonly generation: number;
  readonly key: number;
  readonly acts: Intent[];
  /** Whether the answer may be used for the same situation again. */
  keep: boolean;
}

/** A farther edge, once it is in view: who walks along the border does not come and go. */
const lingers = 1.15;
const wakeMs = 1_000;
const leftAloneMs = 60_000;
const mostActs = 4;
const scanMs = 8;
/** The cache answers one character in so many milliseconds of the game; the next one a frame later. */
const recallMs = 4;

export class Scheduler implements Answers {
  readonly #b: Blackboard;
  readonly #s: Surroundings;
  readonly #mind: Mind | null;
  readonly #cache: IntentCache | null;
  readonly #stats: Stats;
  readonly #receiver: Receiver;
  readonly #options: Required<Omit<AskingOptions, 'restMs'>>;
  readonly #budgetMs: number;

  /** The newest question of each character, by which its answer is known. Survives `remove`. */
  readonly generation: Uint32Array;
  readonly names: Names;
  readonly inView: Uint8Array;
  readonly #near: Uint8Array;
  readonly #nextAt: Float64Array;
  readonly #askedAt: Float64Array;
  readonly #wokenAt: Float64Array;
  readonly #woken: Uint8Array;
  /** 1: it asks the mind next time, though the cache has an answer. */
  readonly #explores: Uint8Array;
  readonly #questions: (Question | undefined)[];
  readonly #facts = new Uint8Array(factsLength);
  #tokens = 1;
  /** How many characters the cache may still answer in this frame. */
  #recalls = 1;
  #scanAt = 0;
  #pausedUntil = 0;
  #failures = 0;

  constructor(
    parts: {
      blackboard: Blackboard;
      surroundings: Surroundings;
      mind: Mind | null;
      stats: Stats;
      receiver: Receiver;
    },
    asking: AskingOptions,
    cache: CacheOptions | false,
    budgetMs: number,
  ) {
    this.#b = parts.blackboard;
    this.#s = parts.surroundings;
    this.#mind = parts.mind;
    this.#stats = parts.stats;
    this.#receiver = parts.receiver;
    this.#cache = cache === false ? null : new IntentCache(cache);
    const { view = 20, near = 6, viewHz = 1, nearHz = 2 } = asking;
    const { perFrame = 1, outstanding = 4, perSecond = 8, answerMs = 6_000 } = asking;
    // Of one form, whatever was said: the compiler then knows it.
    this.#options = { view, near, viewHz, nearHz, perFrame, outstanding, perSecond, answerMs };
    this.#budgetMs = budgetMs;
    const { capacity } = this.#b;
    this.generation = new Uint32Array(capacity);
    this.names = new Names(capacity);
    this.inView = new Uint8Array(capacity);
    this.#near = new Uint8Array(capacity);
    this.#nextAt = new Float64Array(capacity);
    this.#askedAt = new Float64Array(capacity);
    this.#wokenAt = new Float64Array(capacity);
    this.#woken = new Uint8Array(capacity);
    this.#explores = new Uint8Array(capacity);
    this.#questions = new Array(capacity).fill(undefined);
  }

  add(i: number, npc: string | undefined): void {
    this.names.set(i, npc);
    this.inView[i] = 0;
    this.#near[i] = 0;
    this.#woken[i] = 0;
    this.#wokenAt[i] = Number.NEGATIVE_INFINITY;
    // Characters that come together do not ask together.
    this.#nextAt[i] = this.#s.nowMs + this.#b.chance(i) * 1_000;
  }

  remove(i: number): void {
    this.supersede(i);
    this.names.set(i, undefined);
    if (this.inView[i]) this.#stats.inView--;
    this.inView[i] = 0;
  }

  /** The game's clock was set anew: all times move by so much. */
  shift(ms: number): void {
    for (const time of [this.#nextAt, this.#askedAt, this.#wokenAt])
      for (let i = 0; i < time.length; i++) time[i] = time[i]! + ms;
    this.#scanAt += ms;
    this.#pausedUntil += ms;
    this.#cache?.shift(ms);
  }

  /** Something happened to the character: it asks anew, and what it asked before is out of date. */
  wake(i: number): void {
    if (!this.#mind || this.names.npc[i] === undefined) return;
    const now = this.#s.nowMs;
    if (now - this.#wokenAt[i]! < wakeMs) return;
    this.#wokenAt[i] = now;
    this.#woken[i] = 1;
    this.#nextAt[i] = now;
    this.#scanAt = 0;
    this.#stats.woken++;
    // In a talk the newest question is the player's, and its answer may still be on the way.
    if (this.#b.talking[i] === 0) this.supersede(i);
  }

  /** Raises the generation: answers to earlier questions are refused. Returns the new one. */
  supersede(i: number): number {
    const question = this.#questions[i];
    if (question) {
      this.#over(i);
      try {
        this.#mind?.cancel?.(i, question.generation);
      } catch {
        this.#stats.thrown++;
      }
    }
    this.generation[i]!++;
    return this.generation[i]!;
  }

  /** Looks at one character, a few times a second: is it in view, is it late, does the cache know what it does? */
  consider(i: number): void {
    if (!this.#mind || this.names.npc[i] === undefined) return;
    const now = this.#s.nowMs;
    const { view, near, answerMs } = this.#options;
    const d2 = this.#b.playerDistance2[i]!;
    const seen = this.inView[i]!;
    this.inView[i] = d2 < this.#square(view * (seen ? lingers : 1)) ? 1 : 0;
    this.#stats.inView += this.inView[i]! - seen;
    const was = this.#near[i]!;
    this.#near[i] = d2 < this.#square(near * (was ? lingers : 1)) ? 1 : 0;
    if (this.#near[i] && !was) this.wake(i);
    if (this.#questions[i] && now - this.#askedAt[i]! > answerMs) {
      this.#stats.timedOut++;
      this.supersede(i);
      this.#backOff(0);
    }
    if (this.#recalls > 0 && this.#isDue(i, now)) this.#recall(i, now);
  }

  /** Asks for those who have waited longest and matter most, as far as the limits allow. Returns whether it did. */
  ask(seconds: number, spare: boolean): boolean {
    const mind = this.#mind;
    if (!mind) return false;
    const { perSecond, perFrame } = this.#options;
    const now = this.#s.nowMs;
    this.#tokens = Math.min(this.#tokens + seconds * perSecond, Math.max(1, perSecond / 2));
    this.#recalls = Math.max(1, Math.round((seconds * 1_000) / recallMs));
    if (!spare || now < this.#scanAt) return false;
    const { asked } = this.#stats;
    let began = 0;
    for (let k = 0; k < perFrame && this.#mayAsk(now); k++) {
      const i = this.#mostUrgent(mind, now);
      if (i < 0) {
        this.#scanAt = now + scanMs;
        break;
      }
      if (began === 0) began = performance.now();
      // Somebody else may have had the same question meanwhile.
      if (!this.#recall(i, now) && !this.#askMind(mind, i, now)) break;
      if (performance.now() - began > this.#budgetMs) {
        this.#stats.overBudget++;
        break;
      }
    }
    return this.#stats.asked > asked;
  }

  // ---- the mind's answers ----

  act(i: number, generation: number, intent: Intent): void {
    const question = this.#question(i, generation);
    if (!question) {
      this.#stats.refused++;
      return;
    }
    const keeps = this.#receiver.accept(i, intent, generation);
    if (keeps && question.acts.length < mostActs) question.acts.push(intent);
    else question.keep = false;
  }

  done(i: number, generation: number): void {
    const question = this.#question(i, generation);
    if (!question) return;
    this.#over(i);
    this.#failures = 0;
    this.#stats.answered++;
    if (question.keep && question.key >= 0) this.#cache?.put(question.key, question.acts, this.#s.nowMs);
  }

  failed(i: number, generation: number, retry: boolean, retryMs?: number, code = 'unknown'): void {
    if (!this.#question(i, generation)) return;
    this.#over(i);
    const { failures } = this.#stats;
    this.#stats.failed++;
    this.#stats.lastFailure = code;
    failures[code] = (failures[code] ?? 0) + 1;
    if (retry) this.#backOff(retryMs ?? 0);
    else this.#nextAt[i] = this.#s.nowMs + leftAloneMs;
  }

  // ---- inside ----

  #mayAsk(now: number): boolean {
    const room = this.#stats.outstanding < this.#options.outstanding;
    return room && this.#tokens >= 1 && now >= this.#pausedUntil;
  }

  #question(i: number, generation: number): Question | undefined {
    const question = this.#questions[i];
    return question?.generation === generation ? question : undefined;
  }

  #over(i: number): void {
    this.#questions[i] = undefined;
    this.#stats.outstanding--;
  }

  #isDue(i: number, now: number): boolean {
    return (
      this.#b.alive[i] === 1 &&
      (this.inView[i] === 1 || this.#woken[i] === 1) &&
      now >= this.#nextAt[i]! &&
      this.#b.talking[i] === 0 &&
      this.names.npc[i] !== undefined &&
      this.#questions[i] === undefined
    );
  }

  #mostUrgent(mind: Mind, now: number): number {
    const { size, importance } = this.#b;
    let best = -1;
    let most = -1;
    for (let i = 0; i < size; i++) {
      if (now < this.#nextAt[i]! || !this.#isDue(i, now)) continue;
      const waited = 1 + now - this.#nextAt[i]!;
      const urgency = waited * importance[i]! * (this.#near[i] ? 4 : 1) * (this.#woken[i] ? 16 : 1);
      if (urgency <= most || this.#isBusy(mind, i)) continue;
      most = urgency;
      best = i;
    }
    return best;
  }

  #isBusy(mind: Mind, i: number): boolean {
    try {
      return mind.isBusy?.(i, this.names.npc[i]!) ?? false;
    } catch {
      this.#stats.thrown++;
      return true;
    }
  }

  /** Answers from the cache if it can, and now and then not, for variety, if the mind can be asked instead. */
  #recall(i: number, now: number): boolean {
    const cache = this.#cache;
    if (!cache || this.#b.role[i] === 0 || this.#explores[i] === 1) return false;
    const entry = cache.find(situationKey(this.#b, this.#s, i), now);
    if (entry < 0) return false;
    if (cache.count(entry) < cache.variants && this.#mayAsk(now) && this.#b.chance(i) < cache.explore) {
      this.#explores[i] = 1;
      return false;
    }
    this.#stats.cacheHits++;
    this.#recalls--;
    this.#later(i, now);
    const acts = cache.answer(entry, this.#b.chance(i));
    for (let k = 0; k < acts.length; k++) this.#receiver.accept(i, acts[k]!, this.generation[i]!);
    return true;
  }

  #askMind(mind: Mind, i: number, now: number): boolean {
    const key = this.#cache && this.#b.role[i] !== 0 ? situationKey(this.#b, this.#s, i) : -1;
    const generation = ++this.generation[i]!;
    this.#questions[i] = { generation, key, acts: [], keep: true };
    this.#askedAt[i] = now;
    this.#stats.outstanding++;
    let asked = false;
    try {
      asked = this.#put(mind, i, generation) !== false;
    } catch {
      this.#stats.thrown++;
      if (this.#question(i, generation)) this.#over(i);
      this.#backOff(0);
      return false;
    }
    if (!asked) {
      if (this.#question(i, generation)) this.#over(i);
      this.#stats.away++;
      this.#pausedUntil = now + 250;
      return false;
    }
    this.#tokens--;
    this.#stats.asked++;
    this.#later(i, now);
    return true;
  }

  #put(mind: Mind, i: number, generation: number): boolean | undefined {
    const npc = this.names.npc[i]!;
    const places = this.#s.places.names;
    factsOf(this.#b, this.#s, i, this.#facts);
    return mind.askFacts
      ? mind.askFacts(i, npc, this.#facts, places, generation, this)
      : mind.ask(i, npc, describe(this.#facts, places), generation, this);
  }

  #later(i: number, now: number): void {
    const { viewHz, nearHz } = this.#options;
    const everyMs = 1_000 / (this.#near[i] ? nearHz : viewHz);
    this.#woken[i] = 0;
    this.#explores[i] = 0;
    this.#nextAt[i] = now + everyMs * (0.85 + 0.3 * this.#b.chance(i));
  }

  /** Nobody asks for a while: as long as the edge says, or ever longer while it fails. */
  #backOff(atLeastMs: number): void {
    const ownMs = Math.min(500 * 2 ** this.#failures, 30_000);
    this.#failures = Math.min(this.#failures + 1, 10);
    const until = this.#s.nowMs + Math.max(atLeastMs, ownMs);
    if (until > this.#pausedUntil) this.#pausedUntil = until;
  }

  #square(metres: number): number {
    const units = metres * this.#s.metre;
    return units * units;
  }
}
