// Finds a worker for a stream, and another one when it is lost: tries, acceptance, fail-over, cancel and attach. A
// character never goes silent: what no worker can begin becomes an authored line, what nobody can finish an
// honest `err` (endings.ts).

import type { NatsConnection } from '@nats-io/nats-core';
import { decode, encode, encodingOf } from '../bus/codec.ts';
import { type Accepted, type Control, type GenerateRequestInput, readAccepted } from '../bus/envelopes.ts';
import { writeHeaders } from '../bus/headers.ts';
import type { History } from '../bus/history.ts';
import type { SessionStore } from '../bus/session-store.ts';
import type { Subjects } from '../bus/subjects.ts';
import type { Verb } from '../npcs/verbs.ts';
import type { Config } from '../runtime/config.ts';
import type { ErrorName } from '../runtime/errors.ts';
import type { Log } from '../runtime/log.ts';
import type { GatewayMetrics, RelayCounts } from '../runtime/metrics.ts';
import { ActAuthority } from './act-authority.ts';
import { flushStream } from './delivery.ts';
import { Endings } from './endings.ts';
import { GivenUpTries } from './given-up-tries.ts';
import { Relay, type StreamEvents } from './relay.ts';
import type { Router } from './route.ts';
import type { AttachResult, Stream } from './stream.ts';

export interface PlacementParts {
  readonly id: string;
  readonly connection: NatsConnection;
  /** Whether NATS can be reached now. */
  readonly connected: () => boolean;
  readonly subjects: Subjects;
  readonly router: Router;
  /** What characters can do, as it is now. */
  readonly verbs: () => ReadonlyMap<string, Verb>;
  readonly history: History;
  readonly store: SessionStore;
  readonly counts: RelayCounts;
  readonly metrics: GatewayMetrics;
  readonly log: Log;
  /** Told when another gateway would need to know something new about a stream. */
  readonly remember: (stream: Stream) => void;
  readonly config: Pick<Config, 'acceptMs' | 'actMs' | 'maxAttempts' | 'frameMs' | 'maxKeptBytes'>;
}

/** How long a worker may take to end a stream that was cancelled, or to answer an attach. */
const answerMs = 1_000;
/** A worker keeps to the deadline by itself; this is for one that cannot any more. */
const deadlineSlackMs = 1_000;
/** Characters of a prompt in a token, roughly, for routing. */
const charsPerToken = 4;

export class Placement implements StreamEvents {
  /** Streams that have not ended. */
  readonly running = new Set<Stream>();
  readonly endings: Endings;
  private readonly parts: PlacementParts;
  private readonly relay: Relay;
  private readonly givenUp: GivenUpTries;

  constructor(parts: PlacementParts) {
    this.parts = parts;
    const { connection, subjects, id, counts, log, history, store, metrics } = parts;
    this.givenUp = new GivenUpTries(parts);
    const { maxKeptBytes } = parts.config;
    const authority = new ActAuthority(parts);
    this.relay = new Relay({
      connection,
      subjects,
      gateway: id,
      events: this,
      authority,
      counts,
      log,
      maxKeptBytes,
    });
    this.endings = new Endings({ history, store, metrics, log, ended: (stream) => this.ended(stream) });
  }

  /** Begins a stream that was admitted. */
  begin(stream: Stream): void {
    this.adopt(stream);
    stream.triesLeft = this.parts.config.maxAttempts;
    this.tryNext(stream);
  }

  /** Takes over a stream that another gateway began; `attach` comes next. */
  adopt(stream: Stream): void {
    this.running.add(stream);
  }

  /** The player wants no more of it. The worker stops its engine and says `end`; so does the gateway if it does not. */
  cancel(stream: Stream): void {
    if (stream.ended || stream.cancelled) return;
    stream.cancelled = true;
    if (stream.state === 'placing') {
      this.giveUp(stream);
      return this.endings.stopped(stream, 'cancelled');
    }
    this.command(stream, { op: 'cancel', ...this.ref(stream), commit: true, reason: 'cancelled' });
    // What came before the worker's `end` may have to be decided first.
    const ms = answerMs + (stream.asking ? this.parts.config.actMs : 0);
    this.arm(stream, ms, () => this.endings.stopped(stream, 'cancelled'));
  }

