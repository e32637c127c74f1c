// One WebSocket from handshake to close: says hello, hears welcome, keeps itself alive, notices when the other side
// is gone. Knows nothing of streams, and does not come back: client.ts opens the next one.

import type { Encoding, Welcome } from '../bus/protocol.ts';
import type { Clock } from './clock.ts';
import {
  decode,
  encode,
  type HelloMessage,
  type Incoming,
  isMap,
  type Outgoing,
  subprotocolOf,
} from './codec.ts';
import { newerVersion } from './errors.ts';

/** As much of a WebSocket as is used here: a browser's, Node's (22 and later), or that of the package `ws`. */
export interface SocketLike {
  binaryType: string;
  /** Bytes that are not with the system yet. */
  readonly bufferedAmount?: number;
  onopen: ((event: never) => void) | null;
  onmessage: ((event: never) => void) | null;
  onclose: ((event: never) => void) | null;
  onerror: ((event: never) => void) | null;
  send(data: string | Uint8Array): void;
  close(code?: number, reason?: string): void;
  /** Ends it without a close frame; browsers have no such thing. */
  terminate?(): void;
}
export type SocketConstructor = new (url: string, protocols?: string | string[]) => SocketLike;

/** The close code of a client that will come back: anything but 1000, which would end its streams. */
export const comingBack = 4000;
/** What the WebSocket standard calls a connection that ended without a close frame. */
const noCloseFrame = 1006;
/** The version of the protocol that is spoken here. */
const version: Welcome['v'] = 1;

/** While an answer is awaited, this much silence is worth a ping: found out well within the time a session is kept. */
const busySilenceMs = 5_000;
const pongMs = 5_000;
/** So many pings in the first seconds, for the clock. */
const clockPings = 4;

export interface ConnectionOptions {
  url: string;
  encoding: Encoding;
  WebSocket: SocketConstructor;
  hello: HelloMessage;
  /** Bound of the time to `welcome`. */
  connectMs: number;
  /** Is told what the edge says of the time. */
  clock: Clock;
  /** Whether something is awaited from the edge. */
  isBusy(): boolean;
  /** A frame came, of so many bytes (of characters, in JSON). */
  onBytes(count: number): void;
  onWelcome(welcome: Welcome): void;
  onMessage(message: Incoming): void;
  /** Called once, whatever ended the connection, and nothing is called after it. */
  onClose(code: number, reason: string): void;
}

