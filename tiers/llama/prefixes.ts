// Sees to it that a character's prefix is there before anybody needs more than that: computed at most once at a
// time, however many players speak to a cold character, and saved. Those who asked share one computation; it is
// given up when all of them have.

import type { Token } from 'node-llama-cpp';
import type { Whereabouts } from '../engine.ts';
import type { KvPins } from '../gold/kv-pins.ts';
import type { PrefixStates } from './prefix-states.ts';
import type { Rounds } from './rounds.ts';
import type { Lease, SequencePool } from './sequence-pool.ts';

/** Computing the last few tokens of a prefix is as quick as loading it. */
const worthLoading = 8;

interface Build {
  readonly done: Promise<void>;
  readonly abort: AbortController;
  waiting: number;
  live: number;
}

export class Prefixes {
  readonly #pool: SequencePool;
  readonly #states: PrefixStates;
  readonly #rounds: Rounds;
  readonly #pins: Pick<KvPins, 'countFound'>;
  readonly #builds = new Map<string, Build>();

  constructor(pool: SequencePool, states: PrefixStates, rounds: Rounds, pins: Pick<KvPins, 'countFound'>) {
    this.#pool = pool;
    this.#states = states;
    this.#rounds = rounds;
    this.#pins = pins;
  }

  /**
   * Resolves when the first `prefix` tokens can be had without computing them: in an idle sequence, or on disk. The number is how
   * many tokens were computed on behalf of this caller (0 for those who joined). Rejects with the reason of the
   * abort, at the latest after the chunk that is under way, or with the error of the computation.
   */
  async ensure(
    npc: string,
    tokens: readonly Token[],
    prefixLength: number,
    urgency: 'live' | 'warm',
    signal: AbortSignal,
  ): Promise<number> {
    signal.throwIfAborted();
    const found = (where: Whereabouts) => {
      if (urgency === 'live') this.#pins.countFound(where);
    };
    if (this.#pool.bestCommon(tokens) + worthLoading > prefixLength) {
      found('memory');
      return 0;
    }
    const prefix = tokens.slice(0, prefixLength);
    const key = prefix.join(' ');
    // In the hands of somebody else it is in memory all the same: a copy is loaded.
    const held = this.#pool.holds(prefix);
    let build = this.#running(key);
    let computed = 0;
    if (!build) {
      if (await this.#states.has(prefix)) {
        found(held ? 'memory' : 'disk');
        return 0;
      }
      signal.throwIfAborted();
      // Somebody may have begun while the disk was asked.
      build = this.#running(key);
      build ??= this.#begin(npc, key, prefix, (tokens) => {
        computed = tokens;
      });
    }
    found('computed');
    await this.#wait(build, urgency, signal);
    return computed;
  }

  /** The computation that can be joined: one that is being given up cannot. */
  #running(key: string): Build | undefined {
    const build = this.#builds.get(key);
    return build?.abort.signal.aborted ? undefined : build;
  }

  #begin(npc: string, key: string, prefix: readonly Token[], count: (tokens: number) => void): Build {
    const abort = new AbortController();
    const build: Build = {
      done: this.#compute(npc, prefix, () => build, abort.signal, count),
      abort,
      waiting: 0,
      live: 0,
    };
    this.#builds.set(key, build);
    const forget = () => {
      if (this.#builds.get(key) === build) this.#builds.delete(key);
    };
    build.done.then(forget, forget);
    return build;
  }

  async #compute(
    npc: string,
    prefix: readonly Token[],
    build: () => Build,
    signal: AbortSignal,
    count: (tokens: number) => void,
  ): Promise<void> {
    const lease = this.#pool.take(npc, prefix, prefix.length);
    let outcome: 'sound' | 'spoilt' = 'spoilt';
    try {
      const { sequence } = lease;
      await sequence.eraseContextTokenRanges([{ start: lease.common, end: sequence.nextTokenIndex }]);
      outcome = 'sound';
      const missing = prefix.length - lease.common;
      count(missing);
      await this.#rounds.prefill({
        npc,
        tokens: missing,
        urgency: () => (build().live > 0 ? 'live' : 'warm'),
        signal,
        step: async (n) => {
          const at = sequence.nextTokenIndex;
          outcome = 'spoilt';
          await sequence.evaluateWithoutGeneratingNewTokens(prefix.slice(at, at + n));
          outcome = 'sound';
        },
      });
      await this.#states.save(prefix, sequence);
    } finally {
      await lease.giveBack(outcome);
    }
  }

  /**
   * Takes the best sequence for these tokens, with the prefix loaded into it where it is missing and on disk. Must
   * be called with a place, after `ensure`.
   */
  async lease(npc: string, tokens: readonly Token[], prefix: number): Promise<Lease> {
    const lease = this.#pool.take(npc, tokens, prefix);
    const wanted = tokens.slice(0, prefix);
    if (lease.common + worthLoading > prefix || !(await this.#states.has(wanted))) return lease;
    if (await this.#states.load(wanted, lease.sequence)) return { ...lease, common: prefix };
    await lease.giveBack('spoilt');
    return this.#pool.take(npc, tokens, prefix);
  }

  #wait(build: Build, urgency: 'live' | 'warm', signal: AbortSignal): Promise<void> {
    build.waiting++;
    if (urgency === 'live') build.live++;
    return new Promise<void>((resolve, reject) => {
      const leave = () => {
        build.waiting--;
        if (urgency === 'live') build.live--;
        if (build.waiting > 0) return reject(signal.reason);
        // The last one stays until the chunk under way is through: its sequence must be back before its place is.
        build.abort.abort(signal.reason);
      };
      signal.addEventListener('abort', leave, { once: true });
      build.done.then(resolve, reject).finally(() => signal.removeEventListener('abort', leave));
    });
  }
}
