// The client: one player's session over as many connections as it takes. Numbers the streams, comes back after a
// loss and resumes them, and closes for good where the table of close codes says so. What a single connection does is
// in connection.ts, what a single answer does in stream.ts.

import type { ClientMessageInput, Encoding, ServerMessage, StreamState, Welcome } from '../bus/protocol.ts';
import { closeCodes, errorCodes } from '../runtime/errors.ts';
import { backoffMs, type ReconnectOptions } from './backoff.ts';
import { Connection, comingBack, type SocketConstructor } from './connection.ts';
import { Emitter } from './emitter.ts';
import { ClosedError, retryOf, ServerError, StreamError } from './errors.ts';
import { RunningStream, type Stream } from './stream.ts';

export interface ClientOptions {
  /** The edge, as in `wss://play.example.org/v1/ws`. */
  url: string;
  /** The player's token, or where to get one. It is asked for at the start, and again when the edge refuses the last. */
  token: string | (() => string | Promise<string>);
  /** `msgpack` is the smaller one and the default; `json` reads well in a browser's tools. */
  encoding?: Encoding;
  /** A WebSocket class where the platform has none (Node before 22): that of the package `ws`. */
  WebSocket?: SocketConstructor;
  reconnect?: ReconnectOptions;
  /** Bound of the time from opening a socket to `welcome`. */
  connectMs?: number;
}

export interface SayOptions {
  npc: string;
  /** What the player says. Either this or `topic`. */
  text?: string;
  /** One of the character's topics. */
  topic?: string;
  /** `alongside`: what the character is saying to this player goes on. Otherwise it is cancelled. */
  mode?: 'alongside';
  /** What the game wants the character to know just now. */
  context?: string;
  /** Time for the whole answer. */
  budgetMs?: number;
  maxTokens?: number;
  /** Aborting it cancels the answer. */
  signal?: AbortSignal;
}

export interface ClientEvents {
  /** A connection stands; `resumed` says whether it goes on with the session before. */
  welcome: Welcome;
  /** The connection was lost; the client comes back by itself. */
  disconnected: { code: number; reason: string };
  /** A try to connect follows after `delayMs`. `attempt` counts from 1 since the last good connection. */
  reconnecting: { attempt: number; delayMs: number };
  /** Something from the game's backend. */
  push: Extract<ServerMessage, { t: 'push' }>;
  /** A character speaks by itself. */
  speech: Stream;
  /** The edge refused a message that belongs to no stream. */
  error: ServerError;
  /** The connection is closed for good; the client does nothing any more. */
  closed: { code: number; reason: string; error: ClosedError };
}

/**
 * `idle` before `connect`; `connecting` with a try under way; `online`; `waiting` for the next try; `closed` for good.
 */
export type ClientState = 'idle' | 'connecting' | 'online' | 'waiting' | 'closed';

type SayMessage = Extract<ClientMessageInput, { t: 'say' }>;
type StreamFrame = Extract<ServerMessage, { t: 'tok' | 'act' | 'end' | 'err' }>;

/** A connection that stood for this long was a good one: the next loss starts with the shortest delay again. */
const steadyMs = 5_000;

export class ParleyClient extends Emitter<ClientEvents> {
  readonly #options: ClientOptions;
  #state: ClientState = 'idle';
  #connection: Connection | undefined;
  #session: { session: string; key: string } | undefined;
  #token: string | undefined;
  /** Whether a token was refused since the last welcome; a second refusal is final. */
  #tokenRefused = false;
  #attempt = 0;
  #welcomedAt = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #connected: Promise<Welcome> | undefined;
  #settle: { resolve(welcome: Welcome): void; reject(error: Error): void } | undefined;

  /** Streams without a terminal frame yet, by number, and what to send for those that are not sent. */
  readonly #streams = new Map<number, { stream: RunningStream; say?: SayMessage }>();
  #lastS = 0;
  /** The last stream that the edge opened. Their numbers are negative and go down. */
  #lastSpeech: RunningStream | undefined;

  constructor(options: ClientOptions) {
    super();
    this.#options = options;
  }

  get state(): ClientState {
    return this.#state;
  }

  /**
   * Connects, and comes back after every loss until `close`. Resolves with the first `welcome`; rejects with
   * ClosedError when the edge refuses for good, `reconnect.attempts` are used up, or there is no first token (`cause`
   * has what `token` threw). Calling it again gives the same promise.
   */
  connect(): Promise<Welcome> {
    if (this.#connected) return this.#connected;
    if (this.#state === 'closed') return Promise.reject(clientClosed());
    this.#connected = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
    });
    // Who does not wait for it listens to `closed`.
    this.#connected.catch(() => {});
    void this.#open();
    return this.#connected;
  }

