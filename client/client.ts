// The client: one player's session over as many connections as it takes. Comes back after a loss and resumes, and closes
// for good where the table of close codes says so. What a single connection does is in connection.ts, what becomes of
// answers and jobs in streams.ts.

import type { ServerMessage, Welcome } from '../bus/protocol.ts';
import { closeCodes } from '../runtime/errors.ts';
import { backoffMs } from './backoff.ts';
import { Clock } from './clock.ts';
import { encode, type Incoming, isMap, type SayMessage } from './codec.ts';
import { Connection, comingBack, type SocketConstructor } from './connection.ts';
import { Emitter } from './emitter.ts';
import { ClosedError, errOf, retryOf, ServerError } from './errors.ts';
import type { Job } from './job.ts';
import { Npc } from './npc.ts';
import { Observing } from './observing.ts';
import type {
  ClientEvents,
  ClientOptions,
  ClientState,
  ClientStats,
  SayOptions,
  ThinkOptions,
} from './options.ts';
import type { Stream } from './stream.ts';
import { type IgnoredWhy, Streams } from './streams.ts';

/** A connection that stood for this long was a good one: the next loss starts with the shortest delay again. */
const steadyMs = 5_000;
/** Longest time that an edge may ask a client to stay before it goes to another. */
const maxLeaveMs = 600_000;

