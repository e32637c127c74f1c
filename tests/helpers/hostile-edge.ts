// A server that means no good, or that is years ahead: it takes sockets as an edge does, hears what a client says, and
// sends what a test tells it, byte for byte if it likes. It is no stand-in for Parley: nothing here answers properly.

import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { type WebSocket, WebSocketServer } from 'ws';
import { decode, encode } from '../../bus/codec.ts';
import { type ClientMessage, type Encoding, parseClientMessage } from '../../bus/protocol.ts';
import { eventually } from './processes.ts';

const subprotocols = new Set(['parley.v1.msgpack', 'parley.v1.json']);

export class HostileEdge implements AsyncDisposable {
  /** What clients said, over all connections. */
  readonly heard: ClientMessage[] = [];
  /** How each connection was closed by its client. */
  readonly closed: { code: number; reason: string }[] = [];
  /** Fields that its `welcome` has instead of the usual ones. */
  welcome: Record<string, unknown>;
  connections = 0;
  readonly #server: WebSocketServer;
  #socket: WebSocket | undefined;

  private constructor(server: WebSocketServer, welcome: Record<string, unknown>) {
    this.#server = server;
    this.welcome = welcome;
    server.on('connection', (socket) => {
      this.connections += 1;
      this.#socket = socket;
      const encoding = this.#encoding;
      socket.on('message', (data: Buffer) => {
        // Whatever it hears, a client speaks the protocol.
        const message = parseClientMessage(decode(data, encoding));
        this.heard.push(message);
        if (message.t === 'hello') this.send({ ...usualWelcome, ...this.welcome });
      });
      socket.on('close', (code, reason) => this.closed.push({ code, reason: String(reason) }));
      socket.on('error', () => {});
    });
  }

  static async start(welcome: Record<string, unknown> = {}): Promise<HostileEdge> {
    const server = new WebSocketServer({
      port: 0,
      host: '127.0.0.1',
      handleProtocols: (asked) => [...asked].find((name) => subprotocols.has(name)) ?? false,
    });
    await once(server, 'listening');
    return new HostileEdge(server, welcome);
  }

  get url(): string {
    return `ws://127.0.0.1:${(this.#server.address() as AddressInfo).port}/v1/ws`;
  }

  send(message: object): void {
    const isText = this.#encoding === 'json';
    this.#socket!.send(encode(message, this.#encoding), { binary: !isText });
  }

  sendRaw(data: string | Uint8Array): void {
    this.#socket!.send(data);
  }

  /** Stops reading what clients send: their socket backs up. */
  stall(): void {
    this.#socket!.pause();
  }

  /** The last message of a kind that a client said, waiting for it. */
  next(t: ClientMessage['t']): Promise<ClientMessage> {
    return eventually(`a ${t}`, () => this.heard.findLast((message) => message.t === t));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#server.clients) socket.terminate();
    this.#server.close();
    await once(this.#server, 'close');
  }

  get #encoding(): Encoding {
    return this.#socket!.protocol.endsWith('json') ? 'json' : 'msgpack';
  }
}

const usualWelcome = {
  t: 'welcome',
  v: 1,
  session: 'a session',
  key: 'a key',
  player: 'p1',
  pingMs: 25_000,
  time: 1_764_000_000_000,
  limits: { frameBytes: 16_384, textChars: 2_000, contextChars: 500, streams: 8, messagesPerSecond: 20 },
  resumed: false,
  streams: [],
};
