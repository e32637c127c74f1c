// The engine of load, kill and soak runs: what the real model once said, in the rhythm in which it said it, for
// thousands of streams at once. It keeps the whole contract of tiers/engine.ts and computes nothing. `npm start`
// cannot choose it.

import {
  type Chunk,
  type Engine,
  EngineError,
  type EngineStats,
  type GenerateOptions,
  type Prompt,
  type Usage,
} from '../../tiers/engine.ts';
import { Slots } from '../../tiers/llama/slots.ts';
import { TextStream } from '../../tiers/llama/text-stream.ts';
import { estimateTokens } from '../../tiers/prompt.ts';
import { Pacer, Ticket } from './pacer.ts';
import { PrefixMemory } from './prefix-memory.ts';
import { type Recording, readRecording } from './recording.ts';
import { script } from './script.ts';
import { stamp } from './stamp.ts';

export interface RecordedOptions {
  readonly recording: Recording;
  /** 1: as it was recorded. 2: twice as fast. 0: as fast as the readers take it. */
  readonly speed: number;
  /** Another seed, other answers to words that were not recorded. */
  readonly seed: number;
  /** Streams that run at once. */
  readonly concurrency: number;
  /** Conversations whose text counts as cached. */
  readonly sequences: number;
  readonly contextTokens: number;
  /** Answers end at `maxTokens` only. */
  readonly endless: boolean;
  /** Milliseconds to the first piece, whatever was recorded and whatever the speed. */
  readonly firstMs?: number;
  /** In place of each piece's text the time at which it was read (stamp.ts). */
  readonly stamped: boolean;
}

const defaults: Omit<RecordedOptions, 'recording'> = {
  speed: 1,
  seed: 0,
  concurrency: 4,
  sequences: 64,
  contextTokens: 2_048,
  endless: false,
  stamped: false,
};

/** Throws when the recording cannot be read. */
export function createRecordedEngine(options: Partial<RecordedOptions> = {}): Engine {
  return new RecordedEngine({ ...defaults, recording: options.recording ?? readRecording(), ...options });
}

/** A stream that lags (its reader was busy) catches up at most so much, in ms: a model would not hurry either. */
const mostLagMs = 250;
/** How much a new measurement weighs. */
const averaging = 0.1;

/** Text that says when it was asked for: as near to the publishing as an engine can come. */
class Stamped {
  readonly type = 'text';
  readonly tokens = 1;
  get text(): string {
    return stamp();
  }
}

/** A prompt as one text, in the order in which a model would read it. */
interface Rendered {
  /** What is the same for every player. */
  readonly prefix: string;
  readonly whole: string;
  readonly tokens: number;
}

interface Run {
  readonly prompt: Prompt;
  readonly options: GenerateOptions;
  readonly signal: AbortSignal;
  readonly ticket: Ticket;
  readonly text: Rendered;
  readonly usage: { -readonly [K in keyof Usage]: Usage[K] };
  said: string;
}

class RecordedEngine implements Engine {
  readonly name = 'recorded';
  readonly model: string;
  readonly continues = 'text';
  readonly constrains = 'json';
  readonly #options: RecordedOptions;
  readonly #pacer = new Pacer();
  readonly #slots: Slots;
  readonly #memory: PrefixMemory;
  /** Prefixes that are being computed, and when they will be there. */
  readonly #prefilling = new Map<string, number>();
  readonly #runs = new Map<Run, Promise<void>>();
  readonly #pins = new Map<string, number>();
  readonly #closing = new AbortController();
  #decodeMsPerToken = 0;

  constructor(options: RecordedOptions) {
    this.#options = options;
    this.model = options.recording.model;
    this.#slots = new Slots(options.concurrency);
    this.#memory = new PrefixMemory(options.sequences, (npc) => this.#isPinned(npc));
  }

  async *generate(prompt: Prompt, options: GenerateOptions, signal: AbortSignal): AsyncGenerator<Chunk> {
    this.#mustBeOpen();
    const { contextTokens } = this.#options;
    const text = render(prompt);
    if (text.tokens >= contextTokens) {
      throw new EngineError(
        'prompt_too_long',
        `The prompt has about ${text.tokens} tokens; a context of ${contextTokens} leaves no room for an answer.`,
      );
    }
    const ticket = new Ticket(this.#pacer);
    const usage = { prompt: text.tokens, cached: 0, completion: 0 };
    const run: Run = { prompt, options, signal, ticket, text, usage, said: '' };
    const stop = () => ticket.hurry();
    signal.addEventListener('abort', stop, { once: true });
    let ended = () => {};
    this.#runs.set(
      run,
      new Promise((resolve) => {
        ended = resolve;
      }),
    );
    let freePlace: (() => void) | undefined;
    try {
      freePlace = await this.#place(signal);
      let reason: 'stop' | 'length' | 'aborted' = 'aborted';
      if (freePlace) {
        usage.cached = await this.#prefill(run);
        if (!signal.aborted) reason = yield* this.#answer(run);
      }
      this.#mustBeOpen();
      yield { type: 'done', reason: signal.aborted ? 'aborted' : reason, usage };
    } finally {
      if (run.said !== '') this.#memory.keep(prompt.npc, text.whole + run.said);
      freePlace?.();
      signal.removeEventListener('abort', stop);
      this.#runs.delete(run);
      ended();
    }
  }

