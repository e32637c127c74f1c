// A context of llama.cpp with one adapter, or none, and everything that only fits this pair: sequences, prefixes, the
// name of the model. Several may share the model; one that was replaced serves those who began with it, then gives
// its memory back. Which adapter it is was decided in adapters.ts, when one replaces another in contexts.ts.

import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { LlamaContext, LlamaModel } from 'node-llama-cpp';
import { type Adapter, labelOf } from '../adapters.ts';
import { EngineError } from '../engine.ts';
import type { KvPins } from '../gold/kv-pins.ts';
import { type EngineLog, type LoadedModel, words } from './load-model.ts';
import { PrefixStates } from './prefix-states.ts';
import { Prefixes } from './prefixes.ts';
import type { Rounds } from './rounds.ts';
import { SequencePool } from './sequence-pool.ts';
import { computesAlike } from './speculation.ts';

export interface ContextOptions {
  /** PARLEY_HOME: saved prefixes lie under `cache/states`. */
  readonly home: string;
  readonly sequences: number;
  readonly contextTokens: number;
  readonly threads: number;
  /** One for all contexts of a model: steps are never taken side by side. */
  readonly rounds: Rounds;
  readonly pins: KvPins;
  /** Keeps saved prefixes of several games apart. */
  readonly salt: string;
  /** Whether anybody may want to guess ahead: then the context is looked at closely once. */
  readonly mayGuess: boolean;
  readonly log?: EngineLog;
}

const batchTokens = 256;
const retired = new Error('another context has taken its place');

export class AdaptedContext {
  readonly adapter: Adapter | undefined;
  /** The model as clients and metrics see it, with the adapter: `SmolLM2-135M-Instruct.Q4_1+oakfell-3`. */
  readonly name: string;
  readonly pool: SequencePool;
  readonly prefixes: Prefixes;
  /** Longest prompt and answer together. */
  readonly contextTokens: number;
  /** Whether a token among several is computed to the last bit as one alone; false where nobody asked. */
  readonly computesAlike: boolean;
  readonly #context: LlamaContext;
  readonly #retiring = new AbortController();
  #users = 0;
  #unused: (() => void) | undefined;

  /** Throws EngineError `unavailable` when llama.cpp refuses the adapter or memory is short. */
  static async make(
    loaded: LoadedModel,
    adapter: Adapter | undefined,
    options: ContextOptions,
  ): Promise<AdaptedContext> {
    loaded.complaints.length = 0;
    try {
      const context = await loaded.model.createContext({
        sequences: options.sequences,
        contextSize: Math.min(options.contextTokens, loaded.model.trainContextSize),
        batchSize: batchTokens,
        threads: options.threads,
        // Without it a model with a sliding window could not take up a prefix again.
        swaFullCache: true,
        // The library would try the same size sixteen times.
        failedCreationRemedy: false,
        ...(adapter ? { lora: { adapters: [{ filePath: adapter.file }] } } : {}),
      });
      const alike = options.mayGuess && (await computesAlike(context));
      return new AdaptedContext(loaded, context, adapter, options, alike);
    } catch (cause) {
      const why = [words(cause), ...loaded.complaints].join('; ');
      const what = adapter
        ? `The adapter ${labelOf(adapter)} (${adapter.file}) could not be put on the model ${loaded.name}: ${why}. ` +
          'If the file is damaged or cut off, or was made for another model, take another one (PARLEY_ADAPTER)'
        : `No context could be made for the model ${loaded.name}: ${why}. Perhaps memory is short`;
      throw new EngineError(
        'unavailable',
        `${what}; if memory is short, lower PARLEY_SEQUENCES or PARLEY_CONTEXT_TOKENS, or take a smaller model.`,
        { cause },
      );
    }
  }

  private constructor(
    loaded: LoadedModel,
    context: LlamaContext,
    adapter: Adapter | undefined,
    { home, rounds, pins, salt, log }: ContextOptions,
    alike: boolean,
  ) {
    this.computesAlike = alike;
    this.#context = context;
    this.adapter = adapter;
    this.name = adapter ? `${loaded.name}+${labelOf(adapter)}` : loaded.name;
    this.contextTokens = context.contextSize;
    this.pool = new SequencePool(context, pins);
    // Changes whenever saved KV state could no longer fit: other weights, adapter, llama.cpp or context.
    const identity = createHash('sha256')
      .update(JSON.stringify([loaded.llama.llamaCppRelease, context.contextSize]))
      .update(loaded.sample)
      .update(adapter?.sha256 ?? '')
      .update(salt)
      .digest('hex');
    const states = new PrefixStates(join(home, 'cache', 'states'), identity, log);
    this.prefixes = new Prefixes(this.pool, states, rounds, pins);
  }

  /** Somebody decodes with it from now on, until the function that is returned is called. */
  use(): () => void {
    this.#users++;
    let left = false;
    return () => {
      if (left) return;
      left = true;
      this.#users--;
      if (this.#users === 0) this.#unused?.();
    };
  }

  /** Aborts when another context has taken its place: what was only meant for later users is given up. */
  get retiring(): AbortSignal {
    return this.#retiring.signal;
  }

  /** Gives its memory back when the last user has left; resolves then. To be called once nobody new comes. */
  async retire(): Promise<void> {
    this.#retiring.abort(retired);
    if (this.#users > 0) {
      await new Promise<void>((resolve) => {
        this.#unused = resolve;
      });
    }
    await this.#context.dispose();
    if (this.adapter) await freeAdapter(this.#context.model, this.adapter.file);
  }
}

/**
 * The library (3.21) keeps every adapter that it ever loaded, by its path, for as long as the model lives: memory
 * would grow with every new version. To be called when no context uses it. Without the inner names of the library
 * nothing happens and the memory stays.
 */
async function freeAdapter(model: LlamaModel, file: string): Promise<void> {
  const { _loraAdapters: kept } = model as unknown as {
    _loraAdapters?: Map<string, { dispose(): Promise<void> }>;
  };
  const adapter = kept?.get(file);
  kept?.delete(file);
  await adapter?.dispose();
}
