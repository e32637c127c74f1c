// One WebSocket from handshake to close: says hello, hears welcome, keeps itself alive, notices when the other side
// is gone. Knows nothing of streams, and does not come back: client.ts opens the next one.

import type { ClientMessageInput, Encoding, ServerMessage, Welcome } from '../bus/protocol.ts';
import { decode, encode, subprotocolOf } from './codec.ts';

/** As much of a WebSocket as is used here: a browser's, Node's (22 and later), or that of the package `ws`. */
export interface SocketLike {
  binaryType: string;
  onopen: ((event: never) => void) | null;
  onmessage: ((event: never) => void) | null;
  onclose: ((event: never) => void) | null;
  onerror: ((event: never) => void) | null;
  send(data: string | Uint8Array): void;
  close(code?: number, reason?: string): void;
}
export type SocketConstructor = new (url: string, protocols?: string | string[]) => SocketLike;

/** The close code of a client that will come back: anything but 1000, which would end its streams. */
export const comingBack = 4000;
/** What the WebSocket standard calls a connection that ended without a close frame. */
const noCloseFrame = 1006;

/** While an answer is awaited, this much silence is worth a ping: found out well within the time a session is kept. */
const busySilenceMs = 5_000;
const pongMs = 5_000;

export interface ConnectionOptions {
  url: string;
  encoding: Encoding;
  WebSocket: SocketConstructor;
  hello: Extract<ClientMessageInput, { t: 'hello' }>;
  /** Bound of the time to `welcome`. */
  connectMs: number;
  /** Whether something is awaited from the edge. */
  isBusy(): boolean;
  onWelcome(welcome: Welcome): void;
  onMessage(message: ServerMessage): void;
  /** Called once, whatever ended the connection, and nothing is called after it. */
  onClose(code: number, reason: string): void;
}

export class Connection {
  readonly #options: ConnectionOptions;
  readonly #socket: SocketLike;
  readonly #connectTimer: ReturnType<typeof setTimeout>;
  #aliveTimer: ReturnType<typeof setInterval> | undefined;
  #sentAt = 0;
  #receivedAt = 0;
  /** When the ping went out that nothing has answered yet, or 0. */
  #pingedAt = 0;
  #fault = '';
  #closed = false;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    const { url, encoding, WebSocket } = options;
    this.#socket = new WebSocket(url, subprotocolOf(encoding));
    this.#socket.binaryType = 'arraybuffer';
    this.#socket.onopen = () => this.send(options.hello);
    this.#socket.onmessage = (event: { data: unknown }) => this.#receive(event.data);
    this.#socket.onclose = (event: { code?: number; reason?: string }) =>
      this.#finish(event.code ?? noCloseFrame, event.reason || this.#fault);
    // A close always follows; some platforms say here alone why there is no connection.
    this.#socket.onerror = (event: { message?: string }) => {
      this.#fault = event.message ?? '';
    };
    this.#connectTimer = setTimeout(() => this.close(comingBack, 'no welcome in time'), options.connectMs);
  }

  /** Sends, if the connection still stands. What is lost with it is the resume's business. */
  send(message: ClientMessageInput): void {
    if (this.#closed) return;
    this.#sentAt = Date.now();
    try {
      this.#socket.send(encode(message, this.#options.encoding));
    } catch {
      this.close(comingBack, 'cannot send');
    }
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

  #receive(data: unknown): void {
    let message: ServerMessage;
    try {
      message = decode(data, this.#options.encoding);
    } catch {
      this.close(comingBack, 'not a message');
      return;
    }
    this.#receivedAt = Date.now();
    this.#pingedAt = 0;
    if (message.t === 'welcome') {
      clearTimeout(this.#connectTimer);
      const { pingMs } = message;
      this.#aliveTimer ??= setInterval(() => this.#keepAlive(pingMs), 1_000);
      this.#options.onWelcome(message);
    } else this.#options.onMessage(message);
  }

  #keepAlive(pingMs: number): void {
    const now = Date.now();
    if (this.#pingedAt > 0) {
      if (now - this.#pingedAt >= pongMs) this.close(comingBack, 'no answer to a ping');
      return;
    }
    const due = now - this.#sentAt >= pingMs;
    const suspect = this.#options.isBusy() && now - this.#receivedAt >= busySilenceMs;
    if (!due && !suspect) return;
    this.#pingedAt = now;
    this.send({ t: 'ping', c: now });
  }

  #finish(code: number, reason: string): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#connectTimer);
    clearInterval(this.#aliveTimer);
    this.#socket.onopen = null;
    this.#socket.onmessage = null;
    this.#socket.onclose = null;
    this.#options.onClose(code, reason);
  }
}
