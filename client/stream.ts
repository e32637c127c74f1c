// One answer of a character. The public face is `Stream`; `RunningStream` is the same object with the side that
// client.ts feeds. Holds the rule that nothing is shown twice or out of order; asks for nothing by itself.

import type { Act, End, Err, Tok } from '../bus/protocol.ts';
import { Emitter } from './emitter.ts';
import type { ClosedError } from './errors.ts';
import { StreamError } from './errors.ts';

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
  /** How it ended. Rejects with StreamError, or with ClosedError when the connection closed for good. */
  readonly end: Promise<End>;
  /** Milliseconds by `performance.now()`, as this client saw them. */
  readonly times: { readonly asked: number; readonly first?: number; readonly ended?: number };
  /** Stops it. Harmless when it has ended. It still ends as every stream does, as a rule with reason `cancelled`. */
  cancel(): void;
  on<K extends keyof StreamEvents>(event: K, listener: (value: StreamEvents[K]) => void): () => void;
}

/** What a frame did: it was used (or had been before), it was the last, or something before it is missing. */
export type Applied = 'applied' | 'ended' | 'gap';

export class RunningStream extends Emitter<StreamEvents> implements Stream {
  readonly npc: string;
  readonly s: number;
  readonly times: { asked: number; first?: number; ended?: number } = { asked: performance.now() };
  readonly end: Promise<End>;
  /** The last piece that was applied. */
  n = 0;
  /** Whether the request is on its way or there; otherwise it goes out with the next `welcome`. */
  sent = false;
  cancelled = false;

  readonly #pieces: string[] = [];
  readonly #onCancel: (stream: RunningStream) => void;
  #over = false;
  #resolve!: (end: End) => void;
  #reject!: (error: Error) => void;
  /** Wakes the loops that wait for the next words. */
  #wake: () => void = () => {};
  #next: Promise<void> = Promise.resolve();

  constructor(npc: string, s: number, onCancel: (stream: RunningStream) => void) {
    super();
    this.npc = npc;
    this.s = s;
    this.#onCancel = onCancel;
    this.end = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    // Who only iterates or listens hears of the error there.
    this.end.catch(() => {});
    this.#renew();
  }

  get text(): string {
    return this.#pieces.join('');
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
        else await this.#next;
      }
    } finally {
      this.cancel();
    }
    await this.end;
  }

  /** Takes a frame of this stream as the protocol says: in order, once, and nothing after the end. */
  apply(frame: Tok | Act | End | Err): Applied {
    if (this.#over) return 'ended';
    if (frame.t === 'err') {
      this.fail(new StreamError(this.s, frame));
      return 'ended';
    }
    if (frame.t === 'end') {
      if (frame.n > this.n) return 'gap';
      this.finish(frame);
      return 'ended';
    }
    const first = frame.t === 'tok' ? (frame.f ?? frame.n) : frame.n;
    if (frame.n <= this.n) return 'applied';
    if (first !== this.n + 1) return 'gap';
    this.n = frame.n;
    this.times.first ??= performance.now();
    if (frame.t === 'act') {
      this.emit('act', frame);
    } else {
      this.#pieces.push(frame.d);
      this.emit('text', frame.d);
      this.#wakeAll();
    }
    return 'applied';
  }

  finish(end: End): void {
    if (!this.#close()) return;
    this.#resolve(end);
    this.emit('end', end);
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
    this.#wake();
    this.#renew();
  }

  #renew(): void {
    this.#next = new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}
