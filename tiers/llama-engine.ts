// The embedded engine: llama.cpp in the worker's own process, through node-llama-cpp. Here a request goes its
// way: a place, its generation, the end; and characters are warmed and pinned. How tokens are made stands in
// llama/*.ts, beginning with generation.ts; how one adapter replaces another in llama/contexts.ts. Knows no bus, no player and no character file.

import { setTimeout as sleep } from 'node:timers/promises';
import type { Token } from 'node-llama-cpp';
import { type Adapter, Adapters, labelOf } from './adapters.ts';
import {
  type Chunk,
  type Engine,
  EngineError,
  type EngineStats,
  type GenerateOptions,
  type Prompt,
} from './engine.ts';
import { AdaptedContext } from './llama/adapted-context.ts';
import { ChatTemplate } from './llama/chat-template.ts';
import { Contexts } from './llama/contexts.ts';
import { Generation, type GenerationParts } from './llama/generation.ts';
import { Grammars } from './llama/grammars.ts';
import { type EngineLog, type LoadedModel, loadModel, type ModelOptions } from './llama/load-model.ts';
import { Outlet } from './llama/outlet.ts';
import { type Round, Rounds } from './llama/rounds.ts';
import { Slots } from './llama/slots.ts';

export interface LlamaOptions extends ModelOptions {
  /** PARLEY_ADAPTER: empty follows the champion, `none`, or a .gguf file. */
  readonly adapter: string;
  /** Folder of the characters, beside which an adapter may lie. */
  readonly npcs?: string;
  readonly contextTokens: number;
  /** Streams that decode at once. */
  readonly concurrency: number;
  /** KV sequences; one more than `concurrency` at least is made. */
  readonly sequences: number;
  /** Prompt tokens prefilled in one go while others decode. */
  readonly prefillChunkTokens: number;
  readonly log?: EngineLog;
  /** Hears what every round of the engine did: for metrics and tests. */
  readonly onRound?: (round: Round) => void;
  /** Hears which adapter serves at the start and after every try to swap it. */
  readonly onAdapter?: (result: 'loaded' | 'swapped' | 'failed', inService: Adapter | undefined) => void;
}

/** Loads the model and returns the engine. Throws EngineError `unavailable` that names the file and what to do. */
export async function createLlamaEngine(options: LlamaOptions): Promise<Engine> {
  const loaded = await loadModel(options, options.log);
  try {
    return await LlamaEngine.start(loaded, options);
  } catch (error) {
    await loaded.llama.dispose();
    throw error;
  }
}

/** After so many failures in a row, with no success between, the engine calls itself unhealthy. */
const mostFailures = 3;
/** Preparing characters for a new adapter gives way to live streams, but holds it up no longer than this. */
const mostPrepareMs = 10_000;

class LlamaEngine implements Engine {
  readonly name = 'llama';
  readonly continues = 'text';
  readonly constrains = 'json';
  readonly #loaded: LoadedModel;
  readonly #options: LlamaOptions;
  readonly #adapters: Adapters;
  readonly #template: ChatTemplate;
  readonly #rounds: Rounds;
  readonly #parts: GenerationParts;
  readonly #slots: Slots;
  /** Characters are warmed one at a time. */
  readonly #warming = new Slots(1);
  /** The prefixes that were asked to be warm, the newest of each character: what a new context begins with. */
  readonly #warmed = new Map<string, readonly Token[]>();
  readonly #pins = new Map<string, number>();
  readonly #runs = new Map<AbortController, Promise<unknown>>();
  #contexts!: Contexts;
  #unwatch: () => void = () => {};
  #preparing: AbortController | undefined;
  #failures = 0;
  #lastFailure: unknown;
  #closed: Promise<void> | undefined;

  static async start(loaded: LoadedModel, options: LlamaOptions): Promise<Engine> {
    const engine = new LlamaEngine(loaded, options);
    await engine.#start();
    return engine;
  }

