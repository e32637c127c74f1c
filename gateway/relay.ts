// Frames on the way back, by one wildcard subscription: finds the stream by the subject, checks the prefix, keeps
// the frame and hands the rest of the bytes to the socket. This runs once a token for every player; nothing is
// decoded here. Only acts go another way: they wait until act-authority.ts has decided, and what comes after them too.

import type { Msg, NatsConnection } from '@nats-io/nats-core';
import { encode } from '../bus/codec.ts';
import {
  type FrameKind,
  frameAttempt,
  frameBody,
  frameFirst,
  frameKind,
  frameKinds,
  frameLast,
  isFrame,
  writeFrame,
} from '../bus/frames.ts';
import type { Act, Intent, Tok } from '../bus/protocol.ts';
import type { Subjects } from '../bus/subjects.ts';
import type { Log } from '../runtime/log.ts';
import type { RelayCounts } from '../runtime/metrics.ts';
import type { ActAuthority } from './act-authority.ts';
import { deliverPiece } from './delivery.ts';
import type { Asking, Stream } from './stream.ts';

/** Everything that is not "send these bytes": what placement.ts decides about. */
export interface StreamEvents {
  accepted(stream: Stream, body: Uint8Array): void;
  /** The first piece is about to be sent. */
  firstPiece(stream: Stream): void;
  /** The worker's terminal frame, `end` or `err`. */
  terminal(stream: Stream, kind: 'end' | 'err', body: Uint8Array): void;
  /** Nobody listens on the subject that the last command went to. */
  noResponders(stream: Stream): void;
  /** Pieces are missing before this frame, which was dropped. */
  gap(stream: Stream): void;
  /** A worker accepted a try that was given up, or that this gateway never made. */
  acceptedTooLate(subject: string, body: Uint8Array): void;
}

interface Piece {
  readonly first: number;
  readonly last: number;
}

const noBytes = new Uint8Array();

export class Relay {
  private readonly streams = new Map<string, Stream>();
  private readonly events: StreamEvents;
  private readonly authority: ActAuthority;
  private readonly counts: RelayCounts;
  private readonly log: Log;
  private readonly maxKeptBytes: number;

  constructor({
    connection,
    subjects,
    gateway,
    events,
    authority,
    counts,
    log,
    maxKeptBytes,
  }: {
    connection: NatsConnection;
    subjects: Subjects;
    gateway: string;
    events: StreamEvents;
    authority: ActAuthority;
    counts: RelayCounts;
    log: Log;
    /** Bound of what is kept of one stream. */
    maxKeptBytes: number;
  }) {
    this.events = events;
    this.authority = authority;
    this.counts = counts;
    this.log = log;
    this.maxKeptBytes = maxKeptBytes;
    connection.subscribe(subjects.outAll(gateway), {
      callback: (error, message) => {
        if (error) return this.log.error({ err: error }, 'cannot listen for frames');
        this.onFrame(message);
      },
    });
  }

  /** From now on frames on the stream's subject are its frames. */
  listen(stream: Stream): void {
    this.streams.set(stream.subject, stream);
  }

  /** Frames on that subject are stale from now on. */
  forget(subject: string): void {
    this.streams.delete(subject);
  }

  private onFrame(message: Msg): void {
    const frame = message.data;
    const stream = this.streams.get(message.subject);
    if (!stream) {
      this.counts.stale++;
      if (isFrame(frame) && frameKind(frame) === frameKinds.accepted) {
        this.events.acceptedTooLate(message.subject, frameBody(frame));
      }
      return;
    }
    if (frame.length === 0) {
      if (message.headers?.code === 503) this.events.noResponders(stream);
      return;
    }
    if (!isFrame(frame)) return this.log.warn({ subject: message.subject }, 'bytes that are no frame');
    this.onStreamFrame(stream, frame);
  }