  async warm(prompt: Prompt, signal: AbortSignal): Promise<void> {
    this.#mustBeOpen();
    signal.throwIfAborted();
    const ticket = new Ticket(this.#pacer);
    const stop = () => ticket.hurry();
    signal.addEventListener('abort', stop, { once: true });
    await this.#prefill({ prompt, signal, ticket, text: render(prompt) });
    signal.removeEventListener('abort', stop);
    signal.throwIfAborted();
  }

  pin(npc: string, until: number): void {
    this.#pins.set(npc, until);
  }

  release(npc: string): void {
    this.#pins.delete(npc);
  }

  stats(): EngineStats {
    const { recording, speed } = this.#options;
    return {
      concurrency: this.#slots.size,
      active: this.#slots.taken,
      resident: this.#memory.resident(),
      prefillMsPerToken: speed === 0 ? 0 : recording.prefillMsPerToken / speed,
      decodeMsPerToken: this.#decodeMsPerToken,
      pinned: [...this.#pins.keys()].filter((npc) => this.#isPinned(npc)),
      steps: 0,
    };
  }

  async health(): Promise<void> {
    this.#mustBeOpen();
  }

  async probe(): Promise<void> {
    this.#mustBeOpen();
  }

  async close(): Promise<void> {
    this.#closing.abort(closed());
    for (const run of this.#runs.keys()) run.ticket.hurry();
    await Promise.all(this.#runs.values());
  }

  /** The pieces, each at its time. Returns how the answer ended. */
  async *#answer(run: Run): AsyncGenerator<Chunk, 'stop' | 'length' | 'aborted'> {
    const { speed, recording, firstMs, stamped, endless } = this.#options;
    const { prompt, ticket, usage, signal } = run;
    const { maxTokens, stop = [], temperature, schema } = run.options;
    const seed = this.#options.seed + (temperature > 0 ? (run.options.seed ?? 0) : 0);
    const pieces = script(recording, prompt, { seed, endless, schema });
    const filter = stop.length === 0 ? undefined : new TextStream<string>((cut) => cut.join(''), stop, true);
    const startedAt = performance.now();
    let due = startedAt + (firstMs ?? 0);
    let untold = 0;
    for (;;) {
      const next = pieces.next();
      // A stamp is one token, whatever it stands for: who counts stamps knows how many come.
      const tokens = next.done ? 0 : stamped && !schema ? 1 : next.value[2];
      if (!next.done && usage.completion + tokens <= maxTokens) {
        const [piece, ms] = next.value;
        if (speed > 0 && (firstMs === undefined || usage.completion > 0)) due += ms / speed;
        due = Math.max(due, performance.now() - mostLagMs);
        await ticket.wait(due);
        this.#mustBeOpen();
        if (signal.aborted) return 'aborted';
        usage.completion += tokens;
        untold += tokens;
        run.said += piece;
        const text = filter ? filter.push(piece)?.text : piece;
        if (text) {
          yield stamped && !schema ? new Stamped() : { type: 'text', text, tokens: untold };
          untold = 0;
        }
        if (!filter?.stopped) continue;
      }
      const held = filter?.end()?.text;
      if (held) yield { type: 'text', text: held, tokens: untold };
      if (usage.completion > 0) this.#decoded((performance.now() - startedAt) / usage.completion);
      return filter?.stopped || next.done ? 'stop' : 'length';
    }
  }

  /** A place among those that run; undefined when the caller gave up before there was one. */
  async #place(signal: AbortSignal): Promise<(() => void) | undefined> {
    if (signal.aborted) return undefined;
    // Most find one at once; only who waits pays for a signal that hears of both.
    const either =
      this.#slots.taken < this.#slots.size ? signal : AbortSignal.any([signal, this.#closing.signal]);
    try {
      return await this.#slots.take(either);
    } catch {
      this.#mustBeOpen();
      return undefined;
    }
  }

  /**
   * Waits as long as it takes to compute what is not cached of the persona; who comes meanwhile waits for the same.
   * (What the player said is in the time of the first piece.) Returns the tokens of the prompt that were cached.
   */
  async #prefill({
    prompt: { npc },
    ticket,
    signal,
    text: { prefix, whole, tokens },
  }: Pick<Run, 'prompt' | 'ticket' | 'signal' | 'text'>): Promise<number> {
    const { speed, recording, firstMs } = this.#options;
    const cached = () => Math.floor((tokens * this.#memory.common(npc, whole)) / whole.length);
    const free = speed === 0 || firstMs !== undefined;
    for (;;) {
      const common = this.#memory.common(npc, prefix);
      if (signal.aborted || common === prefix.length) return cached();
      const others = this.#prefilling.get(prefix);
      if (others !== undefined) {
        await ticket.wait(others);
        this.#mustBeOpen();
        continue;
      }
      const before = cached();
      if (!free) {
        const missing = (tokens * (prefix.length - common)) / whole.length;
        const due = performance.now() + (missing * recording.prefillMsPerToken) / speed;
        this.#prefilling.set(prefix, due);
        await ticket.wait(due);
        this.#prefilling.delete(prefix);
        this.#mustBeOpen();
      }
      if (!signal.aborted) this.#memory.keep(npc, prefix);
      return before;
    }
  }

  #decoded(msPerToken: number): void {
    const before = this.#decodeMsPerToken;
    this.#decodeMsPerToken = before === 0 ? msPerToken : before + averaging * (msPerToken - before);
  }

  #isPinned(npc: string): boolean {
    return (this.#pins.get(npc) ?? 0) > Date.now();
  }

  #mustBeOpen(): void {
    if (this.#closing.signal.aborted) throw closed();
  }
}

function render({ system, examples, turns, player, said = '' }: Prompt): Rendered {
  const lines = (list: Prompt['turns']) => list.map((turn) => `${turn.player}\n${turn.npc}\n`).join('');
  const prefix = `${system}\n${lines(examples)}`;
  const whole = `${prefix}${lines(turns)}${player}\n${said}`;
  return { prefix, whole, tokens: estimateTokens(whole) };
}

function closed(): EngineError {
  return new EngineError('unavailable', 'The engine is closed.');
}
