// Finds a worker for a stream, and keeps to it: tries, acceptance, cancel, attach, and the end. A character never
// goes silent: what no worker can begin becomes an authored line, what nobody can finish becomes an honest `err`.

import type { NatsConnection } from '@nats-io/nats-core';
import { decode, encode } from '../bus/codec.ts';
import { type Accepted, type Control, type GenerateRequestInput, readAccepted } from '../bus/envelopes.ts';
import { writeHeaders } from '../bus/headers.ts';
import type { History } from '../bus/history.ts';
import type { End, EndReason, Err } from '../bus/protocol.ts';
import type { Subjects, Tier } from '../bus/subjects.ts';
import { authoredLine, wordsOf } from '../npcs/characters.ts';
import type { Config } from '../runtime/config.ts';
import { type ErrorName, errorCodes } from '../runtime/errors.ts';
import type { Log } from '../runtime/log.ts';
import type { GatewayMetrics, RelayCounts } from '../runtime/metrics.ts';
import { Relay, type StreamEvents } from './relay.ts';
import type { Router } from './route.ts';
import type { Stream } from './stream.ts';

export interface PlacementParts {
  readonly id: string;
  readonly connection: NatsConnection;
  /** Whether NATS can be reached now. */
  readonly connected: () => boolean;
  readonly subjects: Subjects;
  readonly router: Router;
  readonly history: History;
  readonly counts: RelayCounts;
  readonly metrics: GatewayMetrics;
  readonly log: Log;
  readonly config: Pick<Config, 'acceptMs' | 'maxAttempts' | 'frameMs'>;
}

/** How long a worker may take to end a stream that was cancelled, or to answer an attach. */
const answerMs = 1_000;
/** A worker keeps to the deadline by itself; this is for one that cannot any more. */
const deadlineSlackMs = 1_000;
/** Characters of a prompt in a token, roughly, for routing. */
const charsPerToken = 4;

export class Placement implements StreamEvents {
  private readonly parts: PlacementParts;
  private readonly relay: Relay;
  /** Streams that a worker has, by reference: what a sweep looks at. */
  private readonly running = new Set<Stream>();
  /** Tries that were given up before anybody accepted: a late acceptance is answered with a cancel. */
  private readonly givenUp = new Map<string, { tier: Tier; until: number }>();

  constructor(parts: PlacementParts) {
    this.parts = parts;
    const { connection, subjects, id, counts, log } = parts;
    this.relay = new Relay({ connection, subjects, gateway: id, events: this, counts, log });
  }

  get streams(): number {
    return this.running.size;
  }

  /** Begins a stream that was admitted. */
  begin(stream: Stream): void {
    this.running.add(stream);
    stream.session.running++;
    this.tryNext(stream);
  }

  /** The player wants no more of it. The worker stops its engine and says `end`; so does the gateway if it does not. */
  cancel(stream: Stream): void {
    if (stream.ended || stream.cancelled) return;
    stream.cancelled = true;
    if (stream.state === 'placing') {
      this.giveUp(stream);
      return this.writeEnd(stream, 'cancelled');
    }
    this.command(stream, { op: 'cancel', ...this.ref(stream), commit: true, reason: 'cancelled' });
    this.arm(stream, answerMs, () => this.writeEnd(stream, 'cancelled'));
  }

  /**
   * Asks the worker to go on from after piece `n`, in the encoding that the session speaks now. Resolves with what
   * became of the stream (`lost` only for one that had ended); its frames follow by themselves.
   */
  attach(stream: Stream, n: number): Promise<'resumed' | 'ended' | 'lost'> {
    const { session } = stream;
    if (stream.written) {
      for (const message of stream.written) session.sendBytes(encode(message, session.encoding));
      return Promise.resolve('ended');
    }
    if (stream.state === 'placing') {
      // The try under way writes the encoding of the lost socket; if the new one speaks another, it is made again.
      if (stream.encoding !== session.encoding) {
        this.giveUp(stream);
        this.tryNext(stream);
      }
      return Promise.resolve('resumed');
    }
    stream.attached?.('lost');
    stream.state = 'attaching';
    stream.seen = n;
    this.relay.listen(stream);
    return new Promise((resolve) => {
      stream.attached = (state) => {
        stream.attached = undefined;
        resolve(state);
      };
      this.askToAttach(stream);
      this.arm(stream, answerMs, () => this.attachLate(stream));
    });
  }

