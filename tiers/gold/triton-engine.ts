// The engine of the Gold tier: TensorRT-LLM behind one or several Triton servers, over gRPC. Here a request goes its
// way: tokens, a place, a server, its stream. What a server says and is stands in triton/*.ts, beginning with
// server.ts. Knows no bus, no player and no character file.

import { setTimeout as sleep } from 'node:timers/promises';
import type { Config } from '../../runtime/config.ts';
import {
  type Chunk,
  type Engine,
  EngineError,
  type EngineStats,
  type GenerateOptions,
  type Prompt,
} from '../engine.ts';
import { Slots } from '../llama/slots.ts';
import { Speculation, type SpeculationMode, type SpeculationOptions } from './speculation.ts';
import { asFault } from './triton/client.ts';
import { TritonFault } from './triton/fault.ts';
import { type GenerationParts, generateOn, Pace, render, type Wanted } from './triton/generation.ts';
import { Adapters } from './triton/lora.ts';
import { TritonPins } from './triton/pins.ts';
import { ServerPool } from './triton/pool.ts';
import type { RetentionRange } from './triton/retention.ts';
import { type ServerOptions, TritonServer } from './triton/server.ts';

export interface TritonOptions extends Omit<ServerOptions, 'address' | 'metricsUrl'> {
  /** host:port of each server's gRPC service, and the metrics pages in the same order (fewer or none will do). */
  readonly servers: readonly string[];
  readonly metricsUrls: readonly string[];
  readonly contextTokens: number;
  /** Streams of this worker that run at once, on all servers together. */
  readonly concurrency: number;
  /** How long a server may take for its first token, and between two. */
  readonly firstTokenMs: number;
  readonly silentMs: number;
  /** How long the start waits for a server. */
  readonly readyMs: number;
  /** Manifest of LoRA adapters by character; empty for none. */
  readonly adapters: string;
  /** Part of the KV cache that leases may hold, 0 to 1; half of it when absent. */
  readonly kvPinShare?: number;
  /** Whether a draft model beside the model is asked to guess ahead; `off` when absent. */
  readonly speculation?: SpeculationMode;
  /** Tokens that it guesses at once at most; 4 when absent. */
  readonly speculationTokens?: number;
  /** Hears of every answer in which something was guessed. */
  readonly onSpeculation?: SpeculationOptions['onStep'];
  /** What TensorRT-LLM is to keep of a prompt, and until when (ms since the epoch) where the character has a lease. */
  readonly retention?: (prefix: number, until: number | undefined) => RetentionRange[];
}

/** The options that the settings name. */
export function tritonOptions(config: Config): TritonOptions {
  const list = (names: string) => names.split(',').filter((name) => name !== '');
  return {
    servers: list(config.tritonUrls),
    metricsUrls: list(config.tritonMetricsUrls),
    model: config.tritonModel,
    tokenize: config.tritonTokenize,
    template: config.tritonTemplate,
    adapters: config.tritonAdapters,
    firstTokenMs: config.tritonFirstTokenMs,
    silentMs: config.tritonSilentMs,
    readyMs: config.tritonReadyMs,
    contextTokens: config.contextTokens,
    concurrency: config.concurrency,
    kvPinShare: config.kvPinShare,
    speculation: config.speculation,
    speculationTokens: config.speculationTokens,
  };
}

/** Resolves once a server serves. Throws EngineError `unavailable`, with what is wrong with each of them. */
export async function createTritonEngine(options: TritonOptions): Promise<Engine> {
  if (options.servers.length === 0)
    throw new EngineError(
      'unavailable',
      'PARLEY_TRITON_URLS names no Triton server: host:port, several with commas.',
    );
  const engine = new TritonEngine(options);
  try {
    await engine.start();
    return engine;
  } catch (error) {
    await engine.close();
    throw error;
  }
}

/** An answer needs room for at least so many tokens, or the prompt counts as too long. */
const leastAnswerTokens = 16;
/** How often a character that waits to be warmed looks for a place that no stream wants. */
const lookMs = 100;

