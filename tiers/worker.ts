// The worker: takes requests from its queue group and its own subject, accepts or refuses them at once, runs as
// many as the engine can decode together, and hears cancel and attach. What an answer is made of stands in
// answer.ts, how it leaves in outgoing-stream.ts. A worker knows no socket.

import type { Msg, NatsConnection, Subscription } from '@nats-io/nats-core';
import { encode, encodingOf } from '../bus/codec.ts';
import {
  answerEncoding,
  type Beat,
  type Control,
  type GenerateRequest,
  readControl,
  readGenerateRequest,
} from '../bus/envelopes.ts';
import { frameKinds, writeFrame } from '../bus/frames.ts';
import { readHeaders } from '../bus/headers.ts';
import { type Heartbeat, startHeartbeat } from '../bus/heartbeat.ts';
import type { Subjects } from '../bus/subjects.ts';
import { type Character, wordsOf } from '../npcs/characters.ts';
import type { Config } from '../runtime/config.ts';
import { type ErrorName, ParleyError } from '../runtime/errors.ts';
import { type AnswerParts, answer, errorMessage, type Job, Stop } from './answer.ts';
import type { CommitParts } from './commit.ts';
import { Hold } from './hold.ts';
import { OutgoingStream, type Target } from './outgoing-stream.ts';
import { PinLeases } from './pin-leases.ts';
import { Turns } from './turns.ts';

export interface WorkerParts extends AnswerParts, CommitParts {
  readonly id: string;
  readonly connection: NatsConnection;
  readonly subjects: Subjects;
  /** The characters as they are now: their files may change while the worker runs. */
  readonly characters: () => ReadonlyMap<string, Character>;
  /** Whether the model can be given work; while not, the worker says that it takes none, and takes none. */
  readonly isReady: () => boolean;
  readonly config: Pick<
    Config,
    | 'concurrency'
    | 'queueLimit'
    | 'holdMs'
    | 'holdBytes'
    | 'holdStreams'
    | 'beatMs'
    | 'workerBudgetMs'
    | 'drainMs'
  >;
}

interface Running extends Job {
  readonly key: string | undefined;
  readonly deadline: NodeJS.Timeout;
}

export class Worker {
  private readonly parts: WorkerParts;
  private readonly hold: Hold;
  private readonly pins: PinLeases;
  private readonly turns: Turns;
  private readonly queue: Running[] = [];
  private readonly running = new Set<Running>();
  /** Running and queued streams that a gateway may command, by session and stream. */
  private readonly live = new Map<string, Running>();
  private readonly subscriptions: Subscription[] = [];
  private readonly heartbeat: Heartbeat;
  private readonly sweep: NodeJS.Timeout;
  /** Jobs whose turn is not written yet; more than those that run. */
  private unfinished = 0;
  private draining = false;
  private idle: (() => void) | undefined;

  constructor(parts: WorkerParts) {
    this.parts = parts;
    this.hold = new Hold(parts.config);
    this.pins = new PinLeases(parts);
    this.turns = new Turns(parts);
    const { connection, subjects, tier, id } = parts;
    const listen = (subject: string, take: (m: Msg) => void, queue?: string) => {
      const callback = (error: Error | null, message: Msg) => {
        if (error) return parts.log.error({ err: error, subject }, 'cannot listen');
        take(message);
      };
      this.subscriptions.push(connection.subscribe(subject, { queue, callback }));
    };
    listen(subjects.generate(tier), (m) => this.onGenerate(m), subjects.generateQueue(tier));
    listen(subjects.workerGenerate(tier, id), (m) => this.onGenerate(m));
    listen(subjects.workerControl(tier, id), (m) => this.onControl(m));
    this.heartbeat = startHeartbeat({
      connection,
      subjects,
      beatMs: parts.config.beatMs,
      read: () => this.beat(),
    });
    this.sweep = setInterval(() => this.measure(), 1_000);
  }

