// The embedded engine: llama.cpp in the worker's own process, through node-llama-cpp. Here a request goes its
// way: a place, its generation, the end; and characters are warmed and pinned. How tokens are made stands in
// llama/*.ts, beginning with generation.ts. Knows no bus, no player and no character file.

import { join } from 'node:path';
import {
  type Chunk,
  type Engine,
  EngineError,
  type EngineStats,
  type GenerateOptions,
  type Prompt,
} from './engine.ts';
import { ChatTemplate } from './llama/chat-template.ts';
import { Generation, type GenerationParts } from './llama/generation.ts';
import { Grammars } from './llama/grammars.ts';
import { type EngineLog, type LoadedModel, loadModel, type ModelOptions } from './llama/load-model.ts';
import { Outlet } from './llama/outlet.ts';
import { PrefixStates } from './llama/prefix-states.ts';
import { Prefixes } from './llama/prefixes.ts';
import { type Round, Rounds } from './llama/rounds.ts';
import { SequencePool } from './llama/sequence-pool.ts';
import { Slots } from './llama/slots.ts';

export interface LlamaOptions extends ModelOptions {
  /** Streams that decode at once. */
  readonly concurrency: number;
  /** KV sequences; one more than `concurrency` at least is made. */
  readonly sequences: number;
  /** Prompt tokens prefilled in one go while others decode. */
  readonly prefillChunkTokens: number;
  readonly log?: EngineLog;
  /** Hears what every round of the engine did: for metrics and tests. */
  readonly onRound?: (round: Round) => void;
}

/** Loads the model and returns the engine. Throws EngineError `unavailable` that names the file and what to do. */
export async function createLlamaEngine(options: LlamaOptions): Promise<Engine> {
  // One more than can be taken at once, so that a character can be prepared while all places are taken.
  const sequences = Math.max(options.sequences, options.concurrency + 1);
  const loaded = await loadModel(options, sequences, options.log);
  options.log?.info(
    { model: loaded.name, sequences, contextTokens: loaded.context.contextSize },
    'model loaded',
  );
  return new LlamaEngine(loaded, options);
}

/** After so many failures in a row, with no success between, the engine calls itself unhealthy. */
const mostFailures = 3;

class LlamaEngine implements Engine {
  readonly name = 'llama';
  readonly model: string;
  readonly continues = 'text';
  readonly constrains = 'json';
  readonly #loaded: LoadedModel;
  readonly #template: ChatTemplate;
  readonly #rounds: Rounds;
  readonly #pool: SequencePool;
  readonly #prefixes: Prefixes;
  readonly #parts: GenerationParts;
  readonly #slots: Slots;
  /** Characters are warmed one at a time. */
  readonly #warming = new Slots(1);
  readonly #pins = new Map<string, number>();
  readonly #runs = new Map<AbortController, Promise<unknown>>();
  #failures = 0;
  #lastFailure: unknown;
  #closed: Promise<void> | undefined;

