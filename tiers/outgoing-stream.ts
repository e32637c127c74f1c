// One stream on its way out of a worker: numbers the pieces, writes them as the client will receive them, and
// keeps them, so that the stream can go on elsewhere from any piece. Knows nothing of engines.

import type { NatsConnection } from '@nats-io/nats-core';
import { encode } from '../bus/codec.ts';
import type { Accepted } from '../bus/envelopes.ts';
import { type FrameKind, frameKinds, writeFrame } from '../bus/frames.ts';
import type { Act, Encoding, End, Err } from '../bus/protocol.ts';

/** A piece as it is kept: text, or something the character does. */
export type Piece =
  | string
  | { readonly name: string; readonly args: Record<string, unknown>; readonly ttlMs: number };

/** Where the frames go now. */
export interface Target {
  /** The reply subject of `generate` or `attach`. */
  readonly reply: string;
  readonly encoding: Encoding;
  readonly attempt: number;
  /** Frames to a gateway carry the prefix and begin with `accepted`; a backend's inbox gets plain messages. */
  readonly prefixed: boolean;
}

/** A rough cost of an object in the hold, beside its text. */
const pieceOverheadBytes = 48;

export class OutgoingStream {
  readonly s: number;
  /** Number of the last piece. */
  n = 0;
  /** Bytes that keeping this stream costs. */
  bytes = 0;
  epoch: number;
  private readonly pieces: Piece[] = [];
  private readonly connection: NatsConnection;
  private readonly frameMs: number;
  private target: Target;
  private terminal: End | Err | undefined;
  /** First piece that has not been sent because text is being gathered; 0 when nothing waits. */
  private gatheredFrom = 0;
  private gatherTimer: NodeJS.Timeout | undefined;

  constructor(
    connection: NatsConnection,
    target: Target,
    { s, epoch, frameMs }: { s: number; epoch: number; frameMs: number },
  ) {
    this.connection = connection;
    this.target = target;
    this.s = s;
    this.epoch = epoch;
    this.frameMs = frameMs;
  }

  get attempt(): number {
    return this.target.attempt;
  }

  get ended(): boolean {
    return this.terminal !== undefined;
  }

  /** All text so far, as it was emitted. */
  text(): string {
    return this.pieces.filter((p) => typeof p === 'string').join('');
  }

  /** Says that this worker has the stream. The first frame there is. */
  accept(body: Accepted): void {
    if (this.target.prefixed) this.send(frameKinds.accepted, this.n, this.n, body);
  }

  /** Emits a piece of text: at once, or gathered for `frameMs`. */
  emitText(text: string): void {
    this.keep(text, Buffer.byteLength(text));
    if (this.frameMs === 0) return this.sendPieces(this.n);
    if (this.gatheredFrom === 0) {
      this.gatheredFrom = this.n;
      this.gatherTimer = setTimeout(() => this.flush(), this.frameMs);
    }
  }

  /** Emits what the character does: alone in its frame, after the text before it. */
  emitAct(act: Exclude<Piece, string>): void {
    this.flush();
    this.keep(act, JSON.stringify(act).length);
    this.sendPieces(this.n);
  }

  /** Ends the stream. Only the first call counts. */
  end(terminal: End | Err): void {
    if (this.terminal) return;
    this.flush();
    this.terminal = terminal;
    this.sendTerminal();
  }

  /** Goes on at another place: `accepted`, what came after piece `n` merged, then whatever follows. */
  attach(target: Target, n: number, accepted: Accepted): void {
    clearTimeout(this.gatherTimer);
    this.gatheredFrom = 0;
    this.target = target;
    this.send(frameKinds.accepted, n, n, { ...accepted, ended: this.ended });
    if (n < this.n) this.sendPieces(n + 1);
    if (this.terminal) this.sendTerminal();
  }

  /** Sends the text that was gathered, if any. */
  private flush(): void {
    clearTimeout(this.gatherTimer);
    const from = this.gatheredFrom;
    this.gatheredFrom = 0;
    if (from > 0) this.sendPieces(from);
  }

  private keep(piece: Piece, bytes: number): void {
    this.pieces.push(piece);
    this.n++;
    this.bytes += bytes + pieceOverheadBytes;
  }

  /** Sends the pieces from `from` on: neighbouring text as one `tok`, each act alone. */
  private sendPieces(from: number): void {
    let first = from;
    while (first <= this.n) {
      const piece = this.pieces[first - 1]!;
      if (typeof piece !== 'string') {
        const act: Act = { t: 'act', s: this.s, n: first, ...piece };
        this.send(frameKinds.act, first, first, act);
        first++;
        continue;
      }
      let last = first;
      let text = piece;
      for (let next = this.pieces[last]; typeof next === 'string'; next = this.pieces[last]) {
        text += next;
        last++;
      }
      const { s } = this;
      this.send(
        frameKinds.tok,
        first,
        last,
        first === last ? { t: 'tok', s, n: last, d: text } : { t: 'tok', s, f: first, n: last, d: text },
      );
      first = last + 1;
    }
  }

  private sendTerminal(): void {
    const terminal = this.terminal!;
    this.send(terminal.t === 'end' ? frameKinds.end : frameKinds.err, this.n, this.n, terminal);
  }

  private send(kind: FrameKind, first: number, last: number, message: object): void {
    if (this.connection.isClosed()) return;
    const { reply, encoding, attempt, prefixed } = this.target;
    const body = encode(message, encoding);
    this.connection.publish(reply, prefixed ? writeFrame(kind, attempt, first, last, body) : body);
  }
}