  /** Takes nothing new, sends what waits back to be asked elsewhere, lets what runs finish within `drainMs`. */
  async drain(): Promise<void> {
    this.draining = true;
    this.pins.close();
    this.parts.ahead.close();
    this.heartbeat.beatNow();
    for (const job of this.queue.splice(0)) this.refuseQueued(job);
    if (this.unfinished > 0) {
      const idle = new Promise<void>((resolve) => {
        this.idle = resolve;
      });
      const late = setTimeout(() => {
        for (const job of this.running) job.abort.abort(new Stop('lost', true));
      }, this.parts.config.drainMs);
      await idle;
      clearTimeout(late);
    }
    this.heartbeat.stop();
    clearInterval(this.sweep);
    for (const subscription of this.subscriptions) subscription.unsubscribe();
    await this.parts.connection.flush().catch(() => {});
  }

  /** Tells gateways at once that it takes work again, or no longer. */
  readinessChanged(): void {
    this.heartbeat.beatNow();
  }

  private onGenerate(message: Msg): void {
    const { subjects, metrics, log, id } = this.parts;
    const arrivedAt = performance.now();
    const reply = message.reply;
    if (!reply) {
      metrics.requests.inc({ result: 'no_reply' });
      return log.warn('a request without a reply subject: nobody would hear the answer');
    }
    const to = subjects.parseOut(reply);
    // Ours but no `out` subject: somebody would have this worker speak on a subject that is not for answers.
    if (!to && subjects.isOurs(reply)) {
      metrics.requests.inc({ result: 'forged_reply' });
      return log.warn({ reply }, 'a request that would be answered on a subject of the deployment');
    }
    let request: GenerateRequest;
    let character: Character;
    try {
      request = readGenerateRequest(message.data);
      if (
        to &&
        (request.session !== to.session || request.s !== to.stream || request.attempt !== to.attempt)
      ) {
        throw new ParleyError(
          'bad_message',
          'generate: the request and its reply subject name different streams',
        );
      }
      character = this.characterOf(request);
    } catch (error) {
      const code: ErrorName = error instanceof ParleyError ? error.code : 'internal';
      log.warn(
        { code, detail: error instanceof ParleyError ? error.detail : String(error) },
        'a request that cannot be read',
      );
      const target: Target = {
        reply,
        encoding: encodingOf(message.data),
        attempt: to?.attempt ?? 1,
        prefixed: to !== undefined,
      };
      return this.refuse(target, to?.stream ?? 0, code);
    }

    const target: Target = {
      reply,
      encoding: answerEncoding(request, message.data),
      attempt: request.attempt,
      prefixed: to !== undefined,
    };
    const budgetMs = readHeaders(message.headers).budgetMs ?? this.parts.config.workerBudgetMs;
    if (budgetMs <= 0) return this.refuse(target, request.s, 'expired');
    const waits = this.running.size >= this.parts.config.concurrency;
    if (this.takesNothing || (waits && this.queue.length >= this.parts.config.queueLimit)) {
      return this.refuse(target, request.s, 'overloaded');
    }

    const key = to ? Hold.key(to.session, to.stream) : undefined;
    // A newer try of a stream that this worker has already: the older one was given up.
    const older = key ? this.live.get(key) : undefined;
    if (older) {
      older.givenUp = true;
      older.abort.abort(new Stop('cancelled', false));
    }
    const stream = new OutgoingStream(this.parts.connection, target, {
      s: request.s,
      epoch: request.epoch,
      frameMs: request.frameMs,
      said: request.said,
    });
    const abort = new AbortController();
    const deadline = setTimeout(() => abort.abort(new Stop('deadline', true)), budgetMs);
    const job: Running = { request, character, stream, abort, arrivedAt, key, deadline };
    if (key) {
      this.hold.add(key, stream);
      this.live.set(key, job);
    }
    metrics.requests.inc({ result: 'accepted' });
    stream.accept({ v: 1, worker: id, attempt: request.attempt, queued: this.queue.length });
    this.queue.push(job);
    // Whoever is stopped while waiting leaves the queue at once.
    abort.signal.addEventListener('abort', () => {
      const at = this.queue.indexOf(job);
      if (at < 0) return;
      this.queue.splice(at, 1);
      void this.run(job);
    });
    this.startWaiting();
  }

  private get takesNothing(): boolean {
    return this.draining || !this.parts.isReady();
  }