class TritonEngine implements Engine {
  readonly name = 'triton';
  readonly continues = 'text';
  readonly model: string;
  readonly #options: TritonOptions;
  readonly #pool: ServerPool;
  readonly #slots: Slots;
  readonly #parts: GenerationParts;
  readonly #pins: TritonPins;
  readonly #pace = new Pace();
  readonly #speculation: Speculation;
  /** Characters are warmed one at a time; the one that is may have to give way. */
  readonly #warmPlace = new Slots(1);
  #warming: { readonly npc: string; readonly stop: AbortController } | undefined;
  readonly #closed = new AbortController();
  readonly #runs = new Set<Promise<void>>();

  constructor(options: TritonOptions) {
    this.#options = options;
    this.model = options.model;
    const { speculation: mode = 'off', speculationTokens: most = 4, onSpeculation: onStep } = options;
    this.#speculation = new Speculation({ mode, most, onStep });
    this.#pool = new ServerPool(
      options.servers.map((address, i) => {
        return new TritonServer({ ...options, address, metricsUrl: options.metricsUrls[i] ?? '' });
      }),
    );
    this.#slots = new Slots(options.concurrency);
    this.#pins = new TritonPins({
      pool: this.#pool,
      share: options.kvPinShare ?? 0.5,
      touch: (prompt) =>
        this.warm(prompt, this.#closed.signal).catch((error) => {
          if (!this.#closed.signal.aborted) throw error;
        }),
      log: options.log,
    });
    this.#parts = {
      model: this.model,
      adapters: new Adapters(options.adapters),
      pins: this.#pins,
      pace: this.#pace,
      speculation: this.#speculation,
      options,
    };
  }

  async start(): Promise<void> {
    await this.#pool.ready(this.#options.readyMs);
    for (const server of this.#pool.servers) server.watch();
  }

  get constrains(): 'json' | 'none' {
    return this.#pool.up.every((server) => server.repository.inputs.has('guided_decoding_guide'))
      ? 'json'
      : 'none';
  }

  generate(prompt: Prompt, options: GenerateOptions, signal: AbortSignal): AsyncGenerator<Chunk> {
    return this.#generate(prompt, options, signal, true);
  }

  /**
   * One token of an answer to nobody: what is computed on the way is the prefix. A stream that finds no place takes the one
   * of a character that is being warmed, which begins again when a place is free.
   */
  async warm(prompt: Prompt, signal: AbortSignal): Promise<void> {
    const freePlace = await this.#warmPlace.take(signal);
    try {
      const once = { ...prompt, turns: [], player: prompt.player || '.', said: '' };
      for (;;) {
        while (this.#slots.taken >= this.#slots.size && !signal.aborted) await sleep(lookMs);
        signal.throwIfAborted();
        const stop = new AbortController();
        this.#warming = { npc: prompt.npc, stop };
        const either = AbortSignal.any([signal, stop.signal]);
        let done = false;
        for await (const chunk of this.#generate(once, { maxTokens: 1, temperature: 0 }, either, false))
          done = chunk.type === 'done' && chunk.reason !== 'aborted';
        if (done) return;
      }
    } finally {
      this.#warming = undefined;
      freePlace();
    }
  }

  async *#generate(
    prompt: Prompt,
    options: GenerateOptions,
    signal: AbortSignal,
    live: boolean,
  ): AsyncGenerator<Chunk> {
    const spent = { prompt: 0, cached: 0, completion: 0 };
    if (signal.aborted) return yield { type: 'done', reason: 'aborted', usage: spent };
    this.#mustBeOpen();
    const either = AbortSignal.any([signal, this.#closed.signal]);
    let over = () => {};
    const run = new Promise<void>((resolve) => {
      over = resolve;
    });
    this.#runs.add(run);
    let freePlace = () => {};
    const usage: Wanted['usage'] = { of: () => spent };
    try {
      const sized = await this.#size(prompt, options, either);
      usage.of = () => ({ ...spent, prompt: sized.tokens });
      if (live) this.#takeFromWarming(prompt.npc);
      freePlace = await this.#slots.take(either);
      yield* this.#anywhere({ prompt, options, signal: either, usage, live }, sized);
    } catch (error) {
      if (this.#closed.signal.aborted) throw closed();
      if (!signal.aborted) throw this.#asEngineError(error);
      yield { type: 'done', reason: 'aborted', usage: usage.of(), model: this.model };
    } finally {
      freePlace();
      over();
      this.#runs.delete(run);
    }
  }

  /** Who warms gives way to who speaks, unless that is to the same character, whose prefix it would have to wait for anyway. */
  #takeFromWarming(npc: string): void {
    if (this.#slots.taken < this.#slots.size || this.#warming?.npc === npc) return;
    this.#warming?.stop.abort(new Error('a stream needs the place'));
  }

  pin(npc: string, until: number): void {
    this.#pins.pin(npc, until);
  }

  release(npc: string): void {
    this.#pins.book.release(npc);
  }

  stats(): EngineStats {
    return {
      concurrency: this.#slots.size,
      active: this.#slots.taken,
      resident: [...new Set(this.#pool.servers.flatMap((server) => server.resident))],
      prefillMsPerToken: this.#pace.prefillMs,
      decodeMsPerToken: this.#pace.decodeMs,
      pinned: this.#pins.book.pinned(),
      kv: this.#pins.book.figures,
      steps: undefined,
      speculation: this.#speculation.figures,
    };
  }

  /** Whether a server serves and has room in its KV cache. */
  async health(): Promise<void> {
    this.#mustBeOpen();
    const { up } = this.#pool;
    if (up.length === 0) throw this.#pool.fault();
    if (up.every((server) => server.isFull))
      throw new EngineError('unavailable', 'The KV cache of every Triton server is full and requests wait.');
  }

  async probe(signal: AbortSignal): Promise<void> {
    this.#mustBeOpen();
    if (this.#pool.up.length === 0) throw this.#pool.fault();
    await Promise.any(this.#pool.up.map((server) => server.probe(signal))).catch(() => {
      signal.throwIfAborted();
      throw this.#pool.fault();
    });
  }

  async close(): Promise<void> {
    this.#closed.abort(closed());
    await Promise.all(this.#runs);
    this.#pool.close();
  }

  /** Tries one server after the other until one has begun to answer. */
  async *#anywhere(wanted: Wanted, sized: Sized): AsyncGenerator<Chunk> {
    const { npc } = wanted.prompt;
    const tried = new Set<TritonServer>();
    for (;;) {
      const server = this.#pool.choose(npc, sized.prefix, this.stats(), tried);
      tried.add(server);
      let begun = false;
      try {
        for await (const chunk of generateOn(server, this.#parts, wanted)) {
          begun = true;
          yield chunk;
        }
        return;
      } catch (error) {
        if (wanted.signal.aborted) throw error;
        const fault = asFault(error, server.address);
        server.failed(fault);
        if (begun || !fault.elsewhere || this.#pool.up.every((other) => tried.has(other))) throw fault;
      }
    }
  }

  /** How long the prompt is, before a place is taken for it. Throws EngineError `prompt_too_long`. */
  async #size(prompt: Prompt, options: GenerateOptions, signal: AbortSignal): Promise<Sized> {
    const [server] = this.#pool.up;
    if (!server) throw this.#pool.fault();
    const { tokens, prefix } = await render(server, prompt, signal);
    const { contextTokens } = this.#options;
    if (contextTokens - 1 - tokens.length < Math.min(leastAnswerTokens, options.maxTokens)) {
      throw new TritonFault(
        'prompt_too_long',
        `The prompt has ${tokens.length} tokens; a context of ${contextTokens} leaves no room for an answer.`,
      );
    }
    return { tokens: tokens.length, prefix };
  }

  #mustBeOpen(): void {
    if (this.#closed.signal.aborted) throw closed();
  }

  #asEngineError(error: unknown): EngineError {
    if (error instanceof TritonFault && error.reason === 'prompt_too_long')
      this.#options.onFault?.(error.reason);
    if (error instanceof EngineError) return error;
    const words = error instanceof Error ? error.message : String(error);
    return new EngineError('internal', `The Triton engine failed: ${words}`, { cause: error });
  }
}

interface Sized {
  /** Tokens of the prompt, and of these the character's own; 0 where only the model knows. */
  readonly tokens: number;
  readonly prefix: number;
}

function closed(): EngineError {
  return new EngineError('unavailable', 'The engine is closed.');
}
