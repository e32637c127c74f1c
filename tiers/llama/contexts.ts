// The context that serves now, and its replacement by one with another adapter while streams run: the new one is made
// beside it and prepared, new generations go to the new one, those that run end on the old one, which then goes. So
// there are never more than two. A replacement that fails leaves the old one in service.

import type { AdaptedContext } from './adapted-context.ts';
import type { EngineLog } from './load-model.ts';

export interface ContextsOptions {
  /** Makes the context that is wanted now; undefined when `current` is that already. */
  readonly make: (current: AdaptedContext) => Promise<AdaptedContext | undefined>;
  /** Gets a new context ready before anybody uses it. Never rejects. */
  readonly prepare: (next: AdaptedContext, current: AdaptedContext) => Promise<void>;
  readonly onSwap: (result: 'swapped' | 'failed', current: AdaptedContext) => void;
  readonly log?: EngineLog;
}

export class Contexts {
  readonly #options: ContextsOptions;
  #current: AdaptedContext;
  #asked = false;
  #closed = false;
  #swapping: Promise<void> | undefined;

  constructor(first: AdaptedContext, options: ContextsOptions) {
    this.#current = first;
    this.#options = options;
  }

  get current(): AdaptedContext {
    return this.#current;
  }

  /**
   * Something else may be wanted now. Asked for while a swap is under way, it is looked at once that one is over and
   * the old context is gone: however often it was asked, only what is wanted then counts.
   */
  swap(): void {
    if (this.#closed) return;
    this.#asked = true;
    this.#swapping ??= this.#run();
  }

  /** Takes no further swap; resolves when the one under way is over. Streams must have been ended, or it waits for them. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#swapping;
  }

  async #run(): Promise<void> {
    const { make, prepare, onSwap, log } = this.#options;
    while (this.#asked && !this.#closed) {
      this.#asked = false;
      const old = this.#current;
      const startedAt = performance.now();
      try {
        const next = await make(old);
        if (!next) continue;
        await prepare(next, old);
        this.#current = next;
        const ms = Math.round(performance.now() - startedAt);
        log?.info(
          { from: old.name, to: next.name, ms },
          'the adapter was swapped; streams that run keep the old one',
        );
        onSwap('swapped', next);
      } catch (error) {
        log?.error({ err: error, inService: old.name }, 'the adapter was not swapped; the one before stays');
        onSwap('failed', old);
        continue;
      }
      await old.retire().catch((error: unknown) => {
        log?.error({ err: error, context: old.name }, 'the old context could not be given back');
      });
    }
    this.#swapping = undefined;
  }
}
