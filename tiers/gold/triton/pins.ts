// Leases on characters of the triton engine: the budget in blocks, as the servers report them, and what each server was
// told. TensorRT-LLM learns of a lease by a request that names the tokens, so a lease that outlasts what a server was told
// is told again by a request for one token; without one it ends by itself.

import type { Prompt } from '../../engine.ts';
import type { EngineLog } from '../../llama/load-model.ts';
import { KvPins } from '../kv-pins.ts';
import type { ServerPool } from './pool.ts';
import type { TritonServer } from './server.ts';

export interface TritonPinsOptions {
  readonly pool: ServerPool;
  /** Part of the KV cache that leases may hold, 0 to 1. */
  readonly share: number;
  /** Sends a request for one token of this prompt. */
  readonly touch: (prompt: Prompt) => Promise<void>;
  readonly log?: EngineLog;
}

/** Reckoned for a character whose prompt was not seen yet, in tokens: as much as the longest that was, else so many. */
const unseenTokens = 512;
/** A server is told more than the lease, so that not every renewal costs a request. */
const tellAheadMs = 20_000;

interface Seen {
  /** What all players of the character share. */
  readonly prompt: Prompt;
  readonly tokens: number;
}

export class TritonPins {
  readonly book: KvPins;
  readonly #options: TritonPinsOptions;
  readonly #seen = new Map<string, Seen>();
  /** Until when each server was told to keep a character. */
  readonly #told = new WeakMap<TritonServer, Map<string, number>>();
  readonly #touching = new Set<string>();

  constructor(options: TritonPinsOptions) {
    this.#options = options;
    this.book = new KvPins({
      unit: 'blocks',
      budget: () => this.#budget(),
      sizeOf: (npc) => Math.ceil(this.#tokensOf(npc) / this.#tokensPerBlock()),
      advice: 'Give the servers more KV cache, raise PARLEY_KV_PIN_SHARE, or add a server.',
    });
  }

  /** As `Engine.pin`. */
  pin(npc: string, until: number): void {
    this.book.pin(npc, until);
    void this.#tell(npc);
  }

  /** A prompt of the character was rendered: `tokens` of it are shared by all players. */
  saw(prompt: Prompt, tokens: number): void {
    if (tokens > 0)
      this.#seen.set(prompt.npc, { prompt: { ...prompt, turns: [], player: '.', said: '' }, tokens });
  }

  /** Until when a server is to keep the character, when a request of it goes out now; undefined without a lease. */
  keepUntil(npc: string): number | undefined {
    const lease = this.book.leaseOf(npc);
    return lease === undefined ? undefined : lease + tellAheadMs;
  }

  /** A server has heard so. */
  told(server: TritonServer, npc: string, until: number | undefined): void {
    const told = this.#told.get(server) ?? new Map<string, number>();
    this.#told.set(server, told);
    if (until === undefined) told.delete(npc);
    else told.set(npc, until);
  }

  /** Tells the server that has the character of a lease that outlasts what it was told. Never rejects. */
  async #tell(npc: string): Promise<void> {
    const { pool, touch, log } = this.#options;
    const lease = this.book.leaseOf(npc);
    const seen = this.#seen.get(npc);
    // A character that is nowhere yet is told of when it is warmed.
    const server = pool.up.find((each) => each.isResident(npc));
    if (lease === undefined || !seen || !server || this.#touching.has(npc)) return;
    if ((this.#told.get(server)?.get(npc) ?? 0) >= lease) return;
    this.#touching.add(npc);
    try {
      await touch(seen.prompt);
    } catch (error) {
      log?.warn(
        { err: error, npc, server: server.address },
        'a server could not be told of a lease; the next renewal tries again',
      );
    } finally {
      this.#touching.delete(npc);
    }
  }

  /** Infinite where no server tells the size of its cache. */
  #budget(): number {
    const blocks = this.#options.pool.up.reduce((sum, { figures }) => sum + figures.blocks, 0);
    return blocks === 0 ? Number.POSITIVE_INFINITY : Math.floor(blocks * this.#options.share);
  }

  #tokensOf(npc: string): number {
    const seen = this.#seen.get(npc);
    if (seen) return seen.tokens;
    return this.#seen.size === 0
      ? unseenTokens
      : Math.max(...[...this.#seen.values()].map(({ tokens }) => tokens));
  }

  #tokensPerBlock(): number {
    return this.#options.pool.up[0]?.figures.tokensPerBlock ?? 1;
  }
}