  private constructor(loaded: LoadedModel, options: LlamaOptions) {
    const { home, npcs, adapter, log } = options;
    this.#loaded = loaded;
    this.#options = options;
    this.#adapters = new Adapters({ home, npcs, setting: adapter, model: loaded.file, log });
    this.#template = new ChatTemplate(loaded.model);
    this.#rounds = new Rounds(options.prefillChunkTokens, options.onRound);
    this.#parts = {
      template: this.#template,
      rounds: this.#rounds,
      grammars: new Grammars(loaded.llama, loaded.model),
      contextTokens: Math.min(options.contextTokens, loaded.model.trainContextSize),
    };
    this.#slots = new Slots(options.concurrency);
  }

  get model(): string {
    return this.#contexts.current.name;
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
      resident: this.#closed ? [] : this.#contexts.current.pool.resident(),
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
      this.#unwatch();
      for (const abort of this.#runs.keys()) abort.abort(closed());
      await Promise.all(this.#runs.values());
      await this.#contexts.close();
      await this.#loaded.llama.dispose();
    })();
    return this.#closed;
  }

  /** The whole of one request. Resolves with its last chunk; rejects with an EngineError. */
  async #answer(generation: Generation, signal: AbortSignal): Promise<Chunk> {
    let model: string | undefined;
    try {
      generation.prepare();
      const freePlace = await this.#slots.take(signal);
      // Who has begun with a context ends with it, whatever comes to serve meanwhile.
      const context = this.#contexts.current;
      const leave = context.use();
      model = context.name;
      try {
        const reason = await generation.run(context.prefixes);
        this.#failures = 0;
        return { type: 'done', reason, usage: generation.usage, model, ...generation.certainty };
      } finally {
        leave();
        freePlace();
      }
    } catch (error) {
      if (error === aborted) return { type: 'done', reason: 'aborted', usage: generation.usage, model };
      throw this.#asEngineError(error);
    }
  }

  async #warm(prompt: Prompt, signal: AbortSignal): Promise<void> {
    const prefix = this.#template.prefix(prompt);
    this.#warmed.set(prompt.npc, prefix);
    while (true) {
      const context = this.#contexts.current;
      const either = AbortSignal.any([signal, context.retiring]);
      try {
        return await this.#warmPrefix(context, prompt.npc, prefix, either);
      } catch (error) {
        // Then it is to be warm where it will be spoken to.
        if (signal.aborted || !context.retiring.aborted) throw error;
      }
    }
  }

  async #warmPrefix(
    context: AdaptedContext,
    npc: string,
    prefix: readonly Token[],
    signal: AbortSignal,
  ): Promise<void> {
    const freePlace = await this.#warming.take(signal);
    const leave = context.use();
    try {
      const { pool, prefixes } = context;
      await prefixes.ensure(npc, prefix, prefix.length, 'warm', signal);
      // On disk is nearly as good; memory is only used where it takes no player's conversation.
      if (pool.bestCommon(prefix) === prefix.length || !pool.hasRoom()) return;
      const lease = await prefixes.lease(npc, prefix, prefix.length);
      await lease.giveBack('sound');
    } finally {
      leave();
      freePlace();
    }
  }

  /** Makes the context that serves first. A champion or a shipped adapter that cannot be used is left out, in words. */
  async #start(): Promise<void> {
    const { log, onAdapter } = this.#options;
    const orNext = (error: unknown) => {
      log?.error({ err: error }, 'an adapter cannot be used; going on without it');
      onAdapter?.('failed', undefined);
      return undefined;
    };
    let context: AdaptedContext | undefined;
    if (this.#adapters.follows) {
      for (const find of [() => this.#adapters.champion(), () => this.#adapters.shipped()]) {
        context ??= await find()
          .then((adapter) => adapter && this.#makeContext(adapter))
          .catch(orNext);
      }
    }
    context ??= await this.#makeContext(await this.#adapters.named());
    this.#contexts = new Contexts(context, {
      make: (current) => this.#nextContext(current),
      prepare: (next, current) => this.#prepare(next, current),
      onSwap: (result, current) => onAdapter?.(result, current.adapter),
      log,
    });
    this.#unwatch = this.#adapters.watch(() => this.#contexts.swap());
    onAdapter?.('loaded', context.adapter);
    const { contextTokens } = context;
    log?.info({ model: context.name, adapter: context.adapter?.file, contextTokens }, 'model loaded');
  }

  #makeContext(adapter: Adapter | undefined): Promise<AdaptedContext> {
    const { concurrency, sequences } = this.#options;
    return AdaptedContext.make(this.#loaded, adapter, {
      ...this.#options,
      // One more than can be taken at once, so that a character can be prepared while all places are taken.
      sequences: Math.max(sequences, concurrency + 1),
      rounds: this.#rounds,
      isPinned: (npc) => this.#isPinned(npc),
    });
  }

  /** The context of the adapter that is wanted now, unless it serves already. */
  async #nextContext(current: AdaptedContext): Promise<AdaptedContext | undefined> {
    const wanted = (await this.#adapters.champion()) ?? (await this.#adapters.shipped());
    const same = wanted?.sha256 === current.adapter?.sha256 && labelled(wanted) === labelled(current.adapter);
    return same ? undefined : this.#makeContext(wanted);
  }

  /**
   * Characters that are warm are to be so in the next context, those in memory first: nobody waits for the swap. What
   * is not ready in time is warmed after it, as at the start.
   */
  async #prepare(next: AdaptedContext, current: AdaptedContext): Promise<void> {
    this.#preparing?.abort(aborted);
    if (this.#closed) return;
    const abort = new AbortController();
    this.#preparing = abort;
    const resident = new Set(current.pool.resident());
    const last = (npc: string) => (resident.has(npc) ? 0 : 1);
    const characters = [...this.#warmed].sort(([a], [b]) => last(a) - last(b));
    const done = (async () => {
      for (const [npc, prefix] of characters) await this.#warmPrefix(next, npc, prefix, abort.signal);
    })().catch((error: unknown) => {
      // Then its first player waits for it.
      if (!abort.signal.aborted) this.#options.log?.warn({ err: error }, 'a character could not be prepared');
    });
    this.#runs.set(abort, done);
    void done.then(() => this.#runs.delete(abort));
    const late = new AbortController();
    const time = sleep(mostPrepareMs, undefined, { signal: late.signal }).catch(() => {});
    await Promise.race([done, time]);
    late.abort();
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

function labelled(adapter: Adapter | undefined): string {
  return adapter ? labelOf(adapter) : '';
}

/** What an abort by the caller is known by, inside. */
const aborted = new Error('aborted by the caller');

function closed(): EngineError {
  return new EngineError('unavailable', 'The engine is closed.');
}
