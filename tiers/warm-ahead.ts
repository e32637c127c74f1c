// Conversations that have outgrown their room: the next prompt of such a one begins elsewhere, and the model would have to read all
// that is left of it while the player waits. So it reads it while the player reads. Says when; what is read is the engine's.

import type { Log } from '../runtime/log.ts';
import type { WorkerMetrics } from '../runtime/metrics.ts';
import type { Engine, Prompt } from './engine.ts';

export interface WarmAheadParts {
  readonly engine: Pick<Engine, 'read'>;
  readonly metrics: Pick<WorkerMetrics, 'readAhead'>;
  readonly log: Log;
}

interface Reading {
  readonly abort: AbortController;
  readonly done: Promise<void>;
}

export class WarmAhead {
  readonly #parts: WarmAheadParts;
  /** By conversation. */
  readonly #readings = new Map<string, Reading>();
  #closed = false;

  constructor(parts: WarmAheadParts) {
    this.#parts = parts;
  }

  /**
   * An answer was given to `prompt`; `next` makes the prompt of the next words, as far as it is known. Has the engine read that
   * one, where it does not begin as this one did. Never rejects.
   */
  begin(conversation: string, prompt: Prompt, next: () => Promise<Prompt>): void {
    const { engine, metrics, log } = this.#parts;
    if (this.#closed || !engine.read) return;
    const abort = new AbortController();
    const { signal } = abort;
    const read = async () => {
      const coming = await next();
      if (goesOn(prompt, coming)) return 'goes_on';
      signal.throwIfAborted();
      await engine.read?.(coming, signal);
      return 'read';
    };
    const done = read()
      .catch((error: unknown) => {
        if (signal.aborted) return 'given_up';
        // Then the player waits for it.
        log.warn({ err: error, npc: prompt.npc }, 'a conversation could not be read ahead');
        return 'failed';
      })
      .then((result) => {
        metrics.readAhead.inc({ result });
        if (this.#readings.get(conversation)?.abort === abort) this.#readings.delete(conversation);
      });
    this.#readings.get(conversation)?.abort.abort();
    this.#readings.set(conversation, { abort, done });
  }

  /** The player has spoken: what was read stays, and the rest is read for the answer. Resolves when the engine has let go. */
  async end(conversation: string): Promise<void> {
    const reading = this.#readings.get(conversation);
    reading?.abort.abort();
    await reading?.done;
  }

  /** Whoever drains reads nothing more. */
  close(): void {
    this.#closed = true;
    for (const { abort } of this.#readings.values()) abort.abort();
  }
}

/** Whether a prompt holds all turns of the one before it, from the same place on. */
function goesOn(before: Prompt, next: Prompt): boolean {
  return (
    next.turns.length > before.turns.length &&
    before.turns.every(({ player, npc }, i) => next.turns[i]!.player === player && next.turns[i]!.npc === npc)
  );
}