  private onControl(message: Msg): void {
    let control: Control;
    try {
      control = readControl(message.data);
    } catch (error) {
      return this.parts.log.warn({ err: error }, 'a control message that cannot be read');
    }
    switch (control.op) {
      case 'probe':
        return void message.respond();
      case 'pin':
        return void message.respond(encode(this.pins.pin(control), 'msgpack'));
      case 'release':
        return this.pins.release(control);
    }
    const key = Hold.key(control.session, control.s);
    switch (control.op) {
      case 'cancel': {
        const job = this.live.get(key);
        if (!job || job.stream.attempt !== control.attempt || control.epoch < job.stream.epoch) return;
        // Also when the stream has ended meanwhile: what was given up is not committed.
        if (!control.commit) job.givenUp = true;
        job.abort.abort(new Stop(control.reason, control.commit));
        return;
      }
      case 'attach':
        return this.attach(message, control, this.hold.get(key));
    }
  }

  private attach(
    message: Msg,
    control: Extract<Control, { op: 'attach' }>,
    stream: OutgoingStream | undefined,
  ): void {
    const { subjects, id, log } = this.parts;
    const to = message.reply ? subjects.parseOut(message.reply) : undefined;
    if (!to || to.session !== control.session || to.stream !== control.s || to.attempt !== control.attempt) {
      return log.warn({ reply: message.reply }, 'an attach whose reply subject is not its stream');
    }
    const target: Target = {
      reply: message.reply!,
      encoding: control.encoding,
      attempt: control.attempt,
      prefixed: true,
    };
    if (stream?.attempt !== control.attempt || !stream.canAttach(control.n)) {
      return this.refuse(target, control.s, 'lost');
    }
    if (control.epoch < stream.epoch) return;
    stream.epoch = control.epoch;
    stream.attach(target, control.n, control.withKept, {
      v: 1,
      worker: id,
      attempt: control.attempt,
      queued: 0,
    });
  }

  private characterOf(request: GenerateRequest): Character {
    const character = this.parts.characters().get(request.npc);
    if (!character) throw new ParleyError('unknown_npc', `no character ${JSON.stringify(request.npc)}`);
    if (request.mode !== 'think') wordsOf(character, request);
    return character;
  }

  /** Answers a request that is not taken; the first and only frame of its stream. */
  private refuse(target: Target, s: number, code: ErrorName): void {
    this.parts.metrics.requests.inc({ result: code });
    const body = encode(errorMessage(s, code), target.encoding);
    const frame = target.prefixed ? writeFrame(frameKinds.err, target.attempt, 0, 0, body) : body;
    this.parts.connection.publish(target.reply, frame);
  }

  private refuseQueued(job: Running): void {
    this.forget(job);
    job.stream.end(errorMessage(job.request.s, 'overloaded'));
  }

  private startWaiting(): void {
    while (this.running.size < this.parts.config.concurrency) {
      const job = this.queue.shift();
      if (!job) return;
      void this.run(job);
    }
  }

  private async run(job: Running): Promise<void> {
    this.running.add(job);
    this.unfinished++;
    const turn = await this.turns.begin(job);
    const ending = await answer(job, this.parts);
    this.running.delete(job);
    this.startWaiting();
    // Redis may be slow; the place is free meanwhile, but the stream can still be given up.
    await turn.end(ending);
    this.forget(job);
    if (--this.unfinished === 0) this.idle?.();
  }

  private forget(job: Running): void {
    clearTimeout(job.deadline);
    if (!job.key) return;
    if (this.live.get(job.key) === job) this.live.delete(job.key);
    this.hold.finished(job.key, job.stream);
  }

  private beat(): Omit<Beat, 'v' | 'seq'> {
    const { id, tier, engine, config } = this.parts;
    const stats = engine.stats();
    return {
      worker: id,
      tier,
      model: engine.model,
      engine: engine.name,
      draining: this.takesNothing,
      active: this.running.size,
      queued: this.queue.length,
      concurrency: config.concurrency,
      queueLimit: config.queueLimit,
      prefillMsPerToken: stats.prefillMsPerToken,
      decodeMsPerToken: stats.decodeMsPerToken,
      resident: [...stats.resident],
      pinned: [...stats.pinned],
      continues: engine.continues,
    };
  }

  private measure(): void {
    const { metrics, engine } = this.parts;
    this.hold.sweep();
    metrics.onKv(engine.stats());
    metrics.active.set(this.running.size);
    metrics.queued.set(this.queue.length);
    metrics.held.set(this.hold.size);
    metrics.heldBytes.set(this.hold.bytes);
  }
}
