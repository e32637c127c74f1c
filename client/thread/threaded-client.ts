// A client as the game's thread sees it: the same to use as ParleyClient, which runs in the thread of serve.ts. Orders go
// there, news come from there when the thread's owner pumps; in between it shows numbers that both threads share.

import type { Act, Welcome } from '../../bus/protocol.ts';
import { closeCodes } from '../../runtime/errors.ts';
import type { Clock } from '../clock.ts';
import type { ClientMindOptions } from '../controller/client-mind.ts';
import type { Mind } from '../controller/mind.ts';
import { Emitter } from '../emitter.ts';
import { ClosedError, ServerError, StreamError } from '../errors.ts';
import { type Job, RunningJob } from '../job.ts';
import { Npc } from '../npc.ts';
import type {
  ClientEvents,
  ClientOptions,
  ClientState,
  ClientStats,
  SayOptions,
  ThinkOptions,
} from '../options.ts';
import { RunningStream, type Stream } from '../stream.ts';
import type { Line } from './line.ts';
import { type Fault, kind, type News, type Order, shown, states } from './messages.ts';
import { ThreadedMind } from './threaded-mind.ts';

/** What is needed of the thread. */
export interface Side {
  readonly line: Line;
  /** Has the thread look, unless it looks by itself. */
  knock(): void;
  /** Calls `send` at a better time, in their order: with the next pump of a loop that pumps, otherwise at once. */
  later(send: () => void): void;
  /** The thread has no more to say of the client. */
  over(client: ThreadedClient): void;
}

/** ParleyClient's options; the thread has a WebSocket of its own. */
export type ThreadedClientOptions = Omit<ClientOptions, 'WebSocket'>;

export class ThreadedClient extends Emitter<ClientEvents> {
  /** The server's clock, as ParleyClient has it. */
  readonly clock: Pick<Clock, 'now' | 'offsetMs' | 'tripMs'>;
  readonly stats: Readonly<ClientStats>;
  /** Its number among the clients of the thread. */
  readonly number: number;
  readonly #options: ThreadedClientOptions;
  readonly #side: Side;
  readonly #numbers: Float64Array;
  readonly #running = new Map<number, RunningStream | RunningJob>();
  #last = 0;
  #started = false;
  #closed: ClosedError | undefined;
  #limits: Welcome['limits'] | undefined;
  #connected: Promise<Welcome> | undefined;
  #settle: { resolve(welcome: Welcome): void; reject(error: Error): void } | undefined;
  #mind: ThreadedMind | undefined;

