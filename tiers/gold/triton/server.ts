// One Triton server as the engine sees it: whether it serves, what its repository offers, how busy it is and which
// characters it has in its cache. Watches it, also when nobody asks it anything. Generates nothing for players.

import { randomUUID } from 'node:crypto';
import type { EngineLog } from '../../llama/load-model.ts';
import type { KvPins } from '../kv-pins.ts';
import { asFault, TritonClient } from './client.ts';
import { type FaultReason, TritonFault } from './fault.ts';
import { type Figures, noFigures, readFigures } from './figures.ts';
import { type Repository, readRepository } from './repository.ts';
import { textInputs, tokenInputs } from './requests.ts';
import { streamInfer } from './stream.ts';
import { inferRequest } from './tensors.ts';

export interface ServerOptions {
  /** host:port of the gRPC service. */
  readonly address: string;
  /** Its metrics page; empty where it has none. */
  readonly metricsUrl: string;
  readonly model: string;
  readonly tokenize: string;
  readonly template: string;
  readonly log?: EngineLog;
  /** Counted as metrics. */
  readonly onFault?: (reason: FaultReason) => void;
  readonly onProbe?: (result: 'ok' | 'failed') => void;
  readonly onState?: (address: string, up: boolean, figures: Figures) => void;
}

const callMs = 3_000;
const lookMs = 1_000;
/** After so long without a token it is asked for one. */
const quietMs = 30_000;
const probeMs = 15_000;
/** A cache so full, with requests that wait, has no room for another. */
const fullKv = 0.98;

export class TritonServer {
  readonly address: string;
  readonly client: TritonClient;
  /** Adapters whose weights it has. */
  readonly adapters = new Set<number>();
  /** Streams that this worker has on it. */
  running = 0;
  figures: Figures = noFigures;
  /** Why it does not serve; undefined while it does. */
  fault: TritonFault | undefined = new TritonFault('not_ready', 'It has not been asked yet.');
  readonly #options: ServerOptions;
  readonly #closed = new AbortController();
  /** Characters in its cache with the tokens of their prefix, the one that was used last at the end. */
  readonly #resident = new Map<string, number>();
  /** The adapter by which each of them was computed last. */
  readonly #taskIds = new Map<string, number>();
  /** Characters whose prefix is being computed: who comes second waits for it. */
  readonly #cold = new Map<string, Promise<void>>();
  #repository: Repository | undefined;
  #checking: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #heardAt = performance.now();

  constructor(options: ServerOptions) {
    this.#options = options;
    this.address = options.address;
    this.client = new TritonClient(options.address);
  }

  get isUp(): boolean {
    return this.fault === undefined;
  }

  get isFull(): boolean {
    return this.figures.kvUse >= fullKv && this.figures.waiting > 0;
  }

