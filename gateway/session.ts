// One player's session: who it is, its socket if there is one now, and its streams. It outlives its socket for the
// grace time, so that a player who was in a tunnel finds everything where it was.

import { encode } from '../bus/codec.ts';
import type { Encoding, ServerMessage } from '../bus/protocol.ts';
import type { RelayCounts } from '../runtime/metrics.ts';
import type { PlayerLimits } from './player-limits.ts';
import type { Stream } from './stream.ts';
import type { WebSocket } from './uws.ts';

/** As much as the session needs of a socket. */
export type Socket = Pick<WebSocket<unknown>, 'send' | 'getBufferedAmount'>;

export interface SessionInit {
  readonly id: string;
  readonly player: string;
  readonly epoch: number;
  readonly keyHash: string;
  readonly encoding: Encoding;
  readonly counts: RelayCounts;
  /** Unsent bytes above which the socket gets nothing more until it has drained. */
  readonly pauseBytes: number;
}

export class Session {
  /** 128 random bits: it is part of the subjects of its streams, and who does not know it cannot name them. */
  readonly id: string;
  readonly player: string;
  /** The `welcome` that made it what it is; raised by each. Commands of an older epoch are ignored by workers. */
  epoch: number;
  keyHash: string;
  encoding: Encoding;
  /** When the player's token runs out, ms since the epoch. */
  tokenExpiresAt = Number.POSITIVE_INFINITY;
  /** Undefined between a lost socket and the player's return. */
  socket: Socket | undefined;
  /**
   * Whether frames go to the socket as they come. Not while there is none, while it is full, and from a resume until
   * its `welcome`: then streams only keep them, and `flush` in delivery.ts sends what was missed.
   */
  flowing = false;
  /** The highest stream number that was accepted. */
  lastStream = 0;
  /** The lowest number of a stream that the server opened. */
  lastOwnStream = 0;
  /** Running streams, and those that ended a short time ago. Made with the first one: most sessions idle. */
  streams: Map<number, Stream> | undefined;
  /** What the player has used up; made with the first message that is limited. */
  limits: PlayerLimits | undefined;
  /** Messages that belong to no stream and could not be sent while the socket was full. */
  unsent: Uint8Array[] | undefined;
  /** Bytes that a socket which does not flow would have got; past a bound it is closed. */
  owedBytes = 0;
  graceTimer: NodeJS.Timeout | undefined;
  /** When its record in Redis is written again at the latest, monotonic ms. */
  renewAt = 0;
  private readonly counts: RelayCounts;
  private readonly pauseBytes: number;

  constructor(init: SessionInit) {
    this.id = init.id;
    this.player = init.player;
    this.epoch = init.epoch;
    this.keyHash = init.keyHash;
    this.encoding = init.encoding;
    this.counts = init.counts;
    this.pauseBytes = init.pauseBytes;
  }

  /** Sends a message that belongs to no stream. While the socket is full it waits; without one it is dropped. */
  send(message: ServerMessage): void {
    if (!this.socket) return;
    const bytes = encode(message, this.encoding);
    if (this.flowing) return this.sendBytes(bytes);
    this.unsent ??= [];
    this.unsent.push(bytes);
    this.owedBytes += bytes.length;
  }

  /** Sends bytes as they are. Only while `flowing`. The hot path. */
  sendBytes(bytes: Uint8Array): void {
    const { counts } = this;
    const socket = this.socket!;
    counts.frames++;
    counts.bytes += bytes.length;
    // 1: sent. 0: taken, but it waits in memory. 2 cannot be: uWS's own bound is far above ours.
    if (socket.send(bytes, this.encoding === 'msgpack') === 1) return;
    const buffered = socket.getBufferedAmount();
    if (buffered === 0) counts.sendZeroUnbuffered++;
    else if (buffered > this.pauseBytes) {
      this.flowing = false;
      counts.pauses++;
    }
  }
}
