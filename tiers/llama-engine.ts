// The embedded engine: llama.cpp in the worker's own process, through node-llama-cpp. Here a request goes its
// way: a place, its generation, the end; and characters are warmed and pinned. How tokens are made stands in
// llama/*.ts, beginning with generation.ts; how one adapter replaces another in llama/contexts.ts. Knows no bus, no player and no character file.

import type { Token } from 'node-llama-cpp';
import { atMost } from '../runtime/at-most.ts';
import { type Adapter, Adapters, labelOf } from './adapters.ts';
import {
  type Chunk,
  type Engine,
  EngineError,
  type EngineStats,
  type GenerateOptions,
  type Prompt,
} from './engine.ts';
import { KvPins } from './gold/kv-pins.ts';
import { Speculation, type SpeculationMode, type SpeculationOptions } from './gold/speculation.ts';
import { AdaptedContext } from './llama/adapted-context.ts';
import { ChatTemplate } from './llama/chat-template.ts';
import { Contexts } from './llama/contexts.ts';
import { DraftModel } from './llama/draft-model.ts';
import { Generation, type GenerationParts } from './llama/generation.ts';
import { Grammars } from './llama/grammars.ts';
import { type EngineLog, type LoadedModel, loadModel, type ModelOptions } from './llama/load-model.ts';
import { Outlet } from './llama/outlet.ts';
import { type Round, Rounds } from './llama/rounds.ts';
import { mostPinned, sequencesOf } from './llama/sequence-pool.ts';
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
  /** Part of the sequences that leases may hold, 0 to 1; half of them when absent. */
  readonly kvPinShare?: number;
  /** Of the deployment: saved prefixes of several games in one PARLEY_HOME are kept apart by it. */
  readonly prefix?: string;
  /** Prompt tokens prefilled in one go while others decode. */
  readonly prefillChunkTokens: number;
  /** Whether several tokens are guessed at once and verified together; `off` when absent. */
  readonly speculation?: SpeculationMode;
  /** Tokens guessed at once at most; 4 when absent. */
  readonly speculationTokens?: number;
  /** A smaller model that guesses (.gguf); empty or absent for none. */
  readonly draftModel?: string;
  /** Hears every step in which something was guessed: for metrics and tests. */
  readonly onSpeculation?: SpeculationOptions['onStep'];
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
    return await LlamaEngine.start(loaded, options, await loadDraft(loaded, options));
  } catch (error) {
    await loaded.llama.dispose();
    throw error;
  }
}