  /** What it offers. Throws its fault while it does not serve. */
  get repository(): Repository {
    if (this.fault || !this.#repository)
      throw this.fault ?? new TritonFault('not_ready', 'It does not serve.');
    return this.#repository;
  }

  get resident(): readonly string[] {
    return this.isUp ? [...this.#resident.keys()] : [];
  }

  /** Looks at it now and then until it is closed. */
  watch(): void {
    this.#timer = setTimeout(async () => {
      await this.check();
      if (!this.#closed.signal.aborted) this.watch();
    }, lookMs);
    this.#timer.unref();
  }

  /** Finds out whether it serves. Never rejects; the outcome is `fault`. */
  check(): Promise<void> {
    this.#checking ??= this.#check().finally(() => {
      this.#checking = undefined;
    });
    return this.#checking;
  }

  /** A generation has failed: unless the fault was the request's own, the server must prove itself before the next. */
  failed(fault: TritonFault): void {
    this.#options.onFault?.(fault.reason);
    if (fault.elsewhere) this.#goDown(fault);
  }

  /** A token came, so it need not be asked for one. */
  heard(): void {
    this.#heardAt = performance.now();
  }

  /** Has the model decode one token. Rejects with a TritonFault, after which it does not serve, or the reason of the abort. */
  async probe(signal: AbortSignal): Promise<void> {
    try {
      await this.#probe(AbortSignal.any([signal, this.#closed.signal]));
    } catch (error) {
      if (!signal.aborted) this.failed(asFault(error, this.address));
      throw error;
    }
  }

  /**
   * To be called before a prompt of a character is computed. Resolves with undefined when its prefix is in the cache; else,
   * once nobody else computes it, with the function to call when it is done or given up. Rejects with the reason of the abort.
   */
  async enter(npc: string, signal: AbortSignal): Promise<(() => void) | undefined> {
    while (!this.#resident.has(npc)) {
      const other = this.#cold.get(npc);
      if (other === undefined) {
        const { promise, resolve } = withResolvers();
        this.#cold.set(npc, promise);
        return () => {
          this.#cold.delete(npc);
          resolve();
        };
      }
      await orAborted(other, signal);
    }
    return undefined;
  }

  /**
   * By which adapter the next prompt of a character will be computed. TensorRT-LLM keeps the KV of each adapter apart, so with
   * another one than before the prefix is not in the cache.
   */
  speaksBy(npc: string, taskId: number | undefined): void {
    if (this.#taskIds.get(npc) !== taskId) this.#resident.delete(npc);
    if (taskId === undefined) this.#taskIds.delete(npc);
    else this.#taskIds.set(npc, taskId);
  }

  isResident(npc: string): boolean {
    return this.#resident.has(npc);
  }

  /**
   * The prefix of a character was computed or used. What no longer fits is taken to be gone, in the order of `pins`; returns
   * who that is.
   */
  used(npc: string, prefix: number, pins: Pick<KvPins, 'goingOrder'>): string[] {
    this.#resident.delete(npc);
    const order = pins.goingOrder(this.#resident.keys());
    this.#resident.set(npc, prefix);
    const { blocks, tokensPerBlock } = this.figures;
    const room = blocks === 0 ? Number.POSITIVE_INFINITY : blocks * tokensPerBlock;
    let held = [...this.#resident.values()].reduce((sum, tokens) => sum + tokens, 0);
    const gone: string[] = [];
    for (const victim of order) {
      if (held <= room) break;
      held -= this.#resident.get(victim)!;
      this.#resident.delete(victim);
      gone.push(victim);
    }
    return gone;
  }

  close(): void {
    this.#closed.abort();
    clearTimeout(this.#timer);
    this.client.close();
  }

  async #check(): Promise<void> {
    const { model, metricsUrl, log } = this.#options;
    try {
      if (!(await this.client.isLive(callMs)))
        throw new TritonFault('not_ready', `Triton at ${this.address} is not live.`);
      const wasUp = this.isUp;
      const broken = this.fault && ['garbage', 'flood', 'silent'].includes(this.fault.reason);
      if (!wasUp) this.#repository = await readRepository(this.client, this.#options);
      if (!(await this.client.isModelReady(model, callMs)))
        throw new TritonFault('not_ready', `The model ${model} of Triton at ${this.address} is not ready.`);
      if (metricsUrl !== '') {
        this.figures = await readFigures(metricsUrl, this.#repository!.inner, callMs).catch(
          (error: unknown) => {
            if (!wasUp)
              log?.warn({ err: error, server: this.address }, 'the metrics page of Triton cannot be read');
            return this.figures;
          },
        );
      }
      if (broken || (this.running === 0 && performance.now() - this.#heardAt > quietMs))
        await this.#probe(this.#closed.signal);
      if (!wasUp) {
        this.#resident.clear();
        this.adapters.clear();
        this.fault = undefined;
        log?.info({ server: this.address, model, figures: this.figures }, 'Triton serves');
      }
      this.#options.onState?.(this.address, true, this.figures);
    } catch (error) {
      if (this.#closed.signal.aborted) return;
      const fault =
        error instanceof TritonFault ? error : new TritonFault('garbage', String(error), { cause: error });
      if (this.isUp || this.fault?.reason !== fault.reason) this.#options.onFault?.(fault.reason);
      this.#goDown(fault);
    }
  }

  /** Asks for one token. */
  async #probe(signal: AbortSignal): Promise<void> {
    const repository = this.#repository!;
    const { tokenizer } = repository;
    const shared = {
      options: { maxTokens: 1, temperature: 0 },
      maxTokens: 1,
      seed: 0,
      has: (name: string) => repository.inputs.has(name),
    };
    const inputs = tokenizer
      ? tokenInputs({ ...shared, tokens: [tokenizer.endToken], endToken: tokenizer.endToken, retention: [] })
      : textInputs({ ...shared, text: 'Hello' });
    const limits = { firstMs: probeMs, silentMs: probeMs, answers: 4 };
    try {
      const request = inferRequest(repository.model, randomUUID(), inputs);
      for await (const _ of streamInfer(this.client, request, limits, signal)) this.heard();
      this.heard(); // an end without a token is an answer too
      this.#options.onProbe?.('ok');
    } catch (error) {
      this.#options.onProbe?.('failed');
      throw error;
    }
  }

  #goDown(fault: TritonFault): void {
    if (this.isUp || this.fault?.reason !== fault.reason)
      this.#options.log?.warn(
        { server: this.address, reason: fault.reason, err: fault },
        'Triton does not serve',
      );
    this.fault = fault;
    this.#options.onState?.(this.address, false, this.figures);
  }
}

function withResolvers(): { promise: Promise<void>; resolve: () => void } {
  let resolve = () => {};
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}

/** Waits for a promise or for the abort. */
export async function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  let leave = () => {};
  const aborted = new Promise<never>((_, reject) => {
    leave = () => reject(signal.reason);
    signal.addEventListener('abort', leave, { once: true });
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', leave);
  }
}
