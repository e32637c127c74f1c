// How streams end at the gateway: with a worker's last frame, with the character's authored line, or with an honest
// `err`. Whoever writes the end commits the turn: a worker's end is the worker's, the others are written here.

import type { History, HistoryTurn } from '../bus/history.ts';
import type { End, EndReason, Err } from '../bus/protocol.ts';
import type { SessionStore } from '../bus/session-store.ts';
import { authoredLine, wordsOf } from '../npcs/characters.ts';
import { type ErrorName, errorCodes } from '../runtime/errors.ts';
import type { Log } from '../runtime/log.ts';
import type { GatewayMetrics } from '../runtime/metrics.ts';
import { deliverTerminal, flushStream } from './delivery.ts';
import { textOf } from './kept.ts';
import type { Stream } from './stream.ts';

export interface EndingsParts {
  readonly history: History;
  readonly store: Pick<SessionStore, 'owns'>;
  readonly metrics: GatewayMetrics;
  readonly log: Log;
  /** Told once for each stream when it has ended; its frames are stale from then on. */
  readonly ended: (stream: Stream) => void;
}

export class Endings {
  private readonly parts: EndingsParts;

  constructor(parts: EndingsParts) {
    this.parts = parts;
  }

  /** A worker's `end`, forwarded as it is. */
  forwarded(stream: Stream, body: Uint8Array): void {
    this.finish(stream, 'live');
    deliverTerminal(stream, body);
  }

  /** The character's own line, written by its author. Only where no piece was sent, and somebody has spoken. */
  authored(stream: Stream): void {
    const line = authoredLine(stream.character, `${stream.session.id} ${stream.s}`);
    this.written(stream, line, { source: 'authored', tier: 'none', model: '' });
    this.commit(stream, line, 'stop');
  }

  /** A whole answer that no worker holds: one `tok`, one `end`, kept with the stream. */
  written(stream: Stream, text: string, by: Pick<End, 'source' | 'tier' | 'model'>): void {
    const { s } = stream;
    stream.seen = 1;
    const end = { ...this.endMessage(stream, 'stop'), ...by };
    const npc = s < 0 ? stream.say.npc : undefined;
    stream.written = [{ t: 'tok', s, n: 1, d: text, npc }, end];
    stream.terminal = end;
    this.finish(stream, by.source);
    flushStream(stream);
  }

  // What the gateway ends after the first piece no worker has as the player should read it: `worker` is forgotten, so
  // that another gateway calls it lost and not by the name that the worker had for it.

  /** An end that the gateway decides: a stream that was cancelled before or without its worker. */
  stopped(stream: Stream, reason: EndReason): void {
    const end = this.endMessage(stream, reason);
    if (stream.seen === 0) stream.written = [end];
    stream.worker = undefined;
    this.commitKept(stream, reason);
    this.finish(stream, reason);
    deliverTerminal(stream, end);
  }

  /** Nobody can go on with it. */
  failed(stream: Stream, code: ErrorName): void {
    const err: Err = { t: 'err', s: stream.s, code, message: errorCodes[code].message };
    if (stream.seen > 0) err.partial = true;
    stream.worker = undefined;
    this.commitKept(stream, 'lost');
    this.finish(stream, code);
    deliverTerminal(stream, err);
  }

  private finish(stream: Stream, outcome: string): void {
    clearTimeout(stream.timer);
    stream.state = 'ended';
    // A stream that had ended and was played again for a player who came back ends once more, uncounted.
    if (!stream.ended) {
      stream.endedAt = performance.now();
      this.parts.metrics.ends.inc({ outcome });
    }
    this.parts.ended(stream);
  }

  private endMessage(stream: Stream, reason: EndReason): End {
    const totalMs = Math.round(performance.now() - stream.startedAt);
    return {
      t: 'end',
      s: stream.s,
      n: stream.seen,
      reason,
      tier: stream.tier,
      source: 'live',
      attempts: stream.attempt,
      model: '',
      usage: { prompt: 0, cached: 0, completion: 0 },
      timings: { queueMs: 0, firstMs: stream.seen > 0 ? totalMs : 0, totalMs },
    };
  }

  private commitKept(stream: Stream, reason: HistoryTurn['reason']): void {
    const segments = stream.ended ? undefined : stream.kept.segments(stream.seen);
    if (segments && segments.length > 0) this.commit(stream, textOf(segments), reason);
  }

  private commit(stream: Stream, text: string, reason: HistoryTurn['reason']): void {
    const { session, say, character, s } = stream;
    const { history, store, log } = this.parts;
    const { id, player, epoch } = session;
    // What nobody said is nothing to remember.
    if (stream.thinks) return;
    const turn = { player: wordsOf(character, say), npc: text, reason, at: Date.now() };
    // A gateway that was frozen wakes up with its timers first: the player may be elsewhere, and the answer there.
    store
      .owns({ player, epoch })
      .then((ours) => ours && history.commit({ player, npc: say.npc, session: id, stream: s }, turn))
      .catch((error) => log.warn({ err: error }, 'a turn could not be written to history'));
  }
}