/** The draft model, where there is one and it is wanted. */
async function loadDraft(loaded: LoadedModel, options: LlamaOptions): Promise<DraftModel | undefined> {
  const { draftModel: file = '', speculation = 'off', concurrency, contextTokens, threads } = options;
  if (file === '' || speculation === 'off') return undefined;
  return DraftModel.load(loaded, { file, sequences: concurrency, contextTokens, threads });
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
  readonly #pins: KvPins;
  readonly #runs = new Map<AbortController, Promise<unknown>>();
  #contexts!: Contexts;
  #unwatch: () => void = () => {};
  #preparing: AbortController | undefined;
  #steps = 0;
  #failures = 0;
  #lastFailure: unknown;
  #closed: Promise<void> | undefined;

  static async start(
    loaded: LoadedModel,
    options: LlamaOptions,
    draft: DraftModel | undefined,
  ): Promise<Engine> {
    const engine = new LlamaEngine(loaded, options, draft);
    await engine.#start();
    return engine;
  }

  private constructor(loaded: LoadedModel, options: LlamaOptions, draft: DraftModel | undefined) {
    const { home, npcs, adapter, log, speculation: mode = 'off', speculationTokens: most = 4 } = options;
    this.#loaded = loaded;
    this.#options = options;
    this.#adapters = new Adapters({ home, npcs, setting: adapter, model: loaded.file, log });
    this.#template = new ChatTemplate(loaded.model);
    this.#rounds = new Rounds(options.prefillChunkTokens, (round) => {
      this.#steps++;
      options.onRound?.(round);
    });
    this.#parts = {
      template: this.#template,
      rounds: this.#rounds,
      grammars: new Grammars(loaded.llama, loaded.model),
      contextTokens: Math.min(options.contextTokens, loaded.model.trainContextSize),
      speculation: new Speculation({ mode, most, onStep: options.onSpeculation }),
      draft,
    };
    this.#slots = new Slots(options.concurrency);
    this.#pins = new KvPins({
      unit: 'sequences',
      budget: () => mostPinned(this.#options, this.#options.kvPinShare),
      sizeOf: () => 1,
      advice: 'Raise PARLEY_SEQUENCES (each takes memory for PARLEY_CONTEXT_TOKENS) or PARLEY_KV_PIN_SHARE.',
    });
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

  warm(prompt: Prompt, signal: AbortSignal): Promise<void> {
    return this.#aside(signal, (either) => this.#warm(prompt, either));
  }

  read(prompt: Prompt, signal: AbortSignal): Promise<void> {
    return this.#aside(signal, (either) => this.#read(prompt, either));
  }

  /** Does something that no player waits for, until the signal or the end of the engine. */
  async #aside(signal: AbortSignal, work: (signal: AbortSignal) => Promise<void>): Promise<void> {
    this.#mustBeOpen();
    const abort = new AbortController();
    const relay = () => abort.abort(signal.reason);
    if (signal.aborted) relay();
    signal.addEventListener('abort', relay, { once: true });
    const done = work(abort.signal);
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
    this.#pins.pin(npc, until);
  }

  release(npc: string): void {
    this.#pins.release(npc);
  }

  stats(): EngineStats {
    return {
      concurrency: this.#slots.size,
      active: this.#slots.taken,
      resident: this.#closed ? [] : this.#contexts.current.pool.resident(),
      prefillMsPerToken: this.#rounds.prefillMsPerToken,
      decodeMsPerToken: this.#rounds.decodeMsPerToken,
      pinned: this.#pins.pinned(),
      kv: this.#pins.figures,
      steps: this.#steps,
      speculation: this.#parts.speculation.figures,
    };
  }

  async health(): Promise<void> {
    this.#mustBeOpen();
    if (this.#failures < mostFailures) return;
    throw new EngineError('unavailable', `The last ${this.#failures} generations failed.`, {
      cause: this.#lastFailure,
    });
  }

  async probe(signal: AbortSignal): Promise<void> {
    // A prefix this short is neither saved nor shared.
    const nobody = { npc: '', system: '.', examples: [], turns: [], player: '.' };
    for await (const _ of this.generate(nobody, { maxTokens: 1, temperature: 0 }, signal));
    signal.throwIfAborted();
  }

  close(): Promise<void> {
    this.#closed ??= (async () => {
      this.#unwatch();
      for (const abort of this.#runs.keys()) abort.abort(closed());
      await Promise.all(this.#runs.values());
      await this.#contexts.close();
      await this.#parts.draft?.close();
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
        const reason = await generation.run(context);
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

  async #read(prompt: Prompt, signal: AbortSignal): Promise<void> {
    // With all places taken the sequences are needed by those who are answered now.
    if (this.#slots.taken >= this.#slots.size) return;
    const freePlace = await this.#warming.take(signal);
    const context = this.#contexts.current;
    const leave = context.use();
    try {
      const generation = new Generation(this.#parts, {
        prompt,
        options: { maxTokens: 1, temperature: 0 },
        signal: AbortSignal.any([signal, context.retiring]),
        outlet: new Outlet(),
      });
      generation.prepare();
      await generation.read(context);
    } catch (error) {
      // In the next context nothing of it is left.
      if (!context.retiring.aborted) throw error;
    } finally {
      leave();
      freePlace();
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
      if (pool.holds(prefix)) return;
      // On disk is nearly as good; without a lease, memory is only used where it takes no player's conversation.
      if (!this.#pins.isPinned(npc) && !pool.hasRoom()) return;
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
    const { mode } = this.#parts.speculation;
    if (mode !== 'off' && !context.computesAlike)
      log?.info(
        { model: context.name },
        'greedy answers are not guessed ahead: in batches this model computes otherwise',
      );
  }

  #makeContext(adapter: Adapter | undefined): Promise<AdaptedContext> {
    const { concurrency, sequences } = this.#options;
    return AdaptedContext.make(this.#loaded, adapter, {
      ...this.#options,
      sequences: sequencesOf({ sequences, concurrency }),
      rounds: this.#rounds,
      pins: this.#pins,
      salt: this.#options.prefix ?? '',
      mayGuess: this.#parts.speculation.mode !== 'off',
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
    await atMost(mostPrepareMs, done);
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