  constructor(loaded: LoadedModel, options: LlamaOptions) {
    this.#loaded = loaded;
    this.model = loaded.name;
    this.#template = new ChatTemplate(loaded.model);
    this.#rounds = new Rounds(options.prefillChunkTokens, options.onRound);
    this.#pool = new SequencePool(loaded.context, (npc) => this.#isPinned(npc));
    const states = new PrefixStates(join(options.home, 'cache', 'states'), loaded.identity, options.log);
    this.#prefixes = new Prefixes(this.#pool, states, this.#rounds);
    this.#parts = {
      template: this.#template,
      rounds: this.#rounds,
      prefixes: this.#prefixes,
      grammars: new Grammars(loaded.llama, loaded.model),
      contextTokens: loaded.context.contextSize,
    };
    this.#slots = new Slots(options.concurrency);
  }

  async *generate(prompt: Prompt, options: GenerateOptions, signal: AbortSignal): AsyncGenerator<Chunk> {
    this.#mustBeOpen();
    const outlet = new Outlet<Chunk>();
    const abort = new AbortController();
    const relay = () => abort.abort(aborted);
    if (signal.aborted) relay();
    signal.addEventListener('abort', relay, { once: true });
    const generation = new Generation(this.#parts, { prompt, options, signal: abort.signal, outlet });
    const done = this.#answer(generation, abort.signal).then(
      (last) => outlet.end(last),
      (error) => outlet.fail(error),
    );
    this.#runs.set(abort, done);
    try {
      yield* outlet;
    } finally {
      // The reader may have left in the middle; then nothing more is computed for it.
      abort.abort(aborted);
      signal.removeEventListener('abort', relay);
      await done;
      this.#runs.delete(abort);
    }
  }

  async warm(prompt: Prompt, signal: AbortSignal): Promise<void> {
    this.#mustBeOpen();
    const abort = new AbortController();
    const relay = () => abort.abort(signal.reason);
    if (signal.aborted) relay();
    signal.addEventListener('abort', relay, { once: true });
    const done = this.#warm(prompt, abort.signal);
    this.#runs.set(
      abort,
      done.catch(() => {}),
    );
    try {
      await done;
    } catch (error) {
      throw signal.aborted ? error : this.#asEngineError(error);
    } finally {
      signal.removeEventListener('abort', relay);
      this.#runs.delete(abort);
    }
  }

  pin(npc: string, until: number): void {
    this.#pins.set(npc, until);
  }

  release(npc: string): void {
    this.#pins.delete(npc);
  }

  stats(): EngineStats {
    return {
      concurrency: this.#slots.size,
      active: this.#slots.taken,
      resident: this.#closed ? [] : this.#pool.resident(),
      prefillMsPerToken: this.#rounds.prefillMsPerToken,
      decodeMsPerToken: this.#rounds.decodeMsPerToken,
      pinned: [...this.#pins.keys()].filter((npc) => this.#isPinned(npc)),
    };
  }

  async health(): Promise<void> {
    this.#mustBeOpen();
    if (this.#failures < mostFailures) return;
    throw new EngineError('unavailable', `The last ${this.#failures} generations failed.`, {
      cause: this.#lastFailure,
    });
  }

  close(): Promise<void> {
    this.#closed ??= (async () => {
      for (const abort of this.#runs.keys()) abort.abort(closed());
      await Promise.all(this.#runs.values());
      await this.#loaded.llama.dispose();
    })();
    return this.#closed;
  }

  /** The whole of one request. Resolves with its last chunk; rejects with an EngineError. */
  async #answer(generation: Generation, signal: AbortSignal): Promise<Chunk> {
    try {
      generation.prepare();
      const freePlace = await this.#slots.take(signal);
      try {
        const reason = await generation.run();
        this.#failures = 0;
        return { type: 'done', reason, usage: generation.usage, ...generation.certainty };
      } finally {
        freePlace();
      }
    } catch (error) {
      if (error === aborted) return { type: 'done', reason: 'aborted', usage: generation.usage };
      throw this.#asEngineError(error);
    }
  }

  async #warm(prompt: Prompt, signal: AbortSignal): Promise<void> {
    const prefix = this.#template.prefix(prompt);
    const freePlace = await this.#warming.take(signal);
    try {
      await this.#prefixes.ensure(prompt.npc, prefix, prefix.length, 'warm', signal);
      // On disk is nearly as good; memory is only used where it takes no player's conversation.
      if (this.#pool.bestCommon(prefix) === prefix.length || !this.#pool.hasRoom()) return;
      const lease = await this.#prefixes.lease(prompt.npc, prefix, prefix.length);
      await lease.giveBack('sound');
    } finally {
      freePlace();
    }
  }

  #isPinned(npc: string): boolean {
    const until = this.#pins.get(npc);
    if (until !== undefined && until <= Date.now()) this.#pins.delete(npc);
    return until !== undefined && until > Date.now();
  }

  #mustBeOpen(): void {
    if (this.#closed) throw closed();
  }

  #asEngineError(error: unknown): EngineError {
    if (error instanceof EngineError) return error;
    this.#failures++;
    this.#lastFailure = error;
    const words = error instanceof Error ? error.message : String(error);
    return new EngineError('internal', `llama.cpp failed: ${words}`, { cause: error });
  }
}

/** What an abort by the caller is known by, inside. */
const aborted = new Error('aborted by the caller');

function closed(): EngineError {
  return new EngineError('unavailable', 'The engine is closed.');
}
