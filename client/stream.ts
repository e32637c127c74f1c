// One answer of a character. The public face is `Stream`; `RunningStream` is the same object with the side that
// streams.ts feeds. Holds the rule that nothing is shown twice or out of order; asks for nothing by itself.

import type { Act, actVersion, End } from '../bus/protocol.ts';
import { type Incoming, isMap, type SayMessage } from './codec.ts';
import { Emitter } from './emitter.ts';
import { type ClosedError, errOf, StreamError } from './errors.ts';

export interface StreamEvents {
  /** The next words. */
  text: string;
  /** The character does something. */
  act: Act;
  end: End;
  error: StreamError | ClosedError;
}

/**
 * An answer as it comes. Iterate it for the words, `for await (const words of stream)`, or listen to its events; leaving the
 * loop early cancels the answer. It goes on over a lost connection by itself.
 */
export interface Stream extends AsyncIterable<string> {
  readonly npc: string;
  /** The stream's number. */
  readonly s: number;
  /** All words until now. */
  readonly text: string;
  /** All that the character did until now. */
  readonly acts: readonly Act[];
  /** How it ended. Rejects with StreamError, or with ClosedError when the connection closed for good. */
  readonly end: Promise<End>;
  /** Milliseconds by `performance.now()`, as this client saw them. */
  readonly times: { readonly asked: number; readonly first?: number; readonly ended?: number };
  /** Stops it. Harmless when it has ended. It still ends as every stream does, as a rule with reason `cancelled`. */
  cancel(): void;
  on<K extends keyof StreamEvents>(event: K, listener: (value: StreamEvents[K]) => void): () => void;
  once<K extends keyof StreamEvents>(event: K, listener: (value: StreamEvents[K]) => void): () => void;
  off<K extends keyof StreamEvents>(event: K, listener: (value: StreamEvents[K]) => void): void;
}

/**
 * What a frame did: it was used (or had been before); it was the last; something before it is missing; it is not what
 * the protocol says, and left alone; or there is no room for it.
 */
export type Applied = 'applied' | 'ended' | 'gap' | 'ignored' | 'overflow';

/** Characters that are held of one answer; each piece and each act counts for some more. */
const maxHeld = 1_048_576;
const pieceCosts = 8;
const actCosts = 1_024;

const newestAct: typeof actVersion = 1;

export class RunningStream extends Emitter<StreamEvents> implements Stream {
  readonly npc: string;
  readonly s: number;
  /** What asks for it; nothing where the edge opened it. */
  readonly request: SayMessage | undefined;
  readonly times: { asked: number; first?: number; ended?: number } = { asked: performance.now() };
  readonly end: Promise<End>;
  readonly acts: Act[] = [];
  text = '';
  /** The last piece that was applied. */
  n = 0;
  /** Whether the request is on its way or there; otherwise it goes out with the next `welcome`. */
  sent = false;
  cancelled = false;

  readonly #pieces: string[] = [];
  readonly #onCancel: (stream: RunningStream) => void;
  #held = 0;
  #over = false;
  #resolve!: (end: End) => void;
  #reject!: (error: Error) => void;
  /** The loops that wait for the next words. */
  #waiting: (() => void)[] | undefined;

  constructor(
    npc: string,
    s: number,
    request: SayMessage | undefined,
    onCancel: (stream: RunningStream) => void,
  ) {
    super();
    this.npc = npc;
    this.s = s;
    this.request = request;
    this.#onCancel = onCancel;
    this.end = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    // Who only iterates or listens hears of the error there.
    this.end.catch(() => {});
  }

  cancel(): void {
    if (this.#over || this.cancelled) return;
    this.cancelled = true;
    this.#onCancel(this);
  }

  async *[Symbol.asyncIterator](): AsyncIterator<string> {
    let at = 0;
    try {
      for (;;) {
        if (at < this.#pieces.length) yield this.#pieces[at++]!;
        else if (this.#over) break;
        else {
          await new Promise<void>((resolve) => {
            this.#waiting ??= [];
            this.#waiting.push(resolve);
          });
        }
      }
    } finally {
      this.cancel();
    }
    await this.end;
  }

  /** Takes a frame of this stream as the protocol says: in order, once, and nothing after the end. */
  apply(frame: Incoming): Applied {
    if (this.#over) return 'ended';
    if (frame.t === 'err') {
      this.fail(new StreamError(this.s, errOf(frame)));
      return 'ended';
    }
    const { n, d } = frame;
    if (typeof n !== 'number' || (frame.t === 'tok' && typeof d !== 'string')) return 'ignored';
    if (frame.t === 'end') {
      if (n > this.n) return 'gap';
      this.finish(frame as Partial<End>);
      return 'ended';
    }
    if (n <= this.n) return 'applied';
    const first = frame.t === 'tok' ? (frame.f ?? n) : n;
    if (first !== this.n + 1) return 'gap';
    this.n = n;
    this.times.first ??= performance.now();
    if (frame.t === 'tok') {
      const words = d as string;
      this.#held += words.length + pieceCosts;
      if (this.#held > maxHeld) return 'overflow';
      this.#pieces.push(words);
      this.text += words;
      this.emit('text', words);
      this.#wakeAll();
    } else {
      if (!isAct(frame)) return 'ignored';
      this.#held += actCosts;
      if (this.#held > maxHeld) return 'overflow';
      this.acts.push(frame);
      this.emit('act', frame);
    }
    return 'applied';
  }

  /** `end` may be less than whole; what is missing counts as nothing. */
  finish(end: Partial<End>): void {
    if (!this.#close()) return;
    const whole = { ...nothing, s: this.s, n: this.n, ...end };
    this.#resolve(whole);
    this.emit('end', whole);
  }

  fail(error: StreamError | ClosedError): void {
    if (!this.#close()) return;
    this.#reject(error);
    this.emit('error', error);
  }

  #close(): boolean {
    if (this.#over) return false;
    this.#over = true;
    this.times.ended = performance.now();
    this.#wakeAll();
    return true;
  }

  #wakeAll(): void {
    const waiting = this.#waiting;
    if (!waiting) return;
    this.#waiting = undefined;
    for (const wake of waiting) wake();
  }
}

const nothing: Omit<End, 's' | 'n'> = {
  t: 'end',
  reason: 'stop',
  tier: 'none',
  source: 'live',
  attempts: 0,
  model: '',
  usage: { prompt: 0, cached: 0, completion: 0 },
  timings: { queueMs: 0, firstMs: 0, totalMs: 0 },
};

/** Whether it is an act of a form that is known here, with all that belongs to it. */
function isAct(frame: Incoming): frame is Incoming & Act {
  const { v = newestAct, name, args, ttlMs, g = 0, confidence = 0 } = frame;
  return (
    v === newestAct &&
    typeof name === 'string' &&
    isMap(args) &&
    typeof ttlMs === 'number' &&
    ttlMs >= 0 &&
    typeof g === 'number' &&
    typeof confidence === 'number'
  );
}

/** Whether it is an act of a form that will be known to a later client. */
export function isNewerAct({ t, v }: Incoming): boolean {
  return t === 'act' && typeof v === 'number' && v > newestAct;
}
