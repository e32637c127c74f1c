// The answers and jobs of a session that have not ended: numbers them, hands each its frames, knows what still waits
// for a connection and what a new one has to ask about. Which connection there is, client.ts knows.

import type { StreamState, Welcome } from '../bus/protocol.ts';
import { errorCodes } from '../runtime/errors.ts';
import type { Incoming, Outgoing, SayMessage } from './codec.ts';
import { type ClosedError, clientError, StreamError } from './errors.ts';
import { RunningJob } from './job.ts';
import { isNewerAct, RunningStream } from './stream.ts';

/** Why a frame was left alone. */
export type IgnoredWhy = 'unknown kind' | 'newer version' | 'malformed';

/** What is needed of the session. */
export interface Edge {
  readonly online: boolean;
  /** Sends if there is a connection; what is lost with it, the next resumes. False: larger than the edge takes. */
  send(message: Outgoing): boolean;
  /** A piece is missing: connect anew. */
  gap(): void;
  ignored(frame: Incoming, why: IgnoredWhy): void;
  /** The edge opened a stream. */
  speech(stream: RunningStream): void;
  firstToken(afterMs: number): void;
}

/** So many streams that the edge opened may run at once; a character has no more to say than a player can hear. */
const maxSpeeches = 64;

export class Streams {
  readonly #edge: Edge;
  /** Those without a terminal frame, lowest number first. */
  readonly #running = new Map<number, RunningStream | RunningJob>();
  readonly #speeches = new Set<RunningStream>();
  #lastS = 0;
  /** The last stream that the edge opened. Their numbers are negative and go down. */
  #lastSpeech: RunningStream | undefined;

  constructor(edge: Edge) {
    this.#edge = edge;
  }

  /** Whether anything is awaited from the edge. */
  get busy(): boolean {
    return this.#running.size > 0;
  }

  ask(words: Omit<SayMessage, 't' | 's'>, signal?: AbortSignal): RunningStream {
    const s = ++this.#lastS;
    const request: SayMessage = { t: 'say', s, ...words };
    const stream = new RunningStream(words.npc, s, request, () => this.#cancel(stream));
    this.#start(stream, stream.end, signal);
    return stream;
  }

  askJob(kind: string, input: unknown, signal?: AbortSignal): RunningJob {
    const s = ++this.#lastS;
    const job = new RunningJob({ t: 'job', s, kind, input }, () => this.#cancelJob(job));
    this.#start(job, job.result, signal);
    return job;
  }

  #start(asked: RunningStream | RunningJob, over: Promise<unknown>, signal: AbortSignal | undefined): void {
    this.#running.set(asked.s, asked);
    if (signal?.aborted) asked.cancel();
    else if (signal) {
      const cancel = () => asked.cancel();
      signal.addEventListener('abort', cancel, { once: true });
      const forget = () => signal.removeEventListener('abort', cancel);
      over.then(forget, forget);
    }
    this.#sendWaiting();
  }

  /** A frame that belongs to stream `s`. Those of streams that are over or unknown are left alone. */
  onFrame(s: number, frame: Incoming): void {
    const stream = this.#running.get(s) ?? (s < 0 ? this.#opened(s, frame) : undefined);
    if (!stream) return;
    const isFirst = stream.n === 0;
    const applied = stream.apply(frame);
    if (isFirst && stream.n > 0 && s > 0 && stream instanceof RunningStream) {
      this.#edge.firstToken(stream.times.first! - stream.times.asked);
    }
    if (applied === 'applied') return;
    if (applied === 'ended') this.#forget(stream);
    else if (applied === 'gap') this.#edge.gap();
    else if (applied === 'overflow') this.#giveUp(stream);
    else this.#edge.ignored(frame, isNewerAct(frame) ? 'newer version' : 'malformed');
  }

  /** The stream that the edge opens with this frame; undefined when it is one that was heard before. */
  #opened(s: number, frame: Incoming): RunningStream | undefined {
    if (s >= (this.#lastSpeech?.s ?? 0) || frame.t !== 'tok') return undefined;
    const { npc } = frame;
    // It cannot be cancelled: others may hear the same words.
    const stream = new RunningStream(typeof npc === 'string' ? npc : '', s, undefined, () => {});
    stream.sent = true;
    this.#lastSpeech = stream;
    this.#running.set(s, stream);
    this.#speeches.add(stream);
    for (const oldest of this.#speeches) {
      if (this.#speeches.size <= maxSpeeches) break;
      this.#giveUp(oldest);
    }
    this.#edge.speech(stream);
    return stream;
  }

  /** What the edge says of the streams that were sent over an earlier connection; sends what waits. */
  onWelcome({ resumed, streams }: Welcome): void {
    // A new session counts the edge's own streams anew.
    if (!resumed) this.#lastSpeech = undefined;
    const states = new Map(streams.map(({ s, state }) => [s, state]));
    for (const stream of this.#all()) if (stream.sent) this.#settle(stream, states.get(stream.s));
    this.#sendWaiting();
  }

  #settle(stream: RunningStream | RunningJob, state: StreamState['state'] | undefined): void {
    if (state === 'unknown' && stream.request) {
      stream.sent = false;
      if (stream.cancelled && stream instanceof RunningStream) this.#cancel(stream);
    } else if (state === 'resumed' || state === 'ended') {
      if (stream.cancelled && stream.s > 0) this.#edge.send({ t: 'cancel', s: stream.s });
    } else {
      this.#forget(stream);
      const { message } = errorCodes.lost;
      stream.fail(new StreamError(stream.s, { code: 'lost', message, partial: stream.n > 0 }));
    }
  }

  /** What a new connection names, to go on with it. */
  toResume(): { s: number; n: number }[] {
    const streams = this.#all().filter(({ sent }) => sent);
    // Named also when it has ended: what the edge opened after it is news.
    const last = this.#lastSpeech;
    if (last && !streams.includes(last)) streams.push(last);
    return streams.map(({ s, n }) => ({ s, n }));
  }

  failAll(error: ClosedError): void {
    for (const stream of this.#all()) {
      this.#forget(stream);
      stream.fail(error);
    }
  }

  #all(): (RunningStream | RunningJob)[] {
    return [...this.#running.values()];
  }

  #forget(stream: RunningStream | RunningJob): void {
    this.#running.delete(stream.s);
    if (stream instanceof RunningStream) this.#speeches.delete(stream);
  }

  /** Sends what waits for a connection, lowest number first, as the map has them. */
  #sendWaiting(): void {
    for (const stream of this.#running.values()) {
      if (stream.sent || !stream.request) continue;
      if (!this.#edge.online) return;
      stream.sent = true;
      if (this.#edge.send(stream.request)) continue;
      this.#forget(stream);
      stream.fail(clientError(stream.s, 'too_large'));
    }
  }

  #cancel(stream: RunningStream): void {
    if (stream.sent) {
      this.#edge.send({ t: 'cancel', s: stream.s });
      return;
    }
    // The edge has never heard of it, so it ends here.
    this.#forget(stream);
    stream.finish({ reason: 'cancelled' });
  }

  #cancelJob(job: RunningJob): void {
    this.#forget(job);
    if (job.sent) this.#edge.send({ t: 'cancel', s: job.s });
  }

  #giveUp(stream: RunningStream | RunningJob): void {
    this.#forget(stream);
    if (stream.s > 0) this.#edge.send({ t: 'cancel', s: stream.s });
    stream.fail(clientError(stream.s, 'overflow', true));
  }
}
