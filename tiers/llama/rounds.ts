// The turn-taking of the llama engine: all decoding and prefilling goes through rounds, one step at a time. In a
// round each stream that wants a token gets one (or several, where they were guessed: speculation.ts), then at most one small chunk of prompt is prefilled, so a long
// prompt never holds up the others for longer than its chunk. Knows steps and counts, nothing of models.
//
// One step at a time, because several sequences in one llama.cpp batch are sampled by node-llama-cpp 3.21 on
// several threads, where llama.cpp sorts its outputs lazily on first access: a race that mixes up the streams'
// words. On few cores a batch is no quicker anyway (measured: 40 tokens of 4 streams in 1,666 ms, one by one
// 1,616 ms), and a stream's words no longer depend on who else is talking.

import { setImmediate as nextCycle } from 'node:timers/promises';

/** What one round did, in this order; for metrics and tests. */
export interface Round {
  /** Characters whose streams got a token, one entry a token. */
  readonly decoded: readonly string[];
  readonly prefilled: readonly { readonly npc: string; readonly tokens: number }[];
}

/** A prompt, or the rest of one, that is to be prefilled. */
export interface Prefill {
  readonly npc: string;
  readonly tokens: number;
  /** May rise while it waits: a character that is being warmed may suddenly be spoken to. */
  readonly urgency: () => 'live' | 'warm';
  readonly signal: AbortSignal;
  /** Read by a draft model: neither told of nor measured, since it says nothing of the model that speaks. */
  readonly aside?: boolean;
  /** Prefills the next `count` tokens. */
  readonly step: (count: number) => Promise<void>;
}

interface PrefillJob extends Prefill {
  left: number;
  readonly resolve: () => void;
  readonly reject: (reason: unknown) => void;
}

interface DecodeWant {
  readonly npc: string;
  readonly signal: AbortSignal;
  /** Resolves with the number of tokens that came of it. */
  readonly start: () => Promise<number>;
  readonly reject: (reason: unknown) => void;
}

/** No chunk is to take longer than this, as far as can be foretold. Alone: that is how long a newcomer waits. */
const mostAloneMs = 120;
const mostBesideOthersMs = 50;
const mostAloneTokens = 192;
/** Warming takes part in one of so many rounds in which others decode. */
const warmEvery = 4;
const smoothing = 0.2;

export class Rounds {
  readonly #chunk: number;
  readonly #observe: (round: Round) => void;
  #decodes: DecodeWant[] = [];
  /** In order of their next turn: whoever had a chunk goes to the end. */
  #prefills: PrefillJob[] = [];
  /** Streams between their first and last token, also while their reader is slow. */
  #streams = 0;
  #running = false;
  #round = 0;
  /** What a token takes by itself, whoever else is served; moving averages, 0 until measured. */
  prefillMsPerToken = 0;
  decodeMsPerToken = 0;

  constructor(chunkTokens: number, observe: (round: Round) => void = () => {}) {
    this.#chunk = chunkTokens;
    this.#observe = observe;
  }

  /** A stream begins to decode; the result ends it. Between the two, prefills use the small chunk. */
  enter(): () => void {
    this.#streams++;
    let left = false;
    return () => {
      if (!left) this.#streams--;
      left = true;
    };
  }

  /** How long a step of one stream may hold up the others; no bound while there are none. */
  get mostStepMs(): number {
    return this.#streams > 1 ? mostBesideOthersMs : Number.POSITIVE_INFINITY;
  }

  /**
   * Runs `step` in the next round and resolves with the tokens that it yields. Rejects with the reason of the abort
   * when that comes first.
   */
  decode<T>(npc: string, signal: AbortSignal, step: () => Promise<readonly T[]>): Promise<readonly T[]> {
    return new Promise((resolve, reject) => {
      const start = () =>
        step().then(
          (tokens) => {
            resolve(tokens);
            return tokens.length;
          },
          (error: unknown) => {
            reject(error);
            return 1;
          },
        );
      this.#decodes.push({ npc, signal, start, reject });
      this.#wake();
    });
  }