  /** After NATS was away, frames may be missing: every stream goes on from the last piece that the player has. */
  reattachAll(): void {
    for (const stream of this.running) {
      if (stream.state === 'running') void this.attach(stream, stream.seen);
    }
  }

  /** Looks at streams whose worker has fallen silent, and lets go of what is too old. Called a few times a second. */
  sweep(suspect: (tier: Tier, worker: string) => boolean): void {
    const now = performance.now();
    for (const [subject, entry] of this.givenUp) {
      if (entry.until < now) this.givenUp.delete(subject);
    }
    if (!this.parts.connected()) return;
    for (const stream of this.running) {
      // An attach is the probe: a worker that is gone has no responders, one that is only slow goes on.
      if (!stream.worker || stream.cancelled || !suspect(stream.tier, stream.worker)) continue;
      if (stream.state === 'running') void this.attach(stream, stream.seen);
      else if (stream.state === 'attaching' && !stream.attached) this.askToAttach(stream);
    }
  }

  // ---- what the relay tells ----

  accepted(stream: Stream, body: Uint8Array): void {
    const { metrics, log } = this.parts;
    if (stream.state === 'running') return;
    let accepted: Accepted;
    try {
      accepted = readAccepted(body);
    } catch (error) {
      return log.warn({ err: error }, 'an acceptance that cannot be read');
    }
    if (stream.state === 'attaching') {
      stream.state = 'running';
      this.armDeadline(stream);
      return stream.attached?.(accepted.ended ? 'ended' : 'resumed');
    }
    stream.state = 'running';
    stream.worker = accepted.worker;
    metrics.attempts.inc({ result: 'accepted' });
    metrics.acceptSeconds.observe((performance.now() - stream.startedAt) / 1_000);
    this.armDeadline(stream);
  }

  firstPiece(stream: Stream): void {
    this.parts.metrics.firstPieceSeconds.observe((performance.now() - stream.startedAt) / 1_000);
  }

  terminal(stream: Stream, kind: 'end' | 'err', body: Uint8Array): void {
    const { session } = stream;
    if (stream.state === 'attaching') return this.attachFailed(stream);
    if (stream.state === 'placing') return this.refused(stream, body);
    if (kind === 'err' && stream.seen === 0 && !stream.cancelled) return this.failedBeforeFirst(stream);
    if (kind === 'end' && stream.seen === 0 && !stream.cancelled) return this.writeAuthored(stream);
    session.sendBytes(body);
    this.finish(stream, kind === 'end' ? 'live' : 'lost');
  }

  noResponders(stream: Stream): void {
    if (stream.state === 'placing') {
      this.parts.metrics.attempts.inc({ result: 'no_responders' });
      return this.tryNext(stream);
    }
    if (stream.state === 'attaching') return this.attachFailed(stream);
    // A cancel that found nobody: the worker is gone.
    if (stream.cancelled) this.writeEnd(stream, 'cancelled');
  }

  gap(stream: Stream): void {
    void this.attach(stream, stream.seen);
  }

  acceptedTooLate(subject: string, body: Uint8Array): void {
    const { subjects, connection } = this.parts;
    const given = this.givenUp.get(subject);
    const to = subjects.parseOut(subject);
    if (!given || !to) return;
    this.givenUp.delete(subject);
    try {
      const { worker } = readAccepted(body);
      const cancel: Control = {
        v: 1,
        op: 'cancel',
        session: to.session,
        s: to.stream,
        // No command is older than this one can be: the try is over, whatever the session did since.
        epoch: Number.MAX_SAFE_INTEGER,
        attempt: to.attempt,
        commit: false,
        reason: 'cancelled',
      };
      connection.publish(subjects.workerControl(given.tier, worker), encode(cancel, 'msgpack'));
    } catch (error) {
      this.parts.log.warn({ err: error }, 'an acceptance that cannot be read');
    }
  }

