// Whose KV must stay: leases on the prefixes of characters, within a budget that the engine names in its own unit. One
// book for every engine: what a lease means there (a sequence, a retention priority) is the engine's business. Moves no
// KV, knows no player and no bus.

import { EngineError, type KvFigures, type Whereabouts } from '../engine.ts';

export interface KvPinsOptions {
  readonly unit: 'sequences' | 'blocks';
  /** What all leases together may hold, in that unit. Asked anew for each pin: servers come and go. */
  readonly budget: () => number;
  /** What the prefix of a character holds, in that unit, or is reckoned to hold. */
  readonly sizeOf: (npc: string) => number;
  /** What an operator can do about a full budget. */
  readonly advice: string;
  /** ms since the epoch. */
  readonly now?: () => number;
}

export class KvPins {
  readonly #options: KvPinsOptions;
  readonly #now: () => number;
  /** Ends of leases, ms since the epoch. */
  readonly #until = new Map<string, number>();
  readonly #evicted = { leased: 0, unleased: 0 };
  readonly #found = { memory: 0, disk: 0, computed: 0 };

  constructor(options: KvPinsOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
  }

  /**
   * Holds a character until `until` (ms since the epoch); called again it renews the lease, or ends it with a time that
   * is over. A lease that holds is renewed whatever the budget says by now. Throws EngineError `kv_full` when the
   * others hold so much that this one does not fit.
   */
  pin(npc: string, until: number): void {
    if (until <= this.#now()) return this.release(npc);
    if (!this.isPinned(npc)) this.#mustFit(npc);
    this.#until.set(npc, until);
  }

  /** Ends the lease. The KV stays where it is until somebody needs the room. */
  release(npc: string): void {
    this.#until.delete(npc);
  }

  isPinned(npc: string): boolean {
    return this.leaseOf(npc) !== undefined;
  }

  /** When the lease ends, ms since the epoch; undefined without one. */
  leaseOf(npc: string): number | undefined {
    const until = this.#until.get(npc);
    if (until === undefined || until > this.#now()) return until;
    this.#until.delete(npc);
    return undefined;
  }

  /** Who has a lease now. */
  pinned(): string[] {
    return [...this.#until.keys()].filter((npc) => this.isPinned(npc));
  }

  /** In which order characters may go: `oldestFirst` of those without a lease, then those whose lease ends soonest. */
  goingOrder(oldestFirst: Iterable<string>): string[] {
    const leased: string[] = [];
    const free: string[] = [];
    for (const npc of oldestFirst) (this.isPinned(npc) ? leased : free).push(npc);
    leased.sort((a, b) => this.#until.get(a)! - this.#until.get(b)!);
    return [...free, ...leased];
  }

  /** The last copy of a character's prefix left the cache. */
  countEvicted(npc: string): void {
    this.#evicted[this.isPinned(npc) ? 'leased' : 'unleased']++;
  }

  /** Somebody spoke to a character whose prefix was there. */
  countFound(where: Whereabouts): void {
    this.#found[where]++;
  }

  get figures(): KvFigures {
    const { unit, budget } = this.#options;
    return {
      unit,
      budget: budget(),
      held: this.#held(),
      evicted: { ...this.#evicted },
      found: { ...this.#found },
    };
  }

  #held(): number {
    return this.pinned().reduce((sum, npc) => sum + this.#options.sizeOf(npc), 0);
  }

  #mustFit(npc: string): void {
    const { unit, budget, sizeOf, advice } = this.#options;
    const [most, held, size] = [budget(), this.#held(), sizeOf(npc)];
    if (held + size <= most) return;
    const holders = this.pinned();
    const by = holders.length > 8 ? `${holders.length} characters` : holders.join(', ') || 'nobody';
    throw new EngineError(
      'kv_full',
      `${npc} cannot be pinned: it needs ${size} of ${most} ${unit} that leases may hold, and ${held} are held (by ${by}). ${advice}`,
    );
  }
}
