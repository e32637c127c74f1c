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
import { type Recording, readRecording } from './recording.ts';
import { script } from './script.ts';
import { stamp } from './stamp.ts';

export interface RecordedOptions {
  readonly recording: Recording;
  /** 1: as it was recorded. 2: twice as fast. 0: as fast as the readers take it. */
  readonly speed: number;
  /** Another seed, other answers to the same prompts. */
  readonly seed: number;
  /** Streams that run at once. */
  readonly concurrency: number;
  readonly contextTokens: number;
  /** Characters whose prefix counts as cached, the one used longest ago leaves first. */
  readonly residents: number;
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
  contextTokens: 2_048,
  residents: 8,
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

interface Run {
  readonly ticket: Ticket;
  readonly usage: { -readonly [K in keyof Usage]: Usage[K] };
}

class RecordedEngine implements Engine {
  readonly name = 'recorded';
  readonly model: string;
  readonly continues = 'text';
  readonly #options: RecordedOptions;
  readonly #pacer = new Pacer();
  readonly #slots: Slots;
  readonly #runs = new Map<Run, Promise<void>>();
  /** Used last, last. */
  readonly #resident = new Set<string>();
  readonly #pins = new Map<string, number>();
  readonly #closing = new AbortController();
  #decodeMsPerToken = 0;

  constructor(options: RecordedOptions) {
    this.#options = options;
    this.model = options.recording.model;
    this.#slots = new Slots(options.concurrency);
  }

  async *generate(prompt: Prompt, options: GenerateOptions, signal: AbortSignal): AsyncGenerator<Chunk> {
    this.#mustBeOpen();
    const { prefix, rest } = this.#measure(prompt);
    const run: Run = {
      ticket: new Ticket(this.#pacer),
      usage: { prompt: prefix + rest, cached: 0, completion: 0 },
    };
    const { ticket, usage } = run;
    const stop = () => ticket.hurry();
    signal.addEventListener('abort', stop, { once: true });
    let ended = () => {};
    this.#runs.set(run, new Promise((resolve) => (ended = resolve)));
    let freePlace: (() => void) | undefined;
    try {
      freePlace = await this.#place(signal);
      if (!freePlace) return yield { type: 'done', reason: 'aborted', usage };
      usage.cached = this.#resident.has(prompt.npc) ? prefix : 0;
      await ticket.wait(performance.now() + this.#prefillMs(prefix - usage.cached));
      if (!signal.aborted) this.#use(prompt.npc);
      let reason: 'stop' | 'length' | 'aborted' = 'aborted';
      if (!signal.aborted) reason = yield* this.#answer(run, prompt, options, signal);
      this.#mustBeOpen();
      yield { type: 'done', reason: signal.aborted ? 'aborted' : reason, usage };
    } finally {
      freePlace?.();
      signal.removeEventListener('abort', stop);
      this.#runs.delete(run);
      ended();
    }
  }

  async warm(prompt: Prompt, signal: AbortSignal): Promise<void> {
    this.#mustBeOpen();
    signal.throwIfAborted();
    if (this.#resident.has(prompt.npc)) return;
    const ticket = new Ticket(this.#pacer);
    const stop = () => ticket.hurry();
    signal.addEventListener('abort', stop, { once: true });
    await ticket.wait(performance.now() + this.#prefillMs(this.#measure(prompt).prefix));
    signal.removeEventListener('abort', stop);
    signal.throwIfAborted();
    this.#use(prompt.npc);
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
      resident: [...this.#resident],
      prefillMsPerToken: speed === 0 ? 0 : recording.prefillMsPerToken / speed,
      decodeMsPerToken: this.#decodeMsPerToken,
      pinned: [...this.#pins.keys()].filter((npc) => this.#isPinned(npc)),
    };
  }

  async health(): Promise<void> {
    this.#mustBeOpen();
  }

  async close(): Promise<void> {
    this.#closing.abort(closed());
    for (const run of this.#runs.keys()) run.ticket.hurry();
    await Promise.all(this.#runs.values());
  }

  /** The pieces, each at its time. Returns how the answer ended. */
  async *#answer(
    run: Run,
    prompt: Prompt,
    { maxTokens, stop = [] }: GenerateOptions,
    signal: AbortSignal,
  ): AsyncGenerator<Chunk, 'stop' | 'length' | 'aborted'> {
    const { speed, recording, firstMs, stamped } = this.#options;
    const { ticket, usage } = run;
    const pieces = script(recording, prompt, this.#options);
    const filter = stop.length === 0 ? undefined : new TextStream<string>((cut) => cut.join(''), stop, true);
    const startedAt = performance.now();
    let due = startedAt + (firstMs ?? 0);
    let untold = 0;
    for (;;) {
      const next = pieces.next();
      if (!next.done && usage.completion + next.value[2] <= maxTokens) {
        const [piece, ms, tokens] = next.value;
        if (speed > 0 && (firstMs === undefined || usage.completion > 0)) due += ms / speed;
        due = Math.max(due, performance.now() - mostLagMs);
        await ticket.wait(due);
        this.#mustBeOpen();
        if (signal.aborted) return 'aborted';
        usage.completion += tokens;
        untold += tokens;
        const text = filter ? filter.push(piece)?.text : piece;
        if (text) {
          yield stamped ? new Stamped() : { type: 'text', text, tokens: untold };
          untold = 0;
        }
        if (!filter?.stopped) continue;
      }
      const held = filter?.end()?.text;
      if (held) yield { type: 'text', text: held, tokens: untold };
      if (usage.completion > 0) this.#decoded((performance.now() - startedAt) / usage.completion);
      return filter?.stopped ? 'stop' : next.done ? next.value : 'length';
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

  #measure(prompt: Prompt): { prefix: number; rest: number } {
    const { contextTokens } = this.#options;
    const turns = (list: Prompt['turns']) => list.map((t) => `${t.player}\n${t.npc}\n`).join('');
    const prefix = estimateTokens(prompt.system + turns(prompt.examples));
    const rest = estimateTokens(turns(prompt.turns) + prompt.player + (prompt.said ?? ''));
    if (prefix + rest >= contextTokens) {
      throw new EngineError(
        'prompt_too_long',
        `The prompt has about ${prefix + rest} tokens; a context of ${contextTokens} leaves no room for an answer.`,
      );
    }
    return { prefix, rest };
  }

  #prefillMs(tokens: number): number {
    const { speed, recording, firstMs } = this.#options;
    return speed === 0 || firstMs !== undefined ? 0 : (tokens * recording.prefillMsPerToken) / speed;
  }

  #use(npc: string): void {
    this.#resident.delete(npc);
    this.#resident.add(npc);
    for (const oldest of this.#resident) {
      if (this.#resident.size <= this.#options.residents) return;
      if (!this.#isPinned(oldest) && oldest !== npc) this.#resident.delete(oldest);
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

function closed(): EngineError {
  return new EngineError('unavailable', 'The engine is closed.');
}