  private onStreamFrame(stream: Stream, frame: Uint8Array): void {
    if (frameAttempt(frame) !== stream.attempt) {
      this.counts.stale++;
      return;
    }
    const kind = frameKind(frame);
    if (kind === frameKinds.tok || kind === frameKinds.act) return this.onPiece(stream, frame, kind);
    if (kind === frameKinds.accepted) return this.events.accepted(stream, frameBody(frame));
    if (kind === frameKinds.kept) return stream.kept.add(frame, this.maxKeptBytes);
    // An answer to attach that refuses it has no pieces; any other end comes again after the attach.
    if (stream.state === 'attaching' && (kind === frameKinds.end || frameLast(frame) > 0)) return;
    // The terminal frame names the last piece: if one is missing, the end waits until it is there.
    if (stream.state === 'running' && frameLast(frame) > stream.seen) return this.early(stream, frame);
    this.events.terminal(stream, kind === frameKinds.end ? 'end' : 'err', frameBody(frame));
  }

  private onPiece(stream: Stream, frame: Uint8Array, kind: FrameKind): void {
    // What is on the way from before an attach comes again after it.
    if (stream.state !== 'running') return;
    const last = frameLast(frame);
    if (last <= stream.seen) {
      this.counts.duplicate++;
      return;
    }
    if (frameFirst(frame) !== stream.seen + 1) return this.early(stream, frame);
    if (kind === frameKinds.act) return this.onAct(stream, frame);
    this.take(stream, frame);
  }

  private take(stream: Stream, frame: Uint8Array): void {
    if (stream.seen === 0) this.events.firstPiece(stream);
    stream.seen = frameLast(frame);
    stream.kept.add(frame, this.maxKeptBytes);
    deliverPiece(stream, frameBody(frame));
  }

  /** A frame before which pieces are missing: an act waits to be decided, or they were lost. */
  private early(stream: Stream, frame: Uint8Array): void {
    const { asking } = stream;
    if (!asking) {
      this.counts.gaps++;
      return this.events.gap(stream);
    }
    asking.heldBytes += frame.length;
    if (asking.heldBytes > this.maxKeptBytes) asking.overflowed = true;
    if (!asking.overflowed) asking.held.push(frame);
  }

  // ---- acts ----

  /** The number of an act only counts as seen when it is decided: until then all that follows comes too early. */
  private onAct(stream: Stream, frame: Uint8Array): void {
    // It came again, after an attach: whoever was asked is still thinking.
    if (stream.asking) return;
    const asking: Asking = { held: [], heldBytes: 0, overflowed: false, after: undefined };
    stream.asking = asking;
    const first = frameFirst(frame);
    const last = frameLast(frame);
    // An act is one piece; of one that says otherwise nothing is believed but the numbers.
    const body = first === last ? frameBody(frame) : noBytes;
    this.authority.decide(stream, last, body, (act) => this.decided(stream, asking, { first, last }, act));
  }

  private decided(stream: Stream, asking: Asking, piece: Piece, act: Intent | undefined): void {
    // It has ended meanwhile, or another gateway has it.
    if (stream.asking !== asking) return;
    stream.asking = undefined;
    // Not while attaching, and not where the player lacks more than this: then it comes again, and the answer is known.
    const goesOn = stream.state === 'running' || asking.after !== undefined;
    if (goesOn && piece.first === stream.seen + 1) this.take(stream, decidedFrame(stream, piece, act));
    for (const frame of asking.held) this.onStreamFrame(stream, frame);
    if (asking.overflowed && stream.state === 'running' && !stream.asking) this.events.gap(stream);
    asking.after?.();
  }
}

/** What is kept and sent in an act's place. One that is refused leaves a piece without words: numbers have no gap. */
function decidedFrame(stream: Stream, { first, last }: Piece, act: Intent | undefined): Uint8Array {
  const { s, session, attempt } = stream;
  const message: Act | Tok = act
    ? { t: 'act', s, n: last, ...act }
    : { t: 'tok', s, f: first < last ? first : undefined, n: last, d: '' };
  const kind = act ? frameKinds.act : frameKinds.tok;
  return writeFrame(kind, attempt, first, last, encode(message, session.encoding));
}
