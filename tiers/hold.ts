// The streams of a worker that somebody may still ask for: all that run, and those that ended less than a minute
// ago, bounded in bytes and in number. What ended first goes first.

import type { OutgoingStream } from './outgoing-stream.ts';

interface Held {
  readonly key: string;
  readonly stream: OutgoingStream;
  /** Monotonic ms of the end; undefined while it runs. */
  endedAt?: number;
}

export class Hold {
  private readonly streams = new Map<string, Held>();
  /** In the order in which they ended: a Map keeps it. */
  private readonly ended = new Map<string, Held>();
  private endedBytes = 0;
  private readonly holdMs: number;
  private readonly holdBytes: number;
  private readonly holdStreams: number;

  constructor({
    holdMs,
    holdBytes,
    holdStreams,
  }: { holdMs: number; holdBytes: number; holdStreams: number }) {
    this.holdMs = holdMs;
    this.holdBytes = holdBytes;
    this.holdStreams = holdStreams;
  }

  /** One stream has one key, whichever try it is. */
  static key(session: string, s: number): string {
    return `${session} ${s}`;
  }

  get(key: string): OutgoingStream | undefined {
    return this.streams.get(key)?.stream;
  }

  /** Keeps a stream that begins; one of an earlier try under the same key is forgotten. */
  add(key: string, stream: OutgoingStream): void {
    this.remove(key);
    this.streams.set(key, { key, stream });
  }

  /** From now on the stream may go when its time is over or room is needed. */
  finished(key: string, stream: OutgoingStream): void {
    const held = this.streams.get(key);
    if (held?.stream !== stream || held.endedAt !== undefined) return;
    held.endedAt = performance.now();
    this.ended.set(key, held);
    this.endedBytes += stream.bytes;
    this.sweep();
  }

  /** Lets go of what is too old or too much. */
  sweep(): void {
    const oldest = performance.now() - this.holdMs;
    for (const held of this.ended.values()) {
      const few = this.endedBytes <= this.holdBytes && this.ended.size <= this.holdStreams;
      if (held.endedAt! > oldest && few) return;
      this.remove(held.key);
    }
  }

  get size(): number {
    return this.streams.size;
  }

  get bytes(): number {
    return this.endedBytes;
  }

  private remove(key: string): void {
    const held = this.streams.get(key);
    if (!held) return;
    this.streams.delete(key);
    if (this.ended.delete(key)) this.endedBytes -= held.stream.bytes;
  }
}