  // ---- tries ----

  private tryNext(stream: Stream): void {
    const { router, subjects, connection, config, connected } = this.parts;
    const leftMs = stream.deadlineAt - performance.now();
    if (stream.attempt > 0) this.relay.forget(stream.subject);
    if (!connected() || leftMs <= 0 || stream.attempt >= config.maxAttempts)
      return this.writeAuthored(stream);
    const worker = router.choose({
      tier: stream.tier,
      npc: stream.say.npc,
      prefixTokens: Math.ceil(stream.character.persona.length / charsPerToken),
      tried: stream.tried,
    });
    // Nobody known that was not asked: the queue group finds whom this gateway has not heard of, once.
    if (!worker && (stream.tried.has('') || stream.tried.size > 0)) return this.writeAuthored(stream);
    stream.tried.add(worker?.id ?? '');
    stream.worker = worker?.id;
    stream.attempt++;
    stream.state = 'placing';
    stream.encoding = stream.session.encoding;
    const { session, s, attempt } = stream;
    stream.subject = subjects.out({ gateway: this.parts.id, session: session.id, stream: s, attempt });
    this.relay.listen(stream);
    const subject = worker ? subjects.workerGenerate(stream.tier, worker.id) : subjects.generate(stream.tier);
    connection.publish(subject, encode(this.request(stream), 'msgpack'), {
      reply: stream.subject,
      headers: writeHeaders({ budgetMs: leftMs, traceparent: stream.traceparent }),
    });
    this.arm(stream, config.acceptMs, () => {
      this.parts.metrics.attempts.inc({ result: 'timeout' });
      this.giveUp(stream);
      this.tryNext(stream);
    });
  }

  private request(stream: Stream): GenerateRequestInput {
    const { say, session } = stream;
    return {
      v: 1,
      npc: say.npc,
      player: session.player,
      ...(say.text === undefined ? { topic: say.topic } : { text: say.text }),
      context: say.context,
      maxTokens: say.maxTokens,
      session: session.id,
      s: stream.s,
      attempt: stream.attempt,
      epoch: session.epoch,
      encoding: session.encoding,
      frameMs: this.parts.config.frameMs,
    };
  }

  /** The current try is over before it was accepted; whoever has it anyway is told to stop and to commit nothing. */
  private giveUp(stream: Stream): void {
    if (stream.worker) {
      this.command(stream, { op: 'cancel', ...this.ref(stream), commit: false, reason: 'cancelled' });
    } else {
      this.givenUp.set(stream.subject, { tier: stream.tier, until: stream.deadlineAt });
    }
    this.relay.forget(stream.subject);
  }

  private refused(stream: Stream, body: Uint8Array): void {
    const { log, metrics } = this.parts;
    metrics.attempts.inc({ result: 'refused' });
    const code = decode(body, stream.session.encoding).code as ErrorName;
    log.info({ code, worker: stream.worker, npc: stream.say.npc }, 'a worker refused a request');
    this.tryNext(stream);
  }

  private failedBeforeFirst(stream: Stream): void {
    this.parts.metrics.attempts.inc({ result: 'failed' });
    this.tryNext(stream);
  }

  private askToAttach(stream: Stream): void {
    const control: Control = {
      op: 'attach',
      ...this.ref(stream),
      n: stream.seen,
      encoding: stream.session.encoding,
    };
    this.command(stream, control, stream.subject);
  }

  /** No answer in time, and nobody said that the worker is gone: it may be frozen, or only slow. */
  private attachLate(stream: Stream): void {
    if (stream.endedAt > 0 || stream.cancelled || stream.seen === 0) return this.attachFailed(stream);
    stream.attached?.('resumed');
    this.armDeadline(stream);
  }