  /** `numbers`: those of this client that both threads share. */
  constructor(options: ThreadedClientOptions, number: number, numbers: Float64Array, side: Side) {
    super();
    const { token, url, encoding, reconnect, connectMs, observeBufferBytes } = options;
    this.#options = options;
    this.#side = side;
    this.#numbers = numbers;
    this.number = number;
    this.stats = statsOf(numbers);
    this.clock = clockOf(numbers);
    this.#order({
      op: 'open',
      options: { url, encoding, reconnect, connectMs, observeBufferBytes },
      token: typeof token === 'string' ? token : undefined,
    });
  }

  get state(): ClientState {
    if (this.#closed) return 'closed';
    return this.#started ? states[Math.max(1, this.#numbers[shown.state]!)]! : 'idle';
  }

  get limits(): Welcome['limits'] | undefined {
    return this.#limits;
  }

  get buffered(): number {
    return this.#numbers[shown.buffered]!;
  }

  /** As ParleyClient.connect. */
  connect({ signal }: { signal?: AbortSignal } = {}): Promise<Welcome> {
    if (this.#connected) return this.#connected;
    if (this.#closed) return Promise.reject(this.#closed);
    this.#started = true;
    this.#connected = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
    });
    const stop = () => this.#stop(closedHere(signal?.reason));
    const forget = () => signal?.removeEventListener('abort', stop);
    this.#connected.then(forget, forget);
    signal?.addEventListener('abort', stop, { once: true });
    this.#order({ op: 'connect' });
    if (signal?.aborted) stop();
    return this.#connected;
  }

  npc(id: string): Npc {
    return new Npc(this, id);
  }

  /** As ParleyClient.say; the stream's `s` is its number here. */
  say({ signal, ...words }: SayOptions): Stream {
    return this.#ask('say', words.npc, (id) => this.#orderLater({ op: 'say', id, words }), signal);
  }

  /** As ParleyClient.think. */
  think({ signal, ...words }: ThinkOptions): Stream {
    return this.#ask('think', words.npc, (id) => this.#orderLater({ op: 'think', id, words }), signal);
  }

  /** As ParleyClient.job. */
  job(name: string, input: unknown, { signal }: { signal?: AbortSignal } = {}): Job {
    this.#mustHaveConnected('job');
    const id = ++this.#last;
    if (!this.#closed) this.#orderData({ op: 'job', id, kind: name, input });
    const job = new RunningJob({ t: 'job', s: id, kind: name, input }, () => this.#cancel(id));
    this.#start(job, signal);
    return job;
  }

  /** As ParleyClient.observe, but true means that it was handed over: `stats` says whether it was sent. */
  observe(what: string, details: Record<string, unknown> = {}): boolean {
    if (this.state !== 'online') return false;
    this.#orderData({ op: 'observe', kind: what, details });
    return true;
  }

  refresh(token: string): void {
    this.#order({ op: 'refresh', token });
  }

  drop(): void {
    this.#order({ op: 'drop' });
  }

  close(): void {
    this.#stop(new ClosedError(closeCodes.bye.code, closeCodes.bye.reason));
  }

  /** The mind that asks the model from the thread, for `clientMind`. A client has one; the first options count. */
  mind({ budgetMs, backedUpBytes = 65_536 }: ClientMindOptions = {}): Mind {
    if (!this.#mind) {
      this.#order({ op: 'mind', budgetMs, backedUpBytes });
      this.#mind = new ThreadedMind({
        client: this.number,
        line: this.#side.line,
        knock: () => this.#side.knock(),
        mayAsk: () => this.state === 'online' && this.buffered <= backedUpBytes,
        order: (order) => this.#order(order),
      });
    }
    return this.#mind;
  }

  // ---- news from the thread; called by its owner ----

  /** Takes the message that the line has just read. */
  hear(line: Line): void {
    const { b, c } = line;
    switch (line.kind) {
      case kind.words:
        this.#running.get(b)?.apply({ t: 'tok', s: b, n: c, d: line.text() });
        break;
      case kind.act:
      case kind.done:
      case kind.failed:
        this.#mind?.hear(line);
        break;
      case kind.json:
        this.#hearNews(JSON.parse(line.text()) as News);
        break;
      case kind.packed:
        this.#hearNews(line.packed() as News);
    }
  }

  /** The thread is gone, and all that ran in it. */
  fail(error: ClosedError): void {
    this.#shut(error);
  }

  #hearNews(news: News): void {
    // The last that the thread has to say of it, also when it was closed here.
    if (news.op === 'closed') {
      this.#side.over(this);
      this.#shut(errorOf(news.fault, 0) as ClosedError);
    }
    if (this.#closed) return;
    switch (news.op) {
      case 'token':
        void this.#giveToken(news.ask);
        break;
      case 'welcome':
        this.#limits = news.welcome.limits;
        this.#settle?.resolve(news.welcome);
        this.emit('welcome', news.welcome);
        break;
      case 'disconnected':
        this.emit('disconnected', { code: news.code, reason: news.reason });
        break;
      case 'reconnecting':
        this.emit('reconnecting', { attempt: news.attempt, delayMs: news.delayMs });
        break;
      case 'push':
      case 'ignored':
        this.emit(news.op, news.value as never);
        break;
      case 'error':
        this.emit('error', errorOf(news.fault, 0) as ServerError);
        break;
      case 'speech': {
        // It cannot be cancelled: others may hear the same words.
        const stream = new RunningStream(news.npc, news.id, undefined, () => {});
        this.#running.set(news.id, stream);
        this.emit('speech', stream);
        break;
      }
      case 'act':
        this.#running.get(news.id)?.apply({ ...(news.act as Act), t: 'act', s: news.id });
        break;
      case 'progress':
        this.#running.get(news.id)?.apply({ ...(news.value as object), t: 'job', s: news.id });
        break;
      case 'result':
        this.#running.get(news.id)?.apply({ t: 'job', s: news.id, result: news.value });
        this.#running.delete(news.id);
        break;
      case 'end': {
        const stream = this.#running.get(news.id);
        this.#running.delete(news.id);
        if (stream instanceof RunningStream) stream.finish(news.end);
        break;
      }
      case 'failed': {
        const asked = this.#running.get(news.id);
        this.#running.delete(news.id);
        asked?.fail(errorOf(news.fault, news.id) as StreamError);
      }
    }
  }

  // ---- inside ----

  #ask(what: string, npc: string, order: (id: number) => void, signal: AbortSignal | undefined): Stream {
    this.#mustHaveConnected(what);
    const id = ++this.#last;
    if (!this.#closed) order(id);
    const stream = new RunningStream(npc, id, { t: 'say', s: id, npc }, () => this.#cancel(id));
    this.#start(stream, signal);
    return stream;
  }

  #start(asked: RunningStream | RunningJob, signal: AbortSignal | undefined): void {
    if (this.#closed) {
      asked.fail(closedHere());
      return;
    }
    this.#running.set(asked.s, asked);
    if (!signal) return;
    const cancel = () => asked.cancel();
    if (signal.aborted) cancel();
    else signal.addEventListener('abort', cancel, { once: true });
  }

  #cancel(id: number): void {
    this.#orderLater({ op: 'cancel', id });
  }

  #mustHaveConnected(what: string): void {
    if (!this.#started && !this.#closed) throw new Error(`${what}: call connect first`);
  }

  async #giveToken(ask: number): Promise<void> {
    const { token } = this.#options;
    try {
      this.#order({ op: 'token', ask, token: typeof token === 'string' ? token : await token() });
    } catch (error) {
      this.#order({ op: 'token', ask, why: (error as Error)?.message ?? String(error) });
    }
  }

  #stop(error: ClosedError): void {
    this.#order({ op: 'close' });
    this.#shut(error);
  }

  #shut(error: ClosedError): void {
    if (this.#closed) return;
    this.#closed = error;
    for (const asked of [...this.#running.values()]) asked.fail(error);
    this.#running.clear();
    this.#settle?.reject(error);
    this.emit('closed', { code: error.code, reason: error.reason, error });
  }

  #order(order: Order): void {
    if (this.#closed) return;
    this.#side.line.send(kind.json, this.number, 0, 0, JSON.stringify(order));
    this.#side.knock();
  }

  #orderLater(order: Order): void {
    this.#side.later(() => this.#order(order));
  }

  /** Throws TypeError for data that cannot be written. */
  #orderData(order: Order): void {
    this.#side.line.sendPacked(kind.packed, this.number, 0, 0, order);
    this.#side.knock();
  }
}

