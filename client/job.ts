// A long job, as the story of a quest: asked for once, heard of now and then, done some time. The public face is `Job`;
// `RunningJob` is the same object with the side that streams.ts feeds. It goes on over a lost connection.

import type { Incoming, JobMessage } from './codec.ts';
import { Emitter } from './emitter.ts';
import { type ClosedError, clientError, errOf, StreamError } from './errors.ts';
import type { Applied } from './stream.ts';

/** Whatever the service tells of its progress. */
export interface JobProgress {
  /** How much is done, from 0 to 1, where the service knows. */
  readonly progress?: number;
  readonly [field: string]: unknown;
}

export interface JobEvents {
  progress: JobProgress;
  result: unknown;
  error: StreamError | ClosedError;
}

export interface Job {
  readonly kind: string;
  /** The job's number, in the same count as the streams. */
  readonly s: number;
  /** What came of it. Rejects with StreamError (`not_available` where no service runs) or ClosedError. */
  readonly result: Promise<unknown>;
  /** Gives it up: `result` rejects with the code `cancelled`. Harmless when it is done. */
  cancel(): void;
  on<K extends keyof JobEvents>(event: K, listener: (value: JobEvents[K]) => void): () => void;
  once<K extends keyof JobEvents>(event: K, listener: (value: JobEvents[K]) => void): () => void;
  off<K extends keyof JobEvents>(event: K, listener: (value: JobEvents[K]) => void): void;
}

export class RunningJob extends Emitter<JobEvents> implements Job {
  readonly kind: string;
  readonly s: number;
  readonly request: JobMessage;
  readonly result: Promise<unknown>;
  /** No piece of a job is numbered. */
  readonly n = 0;
  sent = false;
  cancelled = false;

  readonly #onCancel: (job: RunningJob) => void;
  #over = false;
  #resolve!: (result: unknown) => void;
  #reject!: (error: Error) => void;

  constructor(request: JobMessage, onCancel: (job: RunningJob) => void) {
    super();
    this.kind = request.kind;
    this.s = request.s;
    this.request = request;
    this.#onCancel = onCancel;
    this.result = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    // Who only listens hears of the error there.
    this.result.catch(() => {});
  }

  cancel(): void {
    if (this.#over) return;
    this.cancelled = true;
    this.#onCancel(this);
    this.fail(clientError(this.s, 'cancelled'));
  }

  apply(frame: Incoming): Applied {
    if (this.#over) return 'ended';
    if (frame.t === 'err') {
      this.fail(new StreamError(this.s, errOf(frame)));
      return 'ended';
    }
    if (frame.t !== 'job') return 'ignored';
    const { t, s, ...fields } = frame;
    if (!('result' in fields)) {
      this.emit('progress', fields);
      return 'applied';
    }
    this.#over = true;
    this.#resolve(fields.result);
    this.emit('result', fields.result);
    return 'ended';
  }

  fail(error: StreamError | ClosedError): void {
    if (this.#over) return;
    this.#over = true;
    this.#reject(error);
    this.emit('error', error);
  }
}
