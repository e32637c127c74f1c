// The embedded engine: llama.cpp in the worker's own process, through node-llama-cpp. Here a request goes its
// way: a place, a sequence that holds as much of the prompt as possible, prefill in chunks, tokens, the end.
// What each step means stands in llama/*.ts. Knows no bus, no player and no character file.

import { randomInt } from 'node:crypto';
import { join } from 'node:path';
import type { LlamaContextSequence, Token } from 'node-llama-cpp';
import {
  type Chunk,
  type Engine,
  EngineError,
  type EngineStats,
  type GenerateOptions,
  type Prompt,
} from './engine.ts';
import { ChatTemplate } from './llama/chat-template.ts';
import { type EngineLog, type LoadedModel, loadModel, type ModelOptions } from './llama/load-model.ts';
import { Outlet } from './llama/outlet.ts';
import { PrefixStates } from './llama/prefix-states.ts';
import { Prefixes } from './llama/prefixes.ts';
import { type Round, Rounds } from './llama/rounds.ts';
import { type Lease, SequencePool } from './llama/sequence-pool.ts';
import { Slots } from './llama/slots.ts';
import { TextStream } from './llama/text-stream.ts';

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

/** An answer needs room for at least so many tokens, or the prompt counts as too long. */
const leastAnswerTokens = 16;
/** Below this, computing the rest of a prefix is as quick as loading it. */
const worthLoading = 8;
const repeatWindow = 64;
/** After so many failures in a row, with no success between, the engine calls itself unhealthy. */
const mostFailures = 3;

type Run = { readonly abort: AbortController; readonly prompt: Prompt; readonly options: GenerateOptions };
type Spent = { prompt: number; cached: number; completion: number };

