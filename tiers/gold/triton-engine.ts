// The engine of the Gold tier: TensorRT-LLM behind one or several Triton servers, over gRPC. Here a request goes its
// way: tokens, a place, a server, its stream. What a server says and is stands in triton/*.ts, beginning with
// server.ts. Knows no bus, no player and no character file.

import { randomInt, randomUUID } from 'node:crypto';
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
import { goesOn, TextAnswer, TokenAnswer } from './triton/answer.ts';
import { renderText } from './triton/chat-templates.ts';
import { asFault } from './triton/client.ts';
import { TritonFault } from './triton/fault.ts';
import { Adapters, loraTensors } from './triton/lora.ts';
import { ServerPool } from './triton/pool.ts';
import { textInputs, tokenInputs } from './triton/requests.ts';
import { type RetentionRange, retentionRanges } from './triton/retention.ts';
import { orAborted, type ServerOptions, TritonServer } from './triton/server.ts';
import { streamInfer } from './triton/stream.ts';
import { inferRequest } from './triton/tensors.ts';

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
  /** What TensorRT-LLM is to keep of a prompt. `until` is the end of the character's lease, if it has one. */
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
/** Weight of the newest measurement in the moving averages. */
const newest = 0.1;

class TritonEngine implements Engine {
  readonly name = 'triton';
  readonly continues = 'text';
  readonly model: string;
  readonly #options: TritonOptions;
  readonly #pool: ServerPool;
  readonly #slots: Slots;
  readonly #adapters: Adapters;
  readonly #pins = new Map<string, number>();
  readonly #closed = new AbortController();
  readonly #runs = new Set<Promise<void>>();
  #prefillMs = 0;
  #decodeMs = 0;

  constructor(options: TritonOptions) {
    this.#options = options;
    this.model = options.model;
    this.#pool = new ServerPool(
      options.servers.map((address, i) => {
        return new TritonServer({ ...options, address, metricsUrl: options.metricsUrls[i] ?? '' });
      }),
    );
    this.#slots = new Slots(options.concurrency);
    this.#adapters = new Adapters(options.adapters);
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

