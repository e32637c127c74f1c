// Welcome: what a player hears who has come in, and for one who came back what became of each stream. Then what was
// missed follows, merged, from what the gateway has kept or from the worker.

import { newTraceparent } from '../bus/headers.ts';
import type { Hello, StreamState, Welcome as WelcomeMessage } from '../bus/protocol.ts';
import type { StreamRecord } from '../bus/session-store.ts';
import type { Character } from '../npcs/characters.ts';
import type { Config } from '../runtime/config.ts';
import type { GatewayMetrics } from '../runtime/metrics.ts';
import type { Claim } from './claims.ts';
import { flushUnsent } from './delivery.ts';
import { catchUp, type Placement } from './placement.ts';
import type { Session, Socket } from './session.ts';
import { Stream } from './stream.ts';

export interface WelcomeParts {
  readonly placement: Placement;
  readonly characters: () => ReadonlyMap<string, Character>;
  readonly metrics: GatewayMetrics;
  /** Closes a socket whose player has connected again. */
  readonly closeReplaced: (socket: Socket) => void;
  readonly config: Pick<
    Config,
    'pingMs' | 'maxFrameBytes' | 'maxTextChars' | 'maxContextChars' | 'maxStreams' | 'messagesPerSecond'
  >;
}

export class Welcome {
  private readonly parts: WelcomeParts;

  constructor(parts: WelcomeParts) {
    this.parts = parts;
  }

  /** Says `welcome` on the new socket, and lets what was missed follow. */
  async say(claim: Claim, socket: Socket, resume: Hello['resume']): Promise<void> {
    const { session, epoch, key, resumed } = claim;
    if (session.epoch !== epoch) return this.parts.closeReplaced(socket);
    const before = session.socket;
    session.socket = socket;
    if (before) this.parts.closeReplaced(before);
    session.flowing = false;
    session.unsent = undefined;
    session.owedBytes = 0;
    const states = resumed ? await this.resumeStreams(claim, resume!) : (resume?.streams ?? []).map(lost);
    // A still newer connection came meanwhile, or the socket is gone: there is nobody to welcome.
    if (session.epoch !== epoch || session.socket !== socket) return;
    for (const { state } of states) this.parts.metrics.resumes.inc({ state });
    session.flowing = true;
    session.send(this.welcomeMessage(session, key, resumed, states));
    this.catchUp(session);
  }

  /** The socket has room again. */
  drained(session: Session): void {
    if (!session.socket || session.flowing) return;
    session.flowing = true;
    this.catchUp(session);
  }

  private async resumeStreams(claim: Claim, resume: NonNullable<Hello['resume']>): Promise<StreamState[]> {
    const { session, elsewhere } = claim;
    const named = new Map(resume.streams.map(({ s, n }) => [s, n]));
    const newestOwn = Math.min(0, ...named.keys());
    for (const [s, record] of elsewhere) this.adopt(session, s, record);
    for (const stream of session.streams?.values() ?? []) {
      if (named.has(stream.s)) continue;
      // What the server said meanwhile is news; what the client no longer names, it no longer wants.
      if (stream.s < newestOwn) named.set(stream.s, 0);
      else this.parts.placement.cancel(stream);
    }
    return Promise.all([...named].map(([s, n]) => this.resumeStream(session, s, n)));
  }

  private async resumeStream(session: Session, s: number, n: number): Promise<StreamState> {
    const stream = session.streams?.get(s);
    if (!stream) return { s, state: n === 0 && s > session.lastStream ? 'unknown' : 'lost' };
    const keptEncoding =
      stream.encoding === undefined || stream.encoding === session.encoding || stream.ended;
    const whole = stream.written !== undefined || stream.kept.messages(s, n, stream.seen) !== undefined;
    const over = stream.terminal ?? stream.written?.at(-1);
    const adopted = stream.subject === '' && stream.written === undefined;
    if (
      adopted ||
      stream.state === 'placing' ||
      !whole ||
      !keptEncoding ||
      (stream.ended && !over) ||
      n > stream.seen
    ) {
      return { s, state: await this.parts.placement.attach(stream, n) };
    }
    stream.sent = n;
    stream.terminal = over;
    return { s, state: stream.ended ? 'ended' : 'resumed' };
  }

  /** Makes a stream of what another gateway wrote down about it. */
  private adopt(session: Session, s: number, record: StreamRecord): void {
    const character = this.parts.characters().get(record.npc);
    if (!character) return;
    session.streams ??= new Map();
    const now = performance.now();
    const stream = new Stream({
      session,
      s,
      say: record.say,
      character,
      tier: record.tier,
      traceparent: newTraceparent(),
      startedAt: now,
      deadlineAt: now + record.deadlineAt - Date.now(),
    });
    stream.attempt = record.attempt;
    stream.worker = record.worker;
    stream.state = 'running';
    session.streams.set(s, stream);
    if (record.ended) {
      stream.endedAt = now;
      stream.state = 'ended';
      stream.written = record.written;
      stream.seen = record.written?.some((m) => m.t === 'tok') ? 1 : 0;
    } else this.parts.placement.adopt(stream);
  }

  private catchUp(session: Session): void {
    flushUnsent(session);
    // What the streams owe is counted anew if the socket fills up again.
    if (session.flowing) session.owedBytes = 0;
    for (const stream of session.streams?.values() ?? []) {
      if (!session.flowing) return;
      if (stream.state === 'attaching') continue;
      catchUp(stream, this.parts.placement);
    }
  }

  private welcomeMessage(
    session: Session,
    key: string,
    resumed: boolean,
    streams: StreamState[],
  ): WelcomeMessage {
    const { config } = this.parts;
    return {
      t: 'welcome',
      v: 1,
      session: session.id,
      key,
      player: session.player,
      pingMs: config.pingMs,
      time: Date.now(),
      limits: {
        frameBytes: config.maxFrameBytes,
        textChars: config.maxTextChars,
        contextChars: config.maxContextChars,
        streams: config.maxStreams,
        messagesPerSecond: config.messagesPerSecond,
      },
      resumed,
      streams,
    };
  }
}

function lost({ s }: { s: number }): StreamState {
  return { s, state: 'lost' };
}