  /** Another gateway has it now: nothing of it is heard here any more, and nothing is said about it. */
  release(stream: Stream): void {
    if (stream.state === 'placing' && !stream.ended) this.giveUp(stream);
    clearTimeout(stream.timer);
    this.relay.forget(stream.subject);
    this.running.delete(stream);
    stream.asking = undefined;
    stream.attached?.('lost');
    stream.state = 'ended';
  }

  /**
   * Asks the worker to go on from after piece `n`, in the encoding that the session speaks now. Resolves with what
   * became of the stream (`lost` only for one that had ended); its frames follow by themselves.
   */
  attach(stream: Stream, n: number): Promise<AttachResult> {
    const { session } = stream;
    if (stream.state === 'placing') {
      // The try under way writes the encoding of the lost socket; if the new one speaks another, it is made again.
      if (stream.encoding !== session.encoding) {
        this.giveUp(stream);
        this.tryNext(stream);
      }
      return Promise.resolve('resumed');
    }
    if (stream.ended && stream.worker === undefined) return Promise.resolve('lost');
    stream.attached?.('resumed');
    stream.state = 'attaching';
    stream.terminal = undefined;
    // What waits for an act comes again.
    if (stream.asking) Object.assign(stream.asking, { held: [], heldBytes: 0, overflowed: false });
    // What is kept must begin at piece 1 and end at `n`, or be made whole by the worker.
    const withKept = stream.kept.segments(n) === undefined;
    if (withKept) stream.kept.clear();
    stream.seen = n;
    stream.sent = n;
    stream.subject = this.outSubject(stream);
    this.relay.listen(stream);
    return new Promise((resolve) => {
      stream.attached = (state) => {
        stream.attached = undefined;
        resolve(state);
      };
      this.askToAttach(stream, withKept);
      this.arm(stream, answerMs, () => this.attachLate(stream));
    });
  }

  /** A probe of this stream's worker found nobody, or it has been silent for too long: the next worker goes on. */
  moveOn(stream: Stream): void {
    if (stream.ended) return;
    if (stream.cancelled) return this.endings.stopped(stream, 'cancelled');
    // Whoever goes on must know whether the act was done.
    if (stream.asking) {
      stream.asking.after = () => this.moveOn(stream);
      return;
    }
    const tell = stream.attached;
    this.giveUp(stream);
    stream.tried = new Set(stream.worker ? [stream.worker] : []);
    stream.triesLeft = this.parts.config.maxAttempts;
    stream.said = stream.seen > 0 ? stream.kept.segments(stream.seen) : undefined;
    if (stream.seen > 0 && !stream.said) this.endings.failed(stream, 'lost');
    else {
      if (stream.said) this.parts.metrics.failOvers.inc();
      this.tryNext(stream);
    }
    tell?.(stream.ended ? 'ended' : 'resumed');
  }

  /** Asks again where an attach got no answer yet. */
  askAgain(stream: Stream): void {
    if (stream.state === 'attaching' && !stream.attached) this.askToAttach(stream, false);
  }

  /** Forgets tries that are too old to be accepted. */
  sweep(): void {
    this.givenUp.sweep();
  }

  // ---- what the relay tells ----

  accepted(stream: Stream, body: Uint8Array): void {
    const { metrics, log } = this.parts;
    if (stream.state === 'running' || stream.state === 'ended') return;
    let accepted: Accepted;
    try {
      accepted = readAccepted(body);
    } catch (error) {
      return log.warn({ err: error }, 'an acceptance that cannot be read');
    }
    const attaching = stream.state === 'attaching';
    stream.state = 'running';
    this.armDeadline(stream);
    if (attaching) return stream.attached?.(accepted.ended ? 'ended' : 'resumed');
    stream.worker = accepted.worker;
    stream.said = undefined;
    metrics.attempts.inc({ result: 'accepted' });
    metrics.acceptSeconds.observe((performance.now() - stream.startedAt) / 1_000);
    this.parts.remember(stream);
  }