export class ParleyClient extends Emitter<ClientEvents> {
  /** The server's clock: `clock.now()`, `clock.offsetMs`. */
  readonly clock = new Clock();
  readonly #options: ClientOptions;
  readonly #streams: Streams;
  readonly #observing = new Observing();
  readonly #stats: ClientStats = {
    reconnects: 0,
    resumed: 0,
    frames: 0,
    bytes: 0,
    ignored: 0,
    observed: 0,
    observeDropped: 0,
    lastFirstTokenMs: undefined,
  };
  #state: ClientState = 'idle';
  #connection: Connection | undefined;
  #session: { session: string; key: string } | undefined;
  #limits: Welcome['limits'] | undefined;
  #token: string | undefined;
  /** Whether a token was refused since the last welcome; a second refusal is final. */
  #tokenRefused = false;
  #attempt = 0;
  #welcomedAt = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #connected: Promise<Welcome> | undefined;
  #settle: { resolve(welcome: Welcome): void; reject(error: Error): void } | undefined;

  constructor(options: ClientOptions) {
    super();
    this.#options = options;
    const client = this;
    this.#streams = new Streams({
      get online() {
        return client.#state === 'online';
      },
      send: (message) => client.#state !== 'online' || client.#connection!.send(message),
      gap: () => client.#connection?.close(comingBack, 'a piece is missing'),
      ignored: (frame, why) => client.#ignore(frame, why),
      speech: (stream) => client.emit('speech', stream),
      firstToken: (afterMs) => {
        client.#stats.lastFirstTokenMs = afterMs;
      },
    });
  }

  get state(): ClientState {
    return this.#state;
  }

  /** The counters as they are now; they go on counting. */
  get stats(): Readonly<ClientStats> {
    return this.#stats;
  }

  /** What the edge allows, by its last `welcome`. */
  get limits(): Welcome['limits'] | undefined {
    return this.#limits;
  }

  /** Bytes that were sent and still wait in the socket; 0 without a connection. */
  get buffered(): number {
    return this.#connection?.buffered ?? 0;
  }

  /**
   * Connects, and comes back after every loss until `close`. Resolves with the first `welcome`; rejects with
   * ClosedError when the edge refuses for good, `reconnect.attempts` are used up, `signal` is aborted before, or there
   * is no first token (`cause` has what `token` threw). Calling it again gives the same promise.
   */
  connect({ signal }: { signal?: AbortSignal } = {}): Promise<Welcome> {
    if (this.#connected) return this.#connected;
    if (this.#state === 'closed') return Promise.reject(clientClosed());
    this.#connected = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
    });
    const stop = () => this.#shut(clientClosed(signal?.reason));
    const forget = () => signal?.removeEventListener('abort', stop);
    // Who does not wait for it listens to `closed`.
    this.#connected.then(forget, forget);
    signal?.addEventListener('abort', stop, { once: true });
    if (signal?.aborted) stop();
    else void this.#open();
    return this.#connected;
  }

  /** A character, to talk with: `client.npc('mira').say('Hello')`. */
  npc(id: string): Npc {
    return new Npc(this, id);
  }

  /**
   * Says something to a character. Never throws for reasons of the network: without a connection the words go out with the
   * next one, and what fails is heard from the stream. Before `connect` it throws.
   */
  say({ npc, text, topic, mode, context, g, budgetMs, maxTokens, signal }: SayOptions): Stream {
    return this.#ask({ npc, text, topic, mode, context, g, budgetMs, maxTokens }, signal);
  }

  /** Asks what a character does in the situation that `context` tells. The answer has acts alone; otherwise as `say`. */
  think({ npc, context, g, budgetMs, signal }: ThinkOptions): Stream {
    return this.#ask({ npc, mode: 'think', context, g, budgetMs }, signal);
  }

  #ask(words: Omit<SayMessage, 't' | 's'>, signal: AbortSignal | undefined): Stream {
    this.#mustHaveConnected('say');
    const stream = this.#streams.ask(words, signal);
    if (this.#state === 'closed') this.#streams.failAll(clientClosed());
    return stream;
  }

  /**
   * Asks for a long job. It is heard of by `progress` and `result`; a server without the service refuses it with
   * `not_available`. Throws before `connect`, and TypeError for an input that cannot be written.
   */
  job(kind: string, input: unknown, { signal }: { signal?: AbortSignal } = {}): Job {
    this.#mustHaveConnected('job');
    // It may be sent much later, where nobody could be told.
    encode({ t: 'job', s: 0, kind, input }, this.#options.encoding ?? 'msgpack');
    const job = this.#streams.askJob(kind, input, signal);
    if (this.#state === 'closed') this.#streams.failAll(clientClosed());
    return job;
  }

  /**
   * Tells what the player does: came near, looked at. Worth something only now, so it is dropped, and the answer is
   * false, when there is no connection, the socket is backed up, too many were sent, or the server has no use for it.
   */
  observe(kind: string, details: Record<string, unknown> = {}): boolean {
    const { observeBufferBytes = 65_536 } = this.#options;
    const sent =
      this.#state === 'online' &&
      this.buffered <= observeBufferBytes &&
      this.#observing.take() &&
      this.#connection!.send({ ...details, t: 'observe', kind });
    this.#stats[sent ? 'observed' : 'observeDropped'] += 1;
    return sent;
  }

  /**
   * Gives the session a fresh token, which is used for later connections too. A bad one is heard as an `error`, and
   * the session goes on with the old one.
   */
  refresh(token: string): void {
    this.#token = token;
    if (this.#state === 'online') this.#connection!.send({ t: 'refresh', token });
  }

  /** Cuts the connection as a bad network would, to see what a game does then. The client comes back by itself. */
  drop(): void {
    this.#connection?.cut();
  }

  /** Says goodbye: everything stops, here and at the edge. */
  close(): void {
    if (this.#state === 'online') this.#connection!.send({ t: 'bye' });
    this.#shut(new ClosedError(closeCodes.bye.code, closeCodes.bye.reason));
  }

  #mustHaveConnected(what: string): void {
    if (this.#state === 'idle') throw new Error(`${what}: call connect first`);
  }

  // ---- connections ----

  async #open(): Promise<void> {
    this.#state = 'connecting';
    const { token, url, encoding = 'msgpack', connectMs = 10_000 } = this.#options;
    try {
      this.#token ??= typeof token === 'string' ? token : await token();
    } catch (cause) {
      if (this.#state !== 'connecting') return;
      // Before the first welcome it is a login that failed, which the game must hear; later it may be the network.
      if (this.#session) this.#comeBack(1006, 'no token', cause);
      else this.#shut(new ClosedError(1006, 'no token', { cause }));
      return;
    }
    // `close` may have been called meanwhile.
    if (this.#state !== 'connecting') return;
    const resume = this.#session && { ...this.#session, streams: this.#streams.toResume() };
    const WebSocket = this.#options.WebSocket ?? (globalThis.WebSocket as SocketConstructor | undefined);
    try {
      if (!WebSocket) throw new Error('this platform has no WebSocket: give the class of the package ws');
      this.#connection = new Connection({
        url,
        encoding,
        WebSocket,
        hello: { t: 'hello', token: this.#token, resume },
        connectMs,
        clock: this.clock,
        isBusy: () => this.#streams.busy,
        onBytes: (count) => {
          this.#stats.frames += 1;
          this.#stats.bytes += count;
        },
        onWelcome: (welcome) => this.#onWelcome(welcome),
        onMessage: (message) => this.#onMessage(message),
        onClose: (code, reason) => this.#onClose(code, reason),
      });
    } catch (cause) {
      // A bad URL, or no WebSocket class: trying again would not help.
      this.#shut(new ClosedError(1006, (cause as Error).message, { cause }));
    }
  }

  #onWelcome(welcome: Welcome): void {
    if (this.#session) this.#stats.reconnects += 1;
    if (welcome.resumed) this.#stats.resumed += 1;
    this.#session = { session: welcome.session, key: welcome.key };
    this.#limits = welcome.limits;
    this.#tokenRefused = false;
    this.#welcomedAt = Date.now();
    this.#state = 'online';
    this.#observing.onWelcome(welcome);
    this.#streams.onWelcome(welcome);
    this.#settle?.resolve(welcome);
    this.emit('welcome', welcome);
  }

  #onMessage(message: Incoming): void {
    const { t, s } = message;
    switch (t) {
      case 'tok':
      case 'act':
      case 'end':
      case 'job':
        if (typeof s === 'number') this.#streams.onFrame(s, message);
        else this.#ignore(message, 'malformed');
        break;
      case 'err':
        if (typeof s === 'number') this.#streams.onFrame(s, message);
        else this.#onRefusal(new ServerError(errOf(message)));
        break;
      case 'push':
        if (isMap(message.data)) this.emit('push', message as Extract<ServerMessage, { t: 'push' }>);
        else this.#ignore(message, 'malformed');
        break;
      case 'reconnect': {
        // This gateway is stopping: until then it goes on serving, and the next connection resumes.
        const { afterMs } = message;
        if (typeof afterMs === 'number') this.#connection?.leave(Math.min(afterMs, maxLeaveMs));
        else this.#ignore(message, 'malformed');
        break;
      }
      default:
        this.#ignore(message, t === 'welcome' ? 'malformed' : 'unknown kind');
    }
  }

  /** Of what has no number, observations alone may be refused for want of a service. */
  #onRefusal(error: ServerError): void {
    if (error.code === 'not_available') this.#observing.onNotAvailable();
    this.emit('error', error);
  }

  #ignore(message: Incoming, why: IgnoredWhy): void {
    this.#stats.ignored += 1;
    this.emit('ignored', { why, message });
  }

  #onClose(code: number, reason: string): void {
    this.#connection = undefined;
    const wasOnline = this.#state === 'online';
    const retry = retryOf(code);
    const canRenew = typeof this.#options.token === 'function' && !this.#tokenRefused;
    if (retry === 'no' || (retry === 'fresh-token' && !canRenew)) {
      this.#shut(new ClosedError(code, reason));
      return;
    }
    // Before its listeners hear of it: what they say then has to wait.
    this.#state = 'waiting';
    if (wasOnline) this.emit('disconnected', { code, reason });
    if (wasOnline && Date.now() - this.#welcomedAt >= steadyMs) this.#attempt = 0;
    if (retry === 'fresh-token') {
      this.#token = undefined;
      this.#tokenRefused = true;
    }
    // A listener of `disconnected` may have closed the client.
    if ((this.#state as ClientState) !== 'closed') this.#comeBack(code, reason);
  }

  #comeBack(code: number, reason: string, cause?: unknown): void {
    const { reconnect = {} } = this.#options;
    const attempt = ++this.#attempt;
    if (attempt > (reconnect.attempts ?? Number.POSITIVE_INFINITY)) {
      this.#shut(new ClosedError(code, reason, { cause }));
      return;
    }
    const delayMs = backoffMs(attempt, reconnect);
    this.#state = 'waiting';
    this.#timer = setTimeout(() => void this.#open(), delayMs);
    this.emit('reconnecting', { attempt, delayMs });
  }

  #shut(error: ClosedError): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    clearTimeout(this.#timer);
    const connection = this.#connection;
    this.#connection = undefined;
    connection?.close(closeCodes.bye.code, closeCodes.bye.reason);
    this.#streams.failAll(error);
    this.#settle?.reject(error);
    this.emit('closed', { code: error.code, reason: error.reason, error });
  }
}

function clientClosed(cause?: unknown): ClosedError {
  return new ClosedError(closeCodes.bye.code, 'the client is closed', { cause });
}