class LlamaEngine implements Engine {
  readonly name = 'llama';
  readonly model: string;
  readonly continues = 'text';
  readonly #loaded: LoadedModel;
  readonly #template: ChatTemplate;
  readonly #rounds: Rounds;
  readonly #pool: SequencePool;
  readonly #states: PrefixStates;
  readonly #prefixes: Prefixes;
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
    this.#states = new PrefixStates(join(options.home, 'cache', 'states'), loaded.identity, options.log);
    this.#prefixes = new Prefixes(this.#pool, this.#states, this.#rounds);
    this.#slots = new Slots(options.concurrency);
  }

  async *generate(prompt: Prompt, options: GenerateOptions, signal: AbortSignal): AsyncGenerator<Chunk> {
    this.#mustBeOpen();
    const outlet = new Outlet<Chunk>();
    const abort = new AbortController();
    const relay = () => abort.abort(aborted);
    if (signal.aborted) relay();
    signal.addEventListener('abort', relay, { once: true });
    const done = this.#answer({ abort, prompt, options }, outlet).then(
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
  async #answer(run: Run, outlet: Outlet<Chunk>): Promise<Chunk> {
    const spent: Spent = { prompt: 0, cached: 0, completion: 0 };
    const { signal } = run.abort;
    try {
      const { tokens, prefix, trailing } = this.#template.render(run.prompt);
      spent.prompt = tokens.length;
      const room = this.#loaded.context.contextSize - 1 - tokens.length;
      if (room < Math.min(leastAnswerTokens, run.options.maxTokens)) {
        throw new EngineError(
          'prompt_too_long',
          `The prompt has ${tokens.length} tokens; a context of ${this.#loaded.context.contextSize} leaves no room for an answer.`,
        );
      }
      const freePlace = await this.#slots.take(signal);
      try {
        const reason = await this.#inPlace(
          run,
          tokens,
          prefix,
          trailing,
          Math.min(run.options.maxTokens, room),
          spent,
          outlet,
        );
        this.#failures = 0;
        return { type: 'done', reason, usage: spent };
      } finally {
        freePlace();
      }
    } catch (error) {
      if (signal.aborted && error === aborted) return { type: 'done', reason: 'aborted', usage: spent };
      throw this.#asEngineError(error);
    }
  }

  /** With a place: gets a sequence, fills it with the prompt, streams the answer, gives the sequence back. */
  async #inPlace(
    run: Run,
    tokens: readonly Token[],
    prefix: number,
    trailing: string,
    maxTokens: number,
    spent: Spent,
    outlet: Outlet<Chunk>,
  ): Promise<'stop' | 'length'> {
    const { npc } = run.prompt;
    const { signal } = run.abort;
    const computed =
      this.#pool.bestCommon(tokens) + worthLoading > prefix
        ? 0
        : await this.#prefixes.ensure(npc, tokens.slice(0, prefix), 'live', signal);
    const lease = await this.#lease(npc, tokens, prefix);
    const { sequence } = lease;
    const state: { value: 'sound' | 'spoilt' } = { value: 'sound' };
    /** From here on the sequence is only sound again when the library has come back from the step. */
    const step = async <T>(work: () => Promise<T>): Promise<T> => {
      state.value = 'spoilt';
      const result = await work();
      state.value = 'sound';
      return result;
    };
    try {
      // The last token is left for the first step of decoding, which needs one.
      const common = Math.min(lease.common, tokens.length - 1);
      await step(() => sequence.eraseContextTokenRanges([{ start: common, end: sequence.nextTokenIndex }]));
      spent.cached = Math.max(0, common - computed);
      await this.#rounds.prefill({
        npc,
        tokens: tokens.length - 1 - common,
        urgency: () => 'live',
        signal,
        step: (n) => {
          const at = sequence.nextTokenIndex;
          return step(() => sequence.evaluateWithoutGeneratingNewTokens(tokens.slice(at, at + n)));
        },
      });
      return await this.#decode(run, sequence, tokens.at(-1)!, trailing, maxTokens, spent, outlet, step);
    } finally {
      await lease.giveBack(state.value);
    }
  }

  async #lease(npc: string, tokens: readonly Token[], prefix: number): Promise<Lease> {
    const lease = this.#pool.take(npc, tokens, prefix);
    if (lease.common + worthLoading > prefix) return lease;
    if (!(await this.#states.has(tokens.slice(0, prefix)))) return lease;
    if (await this.#states.load(tokens.slice(0, prefix), lease.sequence)) return { ...lease, common: prefix };
    await lease.giveBack('spoilt');
    return this.#pool.take(npc, tokens, prefix);
  }

  async #decode(
    run: Run,
    sequence: LlamaContextSequence,
    last: Token,
    trailing: string,
    maxTokens: number,
    spent: Spent,
    outlet: Outlet<Chunk>,
    step: <T>(work: () => Promise<T>) => Promise<T>,
  ): Promise<'stop' | 'length'> {
    const { signal } = run.abort;
    const { npc, said = '' } = run.prompt;
    const said_: Token[] = [];
    const text = new TextStream<Token>(
      (cut, before) => this.#template.detokenize(cut, before),
      run.options.stop ?? [],
      said !== '' && trailing === '',
    );
    const emit = (piece: { text: string; tokens: number } | undefined) => {
      if (piece) outlet.push({ type: 'text', ...piece });
    };
    const tokens = sequence.evaluate([last], sampling(run.options, said_));
    const leave = this.#rounds.enter();
    try {
      while (true) {
        await outlet.ready(signal);
        const next = await this.#rounds.decode(npc, signal, () => step(() => tokens.next()));
        if (next.done || this.#template.ends(next.value)) {
          emit(text.end());
          return 'stop';
        }
        spent.completion++;
        said_.push(next.value);
        emit(text.push(next.value));
        if (text.stopped) return 'stop';
        if (spent.completion >= maxTokens) {
          emit(text.end());
          return 'length';
        }
      }
    } finally {
      leave();
      await tokens.return();
    }
  }

  async #warm(prompt: Prompt, signal: AbortSignal): Promise<void> {
    const prefix = this.#template.prefix(prompt);
    const freePlace = await this.#warming.take(signal);
    try {
      if (this.#pool.bestCommon(prefix) === prefix.length) return;
      await this.#prefixes.ensure(prompt.npc, prefix, 'warm', signal);
      // On disk is nearly as good; memory is only used where it takes no player's conversation.
      if (this.#pool.bestCommon(prefix) === prefix.length || !this.#pool.hasRoom()) return;
      const lease = await this.#lease(prompt.npc, prefix, prefix.length);
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

function sampling(options: GenerateOptions, said: readonly Token[]) {
  const penalty = options.repeatPenalty ?? 1;
  return {
    temperature: options.temperature,
    topP: options.topP ?? 0.95,
    topK: options.topK ?? 40,
    minP: options.minP ?? 0,
    // The library's own default is the second of the clock: all streams of a second would share their luck.
    seed: options.seed ?? randomInt(2 ** 31),
    // Of its own answer alone: punishing the words of the persona would drive a character out of its role.
    ...(penalty === 1
      ? {}
      : {
          repeatPenalty: {
            penalty,
            punishTokens: () => said.slice(-repeatWindow),
            maxPunishTokens: repeatWindow,
          },
        }),
    // Small models fall into loops. This makes it ever less likely that an answer repeats a run of its own words.
    dryRepeatPenalty: { strength: 0.8, base: 1.75, allowedLength: 4, sequenceBreakers: ['\n'] },
    // Seen by #decode, which ends the answer.
    yieldEogToken: true,
  };
}