  /**
   * Says something to a character. Never throws for reasons of the network: without a connection the words go out with the
   * next one, and what fails is heard from the stream. Before `connect` it throws.
   */
  say({ signal, ...words }: SayOptions): Stream {
    if (this.#state === 'idle') throw new Error('say: call connect first');
    const stream = new RunningStream(words.npc, ++this.#lastS, (s) => this.#cancel(s));
    if (this.#state === 'closed') {
      stream.fail(clientClosed());
      return stream;
    }
    const entry = { stream, say: { t: 'say', s: stream.s, ...words } satisfies SayMessage };
    this.#streams.set(stream.s, entry);
    if (signal?.aborted) stream.cancel();
    else if (signal) {
      const cancel = () => stream.cancel();
      signal.addEventListener('abort', cancel, { once: true });
      const forget = () => signal.removeEventListener('abort', cancel);
      stream.end.then(forget, forget);
    }
    if (this.#state === 'online') this.#sendWaiting();
    return stream;
  }

  /**
   * Gives the session a fresh token, which is used for later connections too. A bad one is heard as an `error`, and
   * the session goes on with the old one.
   */
  refresh(token: string): void {
    this.#token = token;
    if (this.#state === 'online') this.#connection?.send({ t: 'refresh', token });
  }

  /** Says goodbye: everything stops, here and at the edge. */
  close(): void {
    this.#connection?.send({ t: 'bye' });
    this.#shut(new ClosedError(closeCodes.bye.code, closeCodes.bye.reason));
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
    const resume = this.#session && { ...this.#session, streams: this.#sentStreams() };
    try {
      this.#connection = new Connection({
        url,
        encoding,
        WebSocket: this.#options.WebSocket ?? (globalThis.WebSocket as SocketConstructor),
        hello: { t: 'hello', token: this.#token, resume },
        connectMs,
        isBusy: () => this.#streams.size > 0,
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
    // A new session counts the edge's own streams anew.
    if (!welcome.resumed) this.#lastSpeech = undefined;
    this.#session = { session: welcome.session, key: welcome.key };
    this.#tokenRefused = false;
    this.#welcomedAt = Date.now();
    this.#state = 'online';
    const states = new Map(welcome.streams.map(({ s, state }) => [s, state]));
    for (const { stream } of this.#all()) if (stream.sent) this.#settleResumed(stream, states.get(stream.s));
    this.#sendWaiting();
    this.#settle?.resolve(welcome);
    this.emit('welcome', welcome);
  }

  /** What the edge says of a stream that was sent over an earlier connection. */
  #settleResumed(stream: RunningStream, state: StreamState['state'] | undefined): void {
    if (state === 'unknown') {
      stream.sent = false;
      if (stream.cancelled) this.#cancel(stream);
    } else if (state === 'resumed' || state === 'ended') {
      if (stream.cancelled) this.#connection?.send({ t: 'cancel', s: stream.s });
    } else {
      this.#streams.delete(stream.s);
      const { message } = errorCodes.lost;
      stream.fail(new StreamError(stream.s, { code: 'lost', message, partial: stream.n > 0 }));
    }
  }

  #onMessage(message: ServerMessage): void {
    switch (message.t) {
      case 'tok':
      case 'act':
      case 'end':
        this.#onFrame(message.s, message);
        break;
      case 'err':
        if (message.s === undefined) this.emit('error', new ServerError(message));
        else this.#onFrame(message.s, message);
        break;
      case 'push':
        this.emit('push', message);
        break;
      case 'reconnect': {
        // This gateway is stopping: until then it goes on serving, and the next connection resumes.
        const leaving = this.#connection;
        setTimeout(() => leaving?.close(comingBack, 'asked to reconnect'), message.afterMs);
        break;
      }
    }
  }

  #onFrame(s: number, frame: StreamFrame): void {
    const stream = this.#streams.get(s)?.stream ?? (s < 0 ? this.#opened(s, frame) : undefined);
    if (!stream) return;
    const applied = stream.apply(frame);
    if (applied === 'ended') this.#streams.delete(s);
    else if (applied === 'gap') this.#connection?.close(comingBack, 'a piece is missing');
  }

  /** The stream that the edge opens with this frame; undefined when it is one that was heard before. */
  #opened(s: number, frame: StreamFrame): RunningStream | undefined {
    if (s >= (this.#lastSpeech?.s ?? 0) || frame.t !== 'tok') return undefined;
    const stream = new RunningStream(frame.npc ?? '', s, () => {});
    stream.sent = true;
    this.#lastSpeech = stream;
    this.#streams.set(s, { stream });
    this.emit('speech', stream);
    return stream;
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
    for (const { stream } of this.#all()) stream.fail(error);
    this.#streams.clear();
    this.#settle?.reject(error);
    this.emit('closed', { code: error.code, reason: error.reason, error });
  }

  // ---- streams ----

  #all() {
    return [...this.#streams.values()];
  }

  #sentStreams() {
    const streams = this.#all()
      .map(({ stream }) => stream)
      .filter(({ sent }) => sent);
    // Named also when it has ended: what the edge opened after it is news.
    const last = this.#lastSpeech;
    if (last && !streams.includes(last)) streams.push(last);
    return streams.map(({ s, n }) => ({ s, n }));
  }

  /** Sends what waits for a connection, lowest number first, as the map has them. */
  #sendWaiting(): void {
    for (const { stream, say } of this.#all()) {
      if (stream.sent || !say) continue;
      stream.sent = true;
      this.#connection?.send(say);
    }
  }

  #cancel(stream: RunningStream): void {
    if (stream.sent) {
      this.#connection?.send({ t: 'cancel', s: stream.s });
      return;
    }
    // The edge has never heard of it, so it ends here.
    this.#streams.delete(stream.s);
    stream.finish({
      t: 'end',
      s: stream.s,
      n: 0,
      reason: 'cancelled',
      tier: 'none',
      source: 'live',
      attempts: 0,
      model: '',
      usage: { prompt: 0, cached: 0, completion: 0 },
      timings: { queueMs: 0, firstMs: 0, totalMs: 0 },
    });
  }
}

function clientClosed(): ClosedError {
  return new ClosedError(closeCodes.bye.code, 'the client is closed');
}