export class Connection {
  readonly #options: ConnectionOptions;
  readonly #socket: SocketLike;
  readonly #connectTimer: ReturnType<typeof setTimeout>;
  #aliveTimer: ReturnType<typeof setInterval> | undefined;
  #leaveTimer: ReturnType<typeof setTimeout> | undefined;
  /** What the edge takes in one frame, once it has said so. */
  #frameBytes = Number.POSITIVE_INFINITY;
  #welcomed = false;
  #sentAt = 0;
  #receivedAt = 0;
  /** When the ping went out that nothing has answered yet, or 0. */
  #pingedAt = 0;
  /** When what the edge's next word of the time answers went out: `hello`, then each ping, which carries it. */
  #ping: number | undefined;
  #pings = 0;
  #fault = '';
  #closed = false;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    const { url, encoding, WebSocket } = options;
    this.#socket = new WebSocket(url, subprotocolOf(encoding));
    this.#socket.binaryType = 'arraybuffer';
    this.#socket.onopen = () => {
      this.#ping = performance.now();
      this.send(options.hello);
    };
    this.#socket.onmessage = (event: { data: unknown }) => this.#receive(event.data);
    this.#socket.onclose = (event: { code?: number; reason?: string }) =>
      this.#finish(event.code ?? noCloseFrame, event.reason || this.#fault);
    // A close always follows; some platforms say here alone why there is no connection.
    this.#socket.onerror = (event: { message?: string }) => {
      this.#fault = event.message ?? '';
    };
    this.#connectTimer = setTimeout(() => this.close(comingBack, 'no welcome in time'), options.connectMs);
  }

  /** Bytes that wait in the socket. */
  get buffered(): number {
    return this.#socket.bufferedAmount ?? 0;
  }

  /**
   * Sends, if the connection still stands: what is lost with it is the resume's business. False when the message is
   * larger than the edge takes. Throws TypeError for what cannot be written.
   */
  send(message: Outgoing): boolean {
    const data = encode(message, this.#options.encoding);
    if (bytesIn(data) > this.#frameBytes) return false;
    if (this.#closed) return true;
    this.#sentAt = Date.now();
    try {
      this.#socket.send(data);
    } catch {
      this.close(comingBack, 'cannot send');
    }
    return true;
  }

  /** Closes without waiting for the other side, which may be gone: `onClose` has run when this returns. */
  close(code: number, reason: string): void {
    if (this.#closed) return;
    try {
      this.#socket.close(code, reason);
    } catch {
      // Not open yet, or closing already: there is nobody to tell.
    }
    this.#finish(code, reason);
  }

  /** Cuts it as a bad network would, as far as the platform can. */
  cut(): void {
    if (this.#closed) return;
    if (this.#socket.terminate) this.#socket.terminate();
    else this.#socket.close(comingBack);
    this.#finish(noCloseFrame, 'dropped');
  }

  /** Closes after `afterMs`, or when the edge does before. Calling it again sets another time. */
  leave(afterMs: number): void {
    clearTimeout(this.#leaveTimer);
    this.#leaveTimer = setTimeout(() => this.close(comingBack, 'asked to reconnect'), afterMs);
  }

  #receive(data: unknown): void {
    let message: Incoming;
    try {
      message = decode(data, this.#options.encoding);
    } catch {
      this.close(comingBack, 'not a message');
      return;
    }
    this.#receivedAt = Date.now();
    this.#pingedAt = 0;
    this.#options.onBytes(typeof data === 'string' ? data.length : (data as ArrayBuffer).byteLength);
    // Whoever is not welcome yet has asked for nothing that could be answered.
    if (this.#welcomed && message.t !== 'pong') this.#options.onMessage(message);
    else if (message.t === 'welcome') this.#onWelcome(message);
    else if (message.t === 'pong') this.#onPong(message);
  }

  #onWelcome(message: Incoming): void {
    const { v } = message;
    if (typeof v === 'number' && v > version) {
      this.close(newerVersion, `the server speaks version ${v}, this client version ${version}`);
      return;
    }
    if (!isWelcome(message)) {
      this.close(comingBack, 'not a welcome');
      return;
    }
    clearTimeout(this.#connectTimer);
    this.#welcomed = true;
    this.#frameBytes = message.limits.frameBytes;
    const { clock } = this.#options;
    clock.restart();
    if (this.#ping !== undefined) clock.sample(this.#ping, message.time);
    const { pingMs } = message;
    this.#aliveTimer = setInterval(() => this.#keepAlive(pingMs), 1_000);
    this.#options.onWelcome(message);
    this.#sendPing();
  }

  #onPong({ c, time }: Incoming): void {
    if (c !== this.#ping || typeof time !== 'number' || !Number.isFinite(time)) return;
    this.#options.clock.sample(c as number, time);
    this.#ping = undefined;
  }

  #keepAlive(pingMs: number): void {
    const now = Date.now();
    if (this.#pingedAt > 0) {
      if (now - this.#pingedAt >= pongMs) this.close(comingBack, 'no answer to a ping');
      return;
    }
    const due = now - this.#sentAt >= pingMs;
    const suspect = this.#options.isBusy() && now - this.#receivedAt >= busySilenceMs;
    if (due || suspect || this.#pings < clockPings) this.#sendPing();
  }

  #sendPing(): void {
    this.#pings += 1;
    this.#pingedAt = Date.now();
    this.#ping = performance.now();
    this.send({ t: 'ping', c: this.#ping });
  }

  #finish(code: number, reason: string): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#connectTimer);
    clearInterval(this.#aliveTimer);
    clearTimeout(this.#leaveTimer);
    this.#socket.onopen = null;
    this.#socket.onmessage = null;
    this.#socket.onclose = null;
    this.#options.onClose(code, reason);
  }
}

const utf8 = new TextEncoder();
/** Characters are counted first: only what may be near the bound is worth more. */
function bytesIn(data: string | Uint8Array): number {
  return typeof data === 'string' && data.length > 1_024 ? utf8.encode(data).length : data.length;
}

/** Whether it has all that is used of a welcome, here and in the other files. */
function isWelcome(message: Incoming): message is Incoming & Welcome {
  const { v, session, key, pingMs, time, limits, streams } = message;
  return (
    v === version &&
    typeof session === 'string' &&
    typeof key === 'string' &&
    typeof pingMs === 'number' &&
    typeof time === 'number' &&
    Number.isFinite(time) &&
    isMap(limits) &&
    typeof limits.frameBytes === 'number' &&
    typeof limits.messagesPerSecond === 'number' &&
    Array.isArray(streams) &&
    streams.every(isMap)
  );
}
