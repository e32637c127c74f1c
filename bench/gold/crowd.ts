// A crowd in a village, played against one engine: players who come near a character, say a few things and go on, more of
// them to the few that everybody likes (Zipf). Pins as a gateway would, and counts where the prefixes were. The same seed
// is the same crowd. It judges nothing and looks at no clock. For a plot over the budget: an embedded engine with n + 2
// sequences, concurrency 1 and kvPinShare 1 has a budget of n.

import { type Random, randomly } from '../../tests/chaos/strikes.ts';
import {
  type Engine,
  EngineError,
  type KvFigures,
  type Prompt,
  type Turn,
  type Whereabouts,
} from '../../tiers/engine.ts';

export interface CrowdOptions {
  readonly characters: number;
  readonly players: number;
  /** Sentences that are said, all players together. */
  readonly sentences: number;
  /** Whether characters with players near them are pinned and, if need be, warmed. */
  readonly pins: boolean;
  /**
   * Whether who comes near walks up for longer than it takes to warm a character; else the first words come at once. True when
   * absent.
   */
  readonly walks?: boolean;
  readonly seed?: number;
  /** Exponent of the popularity: 1 when absent (the second is liked half as much as the first). */
  readonly zipf?: number;
  /** Persona of a character, by number. A short one of its own when absent. */
  readonly persona?: (character: number) => Pick<Prompt, 'npc' | 'system' | 'examples'>;
}

export interface CrowdResult {
  /** What leases could hold and the most that they held, in the engine's unit. */
  readonly budget: number;
  readonly mostHeld: number;
  readonly said: number;
  /** Where the prefix was when a sentence came. */
  readonly found: Readonly<Record<Whereabouts, number>>;
  /** Part of the sentences that found it in memory. */
  readonly hitRate: number;
  readonly visits: number;
  /** Visits whose first words found it in memory; the words after them nearly always do. */
  readonly warmVisits: number;
  /** Visits whose character could not be pinned when they began. */
  readonly refused: number;
  /** Characters that lost their last copy in memory. */
  readonly evicted: { readonly leased: number; readonly unleased: number };
  /** The most characters that were in memory at once. */
  readonly mostResident: number;
}

interface Player {
  /** Whom it stands near, and what it will yet say there. */
  npc: number | undefined;
  left: number;
  turns: Turn[];
}

/** Sentences of one visit. */
const leastSaid = 2;
const mostSaid = 5;
/** Part of the turns in which somebody without company goes up to a character rather than waiting. */
const goesUp = 0.8;
const leaseMs = 3_600_000;
const never = new AbortController().signal;

/** Resolves when all sentences were said. Rejects with an error of the engine other than `kv_full`. */
export async function playCrowd(engine: Engine, options: CrowdOptions): Promise<CrowdResult> {
  const crowd = new Crowd(engine, options);
  await crowd.play();
  return crowd.result();
}

class Crowd {
  readonly #engine: Engine;
  readonly #options: CrowdOptions;
  readonly #random: Random;
  readonly #players: Player[];
  /** Part of all visits that go to this character or a more popular one. */
  readonly #popularity: number[];
  readonly #before: KvFigures;
  #said = 0;
  #visits = 0;
  #warmVisits = 0;
  #refused = 0;
  #mostHeld = 0;
  #mostResident = 0;

  constructor(engine: Engine, options: CrowdOptions) {
    this.#engine = engine;
    this.#options = options;
    this.#random = randomly(options.seed ?? 1);
    this.#players = Array.from({ length: options.players }, () => ({ npc: undefined, left: 0, turns: [] }));
    const weights = Array.from({ length: options.characters }, (_, i) => (i + 1) ** -(options.zipf ?? 1));
    const all = weights.reduce((sum, weight) => sum + weight, 0);
    let below = 0;
    this.#popularity = weights.map((weight) => (below += weight / all));
    this.#before = this.#kv();
  }