function errorOf(fault: Fault, s: number): ServerError | ClosedError {
  if (fault.of === 'server') return s === 0 ? new ServerError(fault) : new StreamError(s, fault);
  const { code, reason, why } = fault;
  return new ClosedError(code, reason, why === undefined ? undefined : { cause: new Error(why) });
}

function closedHere(cause?: unknown): ClosedError {
  return new ClosedError(closeCodes.bye.code, 'the client is closed', { cause });
}

const known = (value: number) => (Number.isNaN(value) ? undefined : value);

function clockOf(n: Float64Array): ThreadedClient['clock'] {
  return {
    now: () => performance.timeOrigin + performance.now() + n[shown.clockOffsetMs]!,
    get offsetMs() {
      return n[shown.clockOffsetMs]!;
    },
    get tripMs() {
      return known(n[shown.clockTripMs]!);
    },
  };
}

/** Counters that are read where the thread writes them. */
function statsOf(n: Float64Array): Readonly<ClientStats> {
  const at = (place: number) => ({ enumerable: true, get: () => n[place]! });
  const { reconnects, resumed, frames, bytes, ignored, observed, observeDropped, lastFirstTokenMs } = shown;
  return Object.defineProperties({} as ClientStats, {
    reconnects: at(reconnects),
    resumed: at(resumed),
    frames: at(frames),
    bytes: at(bytes),
    ignored: at(ignored),
    observed: at(observed),
    observeDropped: at(observeDropped),
    lastFirstTokenMs: { enumerable: true, get: () => known(n[lastFirstTokenMs]!) },
  });
}
