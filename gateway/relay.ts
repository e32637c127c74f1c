// Frames on the way back, by one wildcard subscription: finds the stream by the subject, checks the prefix, keeps
// the frame and hands the rest of the bytes to the socket. This runs once a token for every player; nothing is
// decoded here.

import type { Msg, NatsConnection } from '@nats-io/nats-core';
import {
  frameAttempt,
  frameBody,
  frameFirst,
  frameKind,
  frameKinds,
  frameLast,
  isFrame,
} from '../bus/frames.ts';
import type { Subjects } from '../bus/subjects.ts';
import type { Log } from '../runtime/log.ts';
import type { RelayCounts } from '../runtime/metrics.ts';
import { deliverPiece } from './delivery.ts';
import type { Stream } from './stream.ts';

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

export class Relay {
  private readonly streams = new Map<string, Stream>();
  private readonly events: StreamEvents;
  private readonly counts: RelayCounts;
  private readonly log: Log;
  private readonly maxKeptBytes: number;

  constructor({
    connection,
    subjects,
    gateway,
    events,
    counts,
    log,
    maxKeptBytes,
  }: {
    connection: NatsConnection;
    subjects: Subjects;
    gateway: string;
    events: StreamEvents;
    counts: RelayCounts;
    log: Log;
    /** Bound of what is kept of one stream. */
    maxKeptBytes: number;
  }) {
    this.events = events;
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
    if (frameAttempt(frame) !== stream.attempt) {
      this.counts.stale++;
      return;
    }
    const kind = frameKind(frame);
    if (kind === frameKinds.tok || kind === frameKinds.act) return this.onPiece(stream, frame);
    if (kind === frameKinds.accepted) return this.events.accepted(stream, frameBody(frame));
    if (kind === frameKinds.kept) return stream.kept.add(frame, this.maxKeptBytes);
    // An answer to attach that refuses it has no pieces; any other end comes again after the attach.
    if (stream.state === 'attaching' && (kind === frameKinds.end || frameLast(frame) > 0)) return;
    // The terminal frame names the last piece: if one is missing, the end waits until it is there.
    if (stream.state === 'running' && frameLast(frame) > stream.seen) {
      this.counts.gaps++;
      return this.events.gap(stream);
    }
    this.events.terminal(stream, kind === frameKinds.end ? 'end' : 'err', frameBody(frame));
  }

  private onPiece(stream: Stream, frame: Uint8Array): void {
    // What is on the way from before an attach comes again after it.
    if (stream.state !== 'running') return;
    const last = frameLast(frame);
    if (last <= stream.seen) {
      this.counts.duplicate++;
      return;
    }
    if (frameFirst(frame) !== stream.seen + 1) {
      this.counts.gaps++;
      return this.events.gap(stream);
    }
    if (stream.seen === 0) this.events.firstPiece(stream);
    stream.seen = last;
    stream.kept.add(frame, this.maxKeptBytes);
    deliverPiece(stream, frameBody(frame));
  }
}
