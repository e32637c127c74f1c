// One stream on its way out of a worker: numbers the pieces, writes them as the client will receive them, and
// keeps them, so that the stream can go on elsewhere from any piece. Knows nothing of engines.

import type { NatsConnection } from '@nats-io/nats-core';
import { encode } from '../bus/codec.ts';
import type { Accepted, Segments } from '../bus/envelopes.ts';
import { type FrameKind, frameKinds, writeFrame } from '../bus/frames.ts';
import type { Act, Encoding, End, Err, Intent, Tok } from '../bus/protocol.ts';

/** A piece, or neighbouring text that came merged from another worker. */
interface Segment {
  readonly first: number;
  readonly last: number;
  readonly content: string | Intent;
}

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
const segmentOverheadBytes = 64;

export class OutgoingStream {
  readonly s: number;
  /** Number of the last piece. */
  n = 0;
  /** Bytes that keeping this stream costs. */
  bytes = 0;
  epoch: number;
  private readonly segments: Segment[] = [];
  private readonly connection: NatsConnection;
  private readonly frameMs: number;
  private target: Target;
  private terminal: End | Err | undefined;
  /** Segments from here on have not been sent because text is being gathered; -1 when nothing waits. */
  private gatheredFrom = -1;
  private gatherTimer: NodeJS.Timeout | undefined;

  /** `said` is what another worker has emitted of the same answer: numbers go on after it. */
  constructor(
    connection: NatsConnection,
    target: Target,
    { s, epoch, frameMs, said = [] }: { s: number; epoch: number; frameMs: number; said?: Segments },
  ) {
    this.connection = connection;
    this.target = target;
    this.s = s;
    this.epoch = epoch;
    this.frameMs = frameMs;
    for (const segment of said) this.keep('d' in segment ? segment.d : segment.act, segment.last);
  }

  get attempt(): number {
    return this.target.attempt;
  }

  get ended(): boolean {
    return this.terminal !== undefined;
  }

  /** All text so far, as it was emitted. */
  text(): string {
    return this.segments.map(({ content }) => (typeof content === 'string' ? content : '')).join('');
  }

  /** What the character has done so far. */
  acts(): readonly Intent[] {
    return this.segments.flatMap(({ content }) => (typeof content === 'string' ? [] : [content]));
  }

  /** Says that this worker has the stream. The first frame there is. */
  accept(body: Accepted): void {
    if (this.target.prefixed) this.send(frameKinds.accepted, this.n, this.n, body);
  }

  /** Emits a piece of text: at once, or gathered for `frameMs`. */
  emitText(text: string): void {
    this.keep(text, this.n + 1);
    const at = this.segments.length - 1;
    if (this.frameMs === 0) return this.sendSegments(at);
    if (this.gatheredFrom < 0) {
      this.gatheredFrom = at;
      this.gatherTimer = setTimeout(() => this.flush(), this.frameMs);
    }
  }

  /** Emits what the character does: alone in its frame, after the text before it. */
  emitAct(act: Intent): void {
    this.flush();
    this.keep(act, this.n + 1);
    this.sendSegments(this.segments.length - 1);
  }

  /** Ends the stream. Only the first call counts. */
  end(terminal: End | Err): void {
    if (this.terminal) return;
    this.flush();
    this.terminal = terminal;
    this.sendTerminal();
  }

  /** Whether the stream can go on after piece `n`: that must be where a segment ends. */
  canAttach(n: number): boolean {
    return n === 0 || this.segments.some(({ last }) => last === n);
  }

  /**
   * Goes on at another place: `accepted`, with `withKept` what the gateway lacks of the pieces until `n`, then what came
   * after `n` merged, then whatever follows.
   */
  attach(target: Target, n: number, withKept: boolean, accepted: Accepted): void {
    clearTimeout(this.gatherTimer);
    this.gatheredFrom = -1;
    this.target = target;
    this.send(frameKinds.accepted, n, n, { ...accepted, ended: this.ended });
    const next = this.segments.findIndex(({ first }) => first > n);
    const before = next < 0 ? this.segments : this.segments.slice(0, next);
    if (withKept && n > 0) this.send(frameKinds.kept, 1, n, { v: 1, segments: before.map(toWire) });
    if (next >= 0) this.sendSegments(next);
    if (this.terminal) this.sendTerminal();
  }

  /** Sends the text that was gathered, if any. */
  private flush(): void {
    clearTimeout(this.gatherTimer);
    const from = this.gatheredFrom;
    this.gatheredFrom = -1;
    if (from >= 0) this.sendSegments(from);
  }

  private keep(content: string | Intent, last: number): void {
    this.segments.push({ first: this.n + 1, last, content });
    this.n = last;
    const bytes = typeof content === 'string' ? Buffer.byteLength(content) : JSON.stringify(content).length;
    this.bytes += bytes + segmentOverheadBytes;
  }

  /** Sends the segments from index `from` on: neighbouring text as one `tok`, each act alone. */
  private sendSegments(from: number): void {
    const { s, segments } = this;
    for (let i = from; i < segments.length; ) {
      const { first, content } = segments[i]!;
      let { last } = segments[i++]!;
      if (typeof content !== 'string') {
        const act: Act = { t: 'act', s, n: last, ...content };
        this.send(frameKinds.act, first, last, act);
        continue;
      }
      let d = content;
      for (let next = segments[i]; typeof next?.content === 'string'; next = segments[++i]) {
        d += next.content;
        last = next.last;
      }
      const tok: Tok = first === last ? { t: 'tok', s, n: last, d } : { t: 'tok', s, f: first, n: last, d };
      this.send(frameKinds.tok, first, last, tok);
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

function toWire({ last, content }: Segment): Segments[number] {
  return typeof content === 'string' ? { last, d: content } : { last, act: content };
}