  /** One thing after the other, each by a player drawn at random. */
  async play(): Promise<void> {
    for (let turn = 1; this.#said < this.#options.sentences; turn++) {
      const player = this.#players[Math.floor(this.#random() * this.#players.length)]!;
      if (player.npc === undefined) {
        if (this.#random() < goesUp) await this.#comeNear(player);
      } else if (player.left > 0) await this.#say(player, player.npc);
      else this.#goAway(player, player.npc);
      // As a gateway renews: whoever was refused may find room by now.
      if (this.#options.pins && turn % this.#players.length === 0)
        for (const npc of this.#near()) await this.#pin(npc);
      const { held } = this.#kv();
      this.#mostHeld = Math.max(this.#mostHeld, held);
      this.#mostResident = Math.max(this.#mostResident, this.#engine.stats().resident.length);
    }
    if (this.#options.pins) for (const npc of this.#near()) this.#engine.release(this.#persona(npc).npc);
  }

  result(): CrowdResult {
    const { budget, found, evicted } = this.#kv();
    const since = (where: Whereabouts) => found[where] - this.#before.found[where];
    const counts = { memory: since('memory'), disk: since('disk'), computed: since('computed') };
    return {
      budget,
      mostHeld: this.#mostHeld,
      said: this.#said,
      found: counts,
      hitRate: counts.memory / Math.max(1, this.#said),
      visits: this.#visits,
      warmVisits: this.#warmVisits,
      refused: this.#refused,
      evicted: {
        leased: evicted.leased - this.#before.evicted.leased,
        unleased: evicted.unleased - this.#before.evicted.unleased,
      },
      mostResident: this.#mostResident,
    };
  }

  async #comeNear(player: Player): Promise<void> {
    const drawn = this.#random();
    const npc = Math.max(
      0,
      this.#popularity.findIndex((below) => drawn < below),
    );
    player.npc = npc;
    player.left = leastSaid + Math.floor(this.#random() * (mostSaid - leastSaid + 1));
    player.turns = [];
    this.#visits++;
    if (this.#options.pins && !(await this.#pin(npc))) this.#refused++;
  }

  /** Whether there was room. */
  async #pin(character: number): Promise<boolean> {
    const prompt = this.#prompt(character, [], '');
    try {
      this.#engine.pin(prompt.npc, Date.now() + leaseMs);
    } catch (error) {
      if (error instanceof EngineError && error.kind === 'kv_full') return false;
      throw error;
    }
    const walks = this.#options.walks ?? true;
    if (walks && !this.#engine.stats().resident.includes(prompt.npc)) await this.#engine.warm(prompt, never);
    return true;
  }

  async #say(player: Player, character: number): Promise<void> {
    const words = `What do you know about the ${things[Math.floor(this.#random() * things.length)]}?`;
    let text = '';
    const before = this.#kv().found.memory;
    const prompt = this.#prompt(character, player.turns, words);
    for await (const chunk of this.#engine.generate(prompt, { maxTokens: 2, temperature: 0 }, never))
      if (chunk.type === 'text') text += chunk.text;
    if (player.turns.length === 0 && this.#kv().found.memory > before) this.#warmVisits++;
    player.turns.push({ player: words, npc: text || '…' });
    player.left--;
    this.#said++;
  }

  #goAway(player: Player, npc: number): void {
    player.npc = undefined;
    if (this.#options.pins && !this.#near().has(npc)) this.#engine.release(this.#persona(npc).npc);
  }

  #near(): Set<number> {
    return new Set(this.#players.flatMap(({ npc }) => (npc === undefined ? [] : [npc])));
  }

  #prompt(character: number, turns: readonly Turn[], player: string): Prompt {
    return { ...this.#persona(character), turns, player };
  }

  #persona(character: number): Pick<Prompt, 'npc' | 'system' | 'examples'> {
    return (this.#options.persona ?? shortPersona)(character);
  }

  #kv(): KvFigures {
    const { kv } = this.#engine.stats();
    if (!kv) throw new Error(`The engine ${this.#engine.name} tells nothing of its cache.`);
    return kv;
  }
}

const things = ['mill', 'river', 'bridge', 'wolves', 'harvest', 'old road', 'market', 'storm'];

/** About 40 tokens, different from the first words on. */
function shortPersona(character: number): Pick<Prompt, 'npc' | 'system' | 'examples'> {
  return {
    npc: `villager-${character}`,
    system: `Villager ${character} is your name. You keep house number ${character} by the river and talk about the weather.`,
    examples: [],
  };
}
