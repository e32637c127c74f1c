// What the gateway keeps of a running stream: the frames as they came, undecoded, bounded in bytes. Only off the hot
// path are they ever read: for a socket that was slow or lost, and for another worker that has to go on.

import { decode, encodingOf } from '../bus/codec.ts';
import { readKept, type Segments } from '../bus/envelopes.ts';
import { frameBody, frameFirst, frameKind, frameKinds, frameLast } from '../bus/frames.ts';
import type { Act, Tok } from '../bus/protocol.ts';
import { ParleyError } from '../runtime/errors.ts';
import { givePage, pageBytes, takePage } from './pages.ts';

/** Before each frame stands its length. */
const lengthBytes = 4;

/**
 * Frames are copied one after the other into pages, and no object is left of them: a frame as it came is a view of a
 * whole read from NATS, which it would keep in memory, and thousands of views that live as long as an answer are work
 * for the garbage collector.
 */
export class Kept {
  private readonly pages: { bytes: Buffer; used: number }[] = [];
  private bytes = 0;
  private overflowed = false;

  /** Keeps a frame; past the bound everything is let go, and the stream can only be had from its worker. */
  add(frame: Uint8Array, maxBytes: number): void {
    if (this.overflowed) return;
    this.bytes += frame.length;
    if (this.bytes > maxBytes) {
      this.overflowed = true;
      this.clear();
      return;
    }
    const needed = lengthBytes + frame.length;
    let page = this.pages.at(-1);
    if (!page || page.bytes.length - page.used < needed) {
      page = { bytes: needed > pageBytes ? Buffer.allocUnsafeSlow(needed) : takePage(), used: 0 };
      this.pages.push(page);
    }
    page.bytes.writeUInt32LE(frame.length, page.used);
    page.bytes.set(frame, page.used + lengthBytes);
    page.used += needed;
  }

  clear(): void {
    for (const { bytes } of this.pages) givePage(bytes);
    this.pages.length = 0;
    this.bytes = 0;
  }

  get size(): number {
    return this.bytes;
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
      const more = segmentsOf(frame);
      if (!more) return undefined;
      segments.push(...more);
    }
    return at === last ? segments : undefined;
  }

  /** Each is only valid until `clear`. */
  private *frames(): Generator<Uint8Array> {
    for (const { bytes, used } of this.pages) {
      for (let at = 0; at < used; ) {
        const start = at + lengthBytes;
        at = start + bytes.readUInt32LE(at);
        yield bytes.subarray(start, at);
      }
    }
  }

  /** Whether an act after piece `n` stands here as a worker remembers it, and not as it was decided (act-authority.ts). */
  private undecided(n: number): boolean {
    for (const frame of this.frames()) {
      if (frameKind(frame) !== frameKinds.kept || frameLast(frame) <= n) continue;
      if (segmentsOf(frame)?.some((segment) => 'act' in segment && segment.last > n)) return true;
    }
    return false;
  }

  /**
   * The messages after piece `n` until `last`, neighbouring text merged into one `tok`, each act alone; undefined when
   * they are not all here, no frame begins after `n`, or an act among them has to be decided again.
   */
  messages(s: number, n: number, last: number): (Tok | Act)[] | undefined {
    const segments = this.segments(last);
    if (!segments || this.undecided(n)) return undefined;
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

/** Undefined for a frame that says something else than its prefix, or nothing. By hand: a fail-over reads thousands. */
function segmentsOf(frame: Uint8Array): Segments | undefined {
  const body = frameBody(frame);
  try {
    if (frameKind(frame) === frameKinds.kept) return readKept(body).segments;
    const message = decode(body, encodingOf(body)) as unknown as Tok | Act;
    const last = message.n;
    if (last !== frameLast(frame)) return undefined;
    if (message.t === 'tok') return typeof message.d === 'string' ? [{ last, d: message.d }] : undefined;
    const { t, s: _s, n: _n, ...act } = message;
    const isAct = t === 'act' && typeof act.name === 'string' && typeof act.ttlMs === 'number';
    if (!isAct || typeof act.args !== 'object' || act.args === null) return undefined;
    return [{ last, act }];
  } catch (error) {
    if (error instanceof ParleyError) return undefined;
    throw error;
  }
}