  firstPiece(stream: Stream): void {
    this.parts.metrics.firstPieceSeconds.observe((performance.now() - stream.startedAt) / 1_000);
  }

  terminal(stream: Stream, kind: 'end' | 'err', body: Uint8Array): void {
    switch (stream.state) {
      case 'placing':
        return this.refused(stream, body);
      case 'attaching':
        return this.attachFailed(stream);
      case 'ended':
        return;
    }
    if (kind === 'end' && (stream.seen > 0 || stream.cancelled || stream.thinks))
      return this.endings.forwarded(stream, body);
    if (kind === 'end') return this.endings.authored(stream);
    this.parts.metrics.attempts.inc({ result: 'failed' });
    this.moveOn(stream);
  }

  noResponders(stream: Stream): void {
    if (stream.state === 'placing') {
      this.parts.metrics.attempts.inc({ result: 'no_responders' });
      return this.tryNext(stream);
    }
    if (stream.state === 'attaching') this.attachFailed(stream);
  }

  gap(stream: Stream): void {
    void this.attach(stream, stream.seen);
  }

  acceptedTooLate(subject: string, body: Uint8Array): void {
    this.givenUp.accepted(subject, body);
  }

  // ---- tries ----

  private tryNext(stream: Stream): void {
    const { router, subjects, connection, config, connected } = this.parts;
    const leftMs = stream.deadlineAt - performance.now();
    if (stream.attempt > 0) this.relay.forget(stream.subject);
    if (leftMs <= 0) return this.nobody(stream, 'expired');
    if (!connected() || stream.triesLeft-- <= 0) return this.nobody(stream);
    const worker = router.choose({
      tier: stream.tier,
      npc: stream.say.npc,
      prefixTokens: Math.ceil(stream.character.persona.length / charsPerToken),
      tried: stream.tried,
      continues: stream.said !== undefined,
    });
    // Nobody known that was not asked: the queue group finds whom this gateway has not heard of, once.
    if (!worker && stream.tried.size > 0) return this.nobody(stream);
    stream.tried.add(worker?.id ?? '');
    stream.worker = worker?.id;
    stream.attempt++;
    stream.state = 'placing';
    stream.encoding = stream.session.encoding;
    stream.subject = this.outSubject(stream);
    this.relay.listen(stream);
    const subject = worker ? subjects.workerGenerate(stream.tier, worker.id) : subjects.generate(stream.tier);
    connection.publish(subject, encode(this.request(stream), 'msgpack'), {
      reply: stream.subject,
      headers: writeHeaders({ budgetMs: leftMs, traceparent: stream.traceparent }),
    });
    this.arm(stream, config.acceptMs, () => this.acceptLate(stream, leftMs));
  }

  /**
   * Nobody has accepted in time. With another worker to ask it is asked; otherwise the one that was asked is waited
   * for while tries are left, and in mid-sentence for as long as it beats: when a worker dies, all its streams come
   * to the others at once, who need more than a moment to accept them, and half an answer is worse than a late one.
   */
  private acceptLate(stream: Stream, leftMs: number): void {
    const { config, metrics, router } = this.parts;
    metrics.attempts.inc({ result: 'timeout' });
    const waits = stream.worker !== undefined && router.knows(stream.tier, stream.worker);
    if (waits && !router.hasOther(stream) && leftMs > 0 && (stream.said || stream.triesLeft-- > 0)) {
      return this.arm(stream, config.acceptMs, () => this.acceptLate(stream, leftMs - config.acceptMs));
    }
    this.giveUp(stream);
    this.tryNext(stream);
  }

