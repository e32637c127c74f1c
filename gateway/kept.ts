// What the gateway keeps of a running stream: the frames as they came, undecoded, bounded in bytes. Only off the hot
// path are they ever read: for a socket that was slow or lost, and for another worker that has to go on.

import { decode, encodingOf } from '../bus/codec.ts';
import { readKept, type Segments } from '../bus/envelopes.ts';
import { frameBody, frameFirst, frameKind, frameKinds, frameLast } from '../bus/frames.ts';
import type { Act, Tok } from '../bus/protocol.ts';

/** Before each frame stands its length. */
const lengthBytes = 4;
const firstCapacity = 1_024;
const nothing = Buffer.alloc(0);

export class Kept {
  // Frames lie one behind the other in one buffer. The copy costs less than what an array of them would cost the
  // garbage collector, and does not hold on to the chunks of the network that they came in.
  private buffer: Buffer = nothing;
  private used = 0;
  private overflowed = false;

  /** Keeps a frame; past the bound everything is let go, and the stream can only be had from its worker. */
  add(frame: Uint8Array, maxBytes: number): void {
    if (this.overflowed) return;
    const end = this.used + lengthBytes + frame.length;
    if (end > this.buffer.length) {
      if (end > maxBytes) {
        this.overflowed = true;
        this.clear();
        return;
      }
      this.grow(end, maxBytes);
    }
    this.buffer.writeUInt32BE(frame.length, this.used);
    this.buffer.set(frame, this.used + lengthBytes);
    this.used = end;
  }

  clear(): void {
    this.buffer = nothing;
    this.used = 0;
  }

  get size(): number {
    return this.used;
  }

  /** Everything from piece 1 to `last`, or undefined when it is not all here. */
  segments(last: number): Segments | undefined {
    if (this.overflowed) return undefined;
    const segments: Segments = [];
    let at = 0;
    for (const frame of this.frames()) {
      if (frameLast(frame) <= at) continue;
      if (frameFirst(frame) !== at + 1) return undefined;
      at = frameLast(frame);
      segments.push(...segmentsOf(frame));
    }
    return at === last ? segments : undefined;
  }

  private grow(needed: number, maxBytes: number): void {
    const capacity = Math.min(maxBytes, Math.max(needed, firstCapacity, this.buffer.length * 2));
    const larger = Buffer.allocUnsafeSlow(capacity);
    this.buffer.copy(larger, 0, 0, this.used);
    this.buffer = larger;
  }

  private *frames(): Generator<Uint8Array> {
    for (let at = 0; at < this.used; ) {
      const from = at + lengthBytes;
      at = from + this.buffer.readUInt32BE(at);
      yield this.buffer.subarray(from, at);
    }
  }

  /**
   * The messages after piece `n` until `last`, neighbouring text merged into one `tok`, each act alone; undefined when
   * they are not all here or no frame begins after `n`.
   */
  messages(s: number, n: number, last: number): (Tok | Act)[] | undefined {
    const segments = this.segments(last);
    if (!segments) return undefined;
    const messages: (Tok | Act)[] = [];
    let at = 0;
    for (const segment of segments) {
      const first = at + 1;
      at = segment.last;
      if (at <= n) continue;
      if (first <= n) return undefined;
      const before = messages.at(-1);
      if ('act' in segment) messages.push({ t: 'act', s, n: at, ...segment.act });
      else if (before?.t === 'tok') {
        before.f ??= before.n;
        before.n = at;
        before.d += segment.d;
      } else
        messages.push(
          first === at
            ? { t: 'tok', s, n: at, d: segment.d }
            : { t: 'tok', s, f: first, n: at, d: segment.d },
        );
    }
    return messages;
  }
}

/** The text of segments, as it was said. */
export function textOf(segments: Segments): string {
  return segments.map((segment) => ('d' in segment ? segment.d : '')).join('');
}

function segmentsOf(frame: Uint8Array): Segments {
  const body = frameBody(frame);
  if (frameKind(frame) === frameKinds.kept) return readKept(body).segments;
  const message = decode(body, encodingOf(body)) as unknown as Tok | Act;
  if (message.t === 'tok') return [{ last: message.n, d: message.d }];
  const { name, args, ttlMs } = message;
  return [{ last: message.n, act: { name, args, ttlMs } }];
}