  async *generate(prompt: Prompt, options: GenerateOptions, signal: AbortSignal): AsyncGenerator<Chunk> {
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
    const usage = { of: () => spent as Extract<Chunk, { type: 'done' }>['usage'] };
    try {
      const sized = await this.#size(prompt, options, either);
      usage.of = () => ({ ...spent, prompt: sized.tokens });
      freePlace = await this.#slots.take(either);
      yield* this.#anywhere(prompt, options, sized, either, usage);
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

  async warm(prompt: Prompt, signal: AbortSignal): Promise<void> {
    // One token of an answer to nobody: what is computed on the way is the prefix.
    const once = { ...prompt, turns: [], player: prompt.player || '.', said: '' };
    for await (const chunk of this.generate(once, { maxTokens: 1, temperature: 0 }, signal)) {
      if (chunk.type === 'done' && chunk.reason === 'aborted') signal.throwIfAborted();
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
      resident: [...new Set(this.#pool.servers.flatMap((server) => server.resident))],
      prefillMsPerToken: this.#prefillMs,
      decodeMsPerToken: this.#decodeMs,
      pinned: [...this.#pins.keys()].filter((npc) => this.#leaseOf(npc) !== undefined),
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

  async close(): Promise<void> {
    this.#closed.abort(closed());
    await Promise.all(this.#runs);
    this.#pool.close();
  }

  /** Tries one server after the other until one has begun to answer. */
  async *#anywhere(
    prompt: Prompt,
    options: GenerateOptions,
    sized: Sized,
    signal: AbortSignal,
    usage: { of: () => Extract<Chunk, { type: 'done' }>['usage'] },
  ): AsyncGenerator<Chunk> {
    const tried = new Set<TritonServer>();
    for (;;) {
      const server = this.#pool.choose(prompt.npc, sized.prefix, this.stats(), tried);
      tried.add(server);
      let begun = false;
      try {
        for await (const chunk of this.#on(server, prompt, options, signal, usage)) {
          begun = true;
          yield chunk;
        }
        return;
      } catch (error) {
        if (signal.aborted) throw error;
        const fault = asFault(error, server.address);
        server.failed(fault);
        if (begun || !fault.elsewhere || this.#pool.up.every((other) => tried.has(other))) throw fault;
      }
    }
  }

  /** One generation on one server. */
  async *#on(
    server: TritonServer,
    prompt: Prompt,
    options: GenerateOptions,
    signal: AbortSignal,
    usage: { of: () => Extract<Chunk, { type: 'done' }>['usage'] },
  ): AsyncGenerator<Chunk> {
    const { repository } = server;
    const { tokenizer, template } = repository;
    const rendered = await this.#render(server, prompt, signal);
    const maxTokens = Math.min(options.maxTokens, this.#options.contextTokens - 1 - rendered.tokens.length);
    const adapter = await this.#adapters.of(prompt.npc);
    const leave = await server.enter(prompt.npc, signal);
    server.running++;
    try {
      const lora = adapter && loraTensors(adapter, server.adapters.has(adapter.taskId));
      const shared = {
        options,
        maxTokens,
        lora,
        seed: options.seed ?? randomInt(2 ** 31),
        has: (name: string) => repository.inputs.has(name),
      };
      const ranges = (this.#options.retention ?? retentionRanges)(rendered.prefix, this.#leaseOf(prompt.npc));
      const inputs = tokenizer
        ? tokenInputs({ ...shared, tokens: rendered.tokens, endToken: tokenizer.endToken, retention: ranges })
        : textInputs({ ...shared, text: renderText(template, prompt).text });
      const about = {
        prompt: rendered.tokens.length,
        options,
        maxTokens,
        continues: goesOn(prompt, rendered.trailing),
      };
      const { tokensPerBlock } = server.figures;
      const answer = tokenizer
        ? new TokenAnswer(tokenizer, about, tokensPerBlock)
        : new TextAnswer(repository.accumulates, about, tokensPerBlock);
      usage.of = () => answer.usage;
      const { firstTokenMs: firstMs, silentMs } = this.#options;
      const limits = { firstMs, silentMs, answers: maxTokens + 8 };
      let before = performance.now();
      let first = true;
      const request = inferRequest(repository.model, randomUUID(), inputs);
      for await (const outputs of streamInfer(server.client, request, limits, signal)) {
        const pieces = [...answer.take(outputs)];
        const ms = performance.now() - before;
        server.heard();
        if (first) {
          if (lora) server.adapters.add(lora.taskId);
          server.used(prompt.npc, rendered.prefix, (npc) => this.#leaseOf(npc) !== undefined);
          leave?.();
          const { prompt: all, cached } = answer.usage;
          this.#prefillMs = average(this.#prefillMs, ms / Math.max(1, all - cached));
        } else this.#decodeMs = average(this.#decodeMs, ms);
        first = false;
        yield* pieces;
        before = performance.now();
        if (answer.reason) break;
      }
      if (!answer.reason) yield* answer.end();
      const confidence = options.schema === undefined ? undefined : answer.confidence;
      yield {
        type: 'done',
        reason: answer.reason ?? 'stop',
        usage: answer.usage,
        model: this.model,
        ...(confidence !== undefined && { confidence }),
      };
    } finally {
      server.running--;
      leave?.();
    }
  }

  /** How long the prompt is, before a place is taken for it. Throws EngineError `prompt_too_long`. */
  async #size(prompt: Prompt, options: GenerateOptions, signal: AbortSignal): Promise<Sized> {
    const [server] = this.#pool.up;
    if (!server) throw this.#pool.fault();
    const { tokens, prefix } = await this.#render(server, prompt, signal);
    const { contextTokens } = this.#options;
    if (contextTokens - 1 - tokens.length < Math.min(leastAnswerTokens, options.maxTokens)) {
      throw new TritonFault(
        'prompt_too_long',
        `The prompt has ${tokens.length} tokens; a context of ${contextTokens} leaves no room for an answer.`,
      );
    }
    return { tokens: tokens.length, prefix };
  }

  async #render(server: TritonServer, prompt: Prompt, signal: AbortSignal): Promise<Rendered> {
    const { tokenizer, template } = server.repository;
    if (tokenizer) return orAborted(tokenizer.render(prompt), signal);
    // Nobody tells how many tokens a text has until it was answered: the model refuses what is too long.
    return { tokens: [], prefix: 0, trailing: renderText(template, prompt).trailing };
  }

  #leaseOf(npc: string): number | undefined {
    const until = this.#pins.get(npc);
    if (until !== undefined && until <= Date.now()) this.#pins.delete(npc);
    return this.#pins.get(npc);
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

interface Rendered {
  readonly tokens: readonly number[];
  readonly prefix: number;
  readonly trailing: string;
}

function average(before: number, value: number): number {
  return before === 0 ? value : before + newest * (value - before);
}

function closed(): EngineError {
  return new EngineError('unavailable', 'The engine is closed.');
}