  /**
   * Resolves when all tokens of the prompt went through `step`, a chunk at a time. Rejects with the error of a
   * step or the reason of the abort; never while a step is under way.
   */
  prefill(prefill: Prefill): Promise<void> {
    if (prefill.tokens <= 0) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.#prefills.push({ ...prefill, left: prefill.tokens, resolve, reject });
      this.#wake();
    });
  }

  #wake(): void {
    if (this.#running) return;
    this.#running = true;
    void this.#run();
  }

  async #run(): Promise<void> {
    while (this.#decodes.length + this.#prefills.length > 0) {
      // Streams that got their token in the last round ask for the next one before this round is composed.
      await nextCycle();
      this.#dropAborted();
      const decodes = this.#decodes;
      this.#decodes = [];
      const chunks = this.#nextChunks(decodes.length);
      const decoded: string[] = [];
      const prefilled: { npc: string; tokens: number }[] = [];
      for (const want of decodes) {
        if (want.signal.aborted) {
          want.reject(want.signal.reason);
          continue;
        }
        const began = performance.now();
        const tokens = Math.max(1, await want.start());
        this.decodeMsPerToken = average(this.decodeMsPerToken, (performance.now() - began) / tokens, 1);
        for (let n = 0; n < tokens; n++) decoded.push(want.npc);
      }
      for (const [job, tokens] of chunks) {
        if (job.signal.aborted) continue;
        const began = performance.now();
        await this.#step(job, tokens);
        if (job.aside) continue;
        const cost = (performance.now() - began) / tokens;
        this.prefillMsPerToken = average(this.prefillMsPerToken, cost, Math.min(1, tokens / this.#chunk));
        prefilled.push({ npc: job.npc, tokens });
      }
      if (decoded.length + prefilled.length > 0) this.#observe({ decoded, prefilled });
    }
    this.#running = false;
  }

  #dropAborted(): void {
    const alive = (want: DecodeWant | PrefillJob) => {
      if (want.signal.aborted) want.reject(want.signal.reason);
      return !want.signal.aborted;
    };
    this.#decodes = this.#decodes.filter(alive);
    this.#prefills = this.#prefills.filter(alive);
  }

  /**
   * Who is prefilled in this round, and how much. One prompt after the other gets a whole chunk: equal shares
   * over time, and short prompts are through in their first turn.
   */
  #nextChunks(decoding: number): [PrefillJob, number][] {
    this.#round++;
    const busy = decoding > 0 || this.#streams > 0;
    const live = this.#prefills.filter((job) => job.urgency() === 'live');
    const mayWarm = live.length === 0 && (!busy || this.#round % warmEvery === 0);
    const turn = live.length > 0 || !mayWarm ? live : this.#prefills;
    let budget = this.#chunkTokens(busy);
    const chunks: [PrefillJob, number][] = [];
    for (const job of turn) {
      if (budget === 0) break;
      const tokens = Math.min(job.left, budget);
      budget -= tokens;
      chunks.push([job, tokens]);
    }
    for (const [job] of chunks) {
      this.#prefills.splice(this.#prefills.indexOf(job), 1);
      this.#prefills.push(job);
    }
    return chunks;
  }

  /** Alone, as many tokens as the time allows; beside others the small chunk, or less where the model is slow. */
  #chunkTokens(busy: boolean): number {
    if (this.prefillMsPerToken === 0) return this.#chunk;
    const ms = busy ? mostBesideOthersMs : mostAloneMs;
    const inTime = Math.max(1, Math.floor(ms / this.prefillMsPerToken));
    return Math.min(inTime, busy ? this.#chunk : Math.max(this.#chunk, mostAloneTokens));
  }

  async #step(job: PrefillJob, tokens: number): Promise<void> {
    try {
      await job.step(tokens);
      job.left -= tokens;
      if (job.left > 0) return;
      job.resolve();
    } catch (error) {
      job.reject(error);
    }
    this.#prefills.splice(this.#prefills.indexOf(job), 1);
  }
}

/** The moving average after another value; a smaller sample weighs less. */
function average(old: number, value: number, weight: number): number {
  return old === 0 ? value : old + smoothing * weight * (value - old);
}
