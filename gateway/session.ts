// One player's session: who it is, its socket if there is one now, and its streams. It outlives its socket for the
// grace time, so that a player who was in a tunnel finds everything where it was.

import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { encode } from '../bus/codec.ts';
import type { Encoding, ServerMessage } from '../bus/protocol.ts';
import type { RelayCounts } from '../runtime/metrics.ts';
import type { Stream } from './stream.ts';
import type { WebSocket } from './uws.ts';

/** As much as the session needs of a socket. */
export type Socket = Pick<WebSocket<unknown>, 'send' | 'getBufferedAmount'>;

export class Session {
  /** 128 random bits: it is part of the subjects of its streams, and who does not know it cannot name them. */
  readonly id = randomBytes(16).toString('base64url');
  readonly player: string;
  /** Raised by each `welcome`; commands of an older epoch are ignored by workers. */
  epoch = 0;
  encoding: Encoding;
  /** Undefined between a lost socket and the player's return. */
  socket: Socket | undefined;
  /** The highest stream number that was accepted. */
  lastStream = 0;
  /** Running streams, and those that ended a short time ago. Made with the first `say`: most sessions idle. */
  streams: Map<number, Stream> | undefined;
  running = 0;
  /** While resuming: what is to be sent after `welcome`. */
  waiting: Uint8Array[] | undefined;
  graceTimer: NodeJS.Timeout | undefined;
  private keyHash: Buffer | undefined;
  private readonly counts: RelayCounts;
  private readonly tooSlow: (session: Session) => void;
  private readonly maxBackpressureBytes: number;

  constructor(init: {
    player: string;
    encoding: Encoding;
    counts: RelayCounts;
    maxBackpressureBytes: number;
    /** Told when a socket's unsent bytes pass the bound. */
    tooSlow: (session: Session) => void;
  }) {
    this.player = init.player;
    this.encoding = init.encoding;
    this.counts = init.counts;
    this.maxBackpressureBytes = init.maxBackpressureBytes;
    this.tooSlow = init.tooSlow;
  }

  /** Makes a new resume key and returns it; only its hash is kept, and an older key no longer fits. */
  newKey(): string {
    const key = randomBytes(16).toString('base64url');
    this.keyHash = hash(key);
    return key;
  }

  fits(key: string): boolean {
    return this.keyHash !== undefined && timingSafeEqual(this.keyHash, hash(key));
  }

  /** Sends a message of the gateway's own. Without a socket it is dropped: a resume makes up for it. */
  send(message: ServerMessage): void {
    this.sendBytes(encode(message, this.encoding));
  }

  /** Sends what a worker has encoded for this session. The hot path. */
  sendBytes(bytes: Uint8Array): void {
    if (this.waiting) {
      this.waiting.push(bytes);
      return;
    }
    const { socket, counts } = this;
    if (!socket) return;
    counts.frames++;
    counts.bytes += bytes.length;
    // 1: sent. 0: queued because the socket is full. 2 cannot be: the bound below is under uWS's own.
    if (socket.send(bytes, this.encoding === 'msgpack') === 1) return;
    const buffered = socket.getBufferedAmount();
    if (buffered === 0) counts.sendZeroUnbuffered++;
    else if (buffered > this.maxBackpressureBytes) this.tooSlow(this);
  }

  /** Sends `welcome`, then what had to wait for it. */
  release(welcome: ServerMessage): void {
    const waiting = this.waiting ?? [];
    this.waiting = undefined;
    this.send(welcome);
    for (const bytes of waiting) this.sendBytes(bytes);
  }
}

function hash(key: string): Buffer {
  return createHash('sha256').update(key).digest();
}