  private request(stream: Stream): GenerateRequestInput {
    const { say, session } = stream;
    return {
      v: 1,
      npc: say.npc,
      player: session.player,
      text: say.text,
      topic: say.topic,
      mode: stream.thinks ? 'think' : undefined,
      context: say.context,
      g: say.g,
      maxTokens: say.maxTokens,
      session: session.id,
      s: stream.s,
      attempt: stream.attempt,
      epoch: session.epoch,
      encoding: session.encoding,
      frameMs: this.parts.config.frameMs,
      said: stream.said,
    };
  }

  /** The current try is over; whoever has it anyway is told to stop and to commit nothing. */
  private giveUp(stream: Stream): void {
    if (stream.worker) {
      this.command(stream, { op: 'cancel', ...this.ref(stream), commit: false, reason: 'cancelled' });
    } else {
      this.givenUp.add(stream.subject, stream.tier, stream.deadlineAt);
    }
    this.relay.forget(stream.subject);
  }

  private refused(stream: Stream, body: Uint8Array): void {
    const { log, metrics } = this.parts;
    metrics.attempts.inc({ result: 'refused' });
    let code: unknown;
    try {
      code = decode(body, encodingOf(body)).code;
    } catch {
      // A refusal all the same.
    }
    log.info({ code, worker: stream.worker, npc: stream.say.npc }, 'a worker refused a request');
    this.tryNext(stream);
  }

  /** No worker takes it. An authored line is no answer where nobody has spoken. */
  private nobody(stream: Stream, code: ErrorName = 'overloaded'): void {
    if (stream.seen > 0) this.endings.failed(stream, 'lost');
    else if (stream.thinks) this.endings.failed(stream, code);
    else this.endings.authored(stream);
  }

  // ---- attach ----

  private askToAttach(stream: Stream, withKept: boolean): void {
    const { encoding } = stream.session;
    stream.encoding = encoding;
    const ref = this.ref(stream);
    this.command(stream, { op: 'attach', ...ref, n: stream.seen, encoding, withKept }, stream.subject);
  }

  /** No answer in time, and nobody said that the worker is gone: it may be frozen, or only slow. */
  private attachLate(stream: Stream): void {
    if (stream.ended || stream.cancelled || stream.seen === 0) return this.attachFailed(stream);
    stream.attached?.('resumed');
    this.armDeadline(stream);
  }

  /** The worker is gone, or has the stream no more. */
  private attachFailed(stream: Stream): void {
    clearTimeout(stream.timer);
    if (!stream.ended) return this.moveOn(stream);
    stream.state = 'ended';
    this.relay.forget(stream.subject);
    stream.attached?.('lost');
  }

  // ---- small things ----

  private ended(stream: Stream): void {
    stream.asking = undefined;
    this.relay.forget(stream.subject);
    this.running.delete(stream);
    this.parts.remember(stream);
  }

  private outSubject({ session, s, attempt }: Stream): string {
    return this.parts.subjects.out({ gateway: this.parts.id, session: session.id, stream: s, attempt });
  }

  private ref(stream: Stream) {
    const { session, s, attempt } = stream;
    return { v: 1, session: session.id, s, epoch: session.epoch, attempt };
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
    const leftMs = Math.max(0, stream.deadlineAt - performance.now());
    this.arm(stream, leftMs + deadlineSlackMs, () => {
      this.giveUp(stream);
      if (!stream.ended) this.nobody(stream, 'expired');
    });
  }
}

/** Sends what the gateway has kept of a stream, or asks the worker for it. */
export function catchUp(stream: Stream, placement: Placement): void {
  if (flushStream(stream)) return;
  void placement.attach(stream, stream.sent).then((state) => {
    // It had ended, and its worker has it no more: what is missing is missing for good.
    if (state === 'lost' && stream.session.socket) placement.endings.failed(stream, 'lost');
  });
}