  /** The worker is gone, or has the stream no more. */
  private attachFailed(stream: Stream): void {
    clearTimeout(stream.timer);
    const tell = stream.attached;
    if (stream.endedAt > 0) {
      stream.state = 'ended';
      this.relay.forget(stream.subject);
      return tell?.('lost');
    }
    if (stream.cancelled) this.writeEnd(stream, 'cancelled');
    else if (stream.seen === 0) {
      // Nothing was read yet, so another worker can begin anew.
      this.giveUp(stream);
      this.tryNext(stream);
    } else this.writeErr(stream, 'lost');
    tell?.(stream.ended ? 'ended' : 'resumed');
  }

  // ---- ends that the gateway writes ----

  /** The character's own line, written by its author. Only where no piece was sent. */
  private writeAuthored(stream: Stream): void {
    const { session, character, s } = stream;
    const line = authoredLine(character, `${session.id} ${s}`);
    stream.seen = 1;
    const end = this.endMessage(stream, 'stop', 'authored');
    stream.written = [{ t: 'tok', s, n: 1, d: line }, end];
    for (const message of stream.written) session.sendBytes(encode(message, session.encoding));
    this.finish(stream, 'authored');
    const { history, log } = this.parts;
    history
      .commit(
        { player: session.player, npc: stream.say.npc, session: session.id, stream: s },
        { player: wordsOf(character, stream.say), npc: line, reason: 'stop', at: Date.now() },
      )
      .catch((error) => log.warn({ err: error }, 'an authored turn could not be written to history'));
  }

  private writeEnd(stream: Stream, reason: EndReason): void {
    stream.written = stream.seen === 0 ? [this.endMessage(stream, reason, 'live')] : undefined;
    stream.session.send(this.endMessage(stream, reason, 'live'));
    this.finish(stream, reason);
  }

  private writeErr(stream: Stream, code: ErrorName): void {
    const { session, s } = stream;
    const err: Err = { t: 'err', s, code, message: errorCodes[code].message };
    if (stream.seen > 0) err.partial = true;
    session.send(err);
    this.finish(stream, code);
  }

  private endMessage(stream: Stream, reason: EndReason, source: End['source']): End {
    const totalMs = Math.round(performance.now() - stream.startedAt);
    return {
      t: 'end',
      s: stream.s,
      n: stream.seen,
      reason,
      tier: source === 'authored' ? 'none' : stream.tier,
      source,
      attempts: stream.attempt,
      model: '',
      usage: { prompt: 0, cached: 0, completion: 0 },
      timings: { queueMs: 0, firstMs: stream.seen > 0 ? totalMs : 0, totalMs },
    };
  }

  private finish(stream: Stream, outcome: string): void {
    clearTimeout(stream.timer);
    this.relay.forget(stream.subject);
    stream.state = 'ended';
    stream.endedAt = performance.now();
    if (this.running.delete(stream)) {
      stream.session.running--;
      this.parts.metrics.ends.inc({ outcome });
    }
  }

  // ---- small things ----

  private ref(stream: Stream) {
    return {
      v: 1,
      session: stream.session.id,
      s: stream.s,
      epoch: stream.session.epoch,
      attempt: stream.attempt,
    };
  }

  private command(stream: Stream, control: Control, reply?: string): void {
    const { connection, subjects } = this.parts;
    if (!stream.worker) return;
    connection.publish(subjects.workerControl(stream.tier, stream.worker), encode(control, 'msgpack'), {
      reply,
    });
  }

  private arm(stream: Stream, ms: number, then: () => void): void {
    clearTimeout(stream.timer);
    stream.timer = setTimeout(then, ms);
  }

  private armDeadline(stream: Stream): void {
    this.arm(stream, Math.max(0, stream.deadlineAt - performance.now()) + deadlineSlackMs, () => {
      if (stream.seen === 0) this.writeAuthored(stream);
      else this.writeErr(stream, 'lost');
    });
  }
}
