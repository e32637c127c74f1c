// A WebSocket that speaks the protocol and hides nothing: sends what a test says, byte for byte if it likes, and
// keeps what comes back. It is no client library, so that a fault in ours cannot hide one in the gateway.

import { Packr, Unpackr } from 'msgpackr';
import WebSocket from 'ws';
import type { Encoding, ServerMessage } from '../../bus/protocol.ts';
import { Arrivals } from './arrivals.ts';

type Message<T extends string> = Extract<ServerMessage, { t: T }>;

const packr = new Packr({ useRecords: false });
const unpackr = new Unpackr({ useRecords: false, mapsAsObjects: true });

export class RawClient {
  readonly ws: WebSocket;
  readonly encoding: Encoding;
  readonly received: ServerMessage[] = [];
  closed: { code: number; reason: string } | undefined;
  private readonly arrivals = new Arrivals();

  constructor(
    url: string,
    { encoding = 'json', headers }: { encoding?: Encoding; headers?: Record<string, string> } = {},
  ) {
    this.encoding = encoding;
    this.ws = new WebSocket(url, `parley.v1.${encoding}`, { perMessageDeflate: false, headers });
    this.ws.on('message', (data: Buffer, isBinary) => {
      if (isBinary !== (encoding === 'msgpack')) throw new Error('a frame of the wrong kind');
      this.received.push(isBinary ? unpackr.unpack(data) : JSON.parse(data.toString()));
      this.arrivals.wake();
    });
    this.ws.on('close', (code, reason) => {
      this.closed = { code, reason: reason.toString() };
      this.arrivals.wake();
    });
    this.ws.on('error', () => {});
  }

  /** Connected, with the handshake done. Rejects when it is refused. */
  static async open(url: string, options: { encoding?: Encoding } = {}): Promise<RawClient> {
    const client = new RawClient(url, options);
    await new Promise<void>((resolve, reject) => {
      client.ws.once('open', resolve);
      client.ws.once('error', reject);
    });
    return client;
  }

  /** Connected and welcomed. */
  static async join(
    url: string,
    token: string | Promise<string>,
    options: { encoding?: Encoding; resume?: object } = {},
  ): Promise<RawClient & { welcome: Message<'welcome'> }> {
    const client = await RawClient.open(url, options);
    client.send({ t: 'hello', token: await token, resume: options.resume });
    const welcome = await client.next('welcome');
    return Object.assign(client, { welcome });
  }

  send(message: object): void {
    this.ws.send(
      this.encoding === 'json' ? JSON.stringify(message) : packr.pack(JSON.parse(JSON.stringify(message))),
    );
  }

  /** Sends bytes as they are: a text frame for a string, a binary one otherwise. */
  sendRaw(data: string | Uint8Array): void {
    this.ws.send(data);
  }

  /** The first message of a kind (and of a stream), waiting for it. Rejects when the socket closes before. */
  async next<T extends ServerMessage['t']>(t: T, s?: number): Promise<Message<T>> {
    let found: ServerMessage | undefined;
    await this.until(
      () => {
        found = this.received.find((m) => m.t === t && (s === undefined || (m as { s?: number }).s === s));
        if (!found && this.closed)
          throw new Error(`closed with ${this.closed.code} ${this.closed.reason} before ${t}`);
        return found !== undefined;
      },
      `${t}${s === undefined ? '' : ` of stream ${s}`}`,
    );
    return found as Message<T>;
  }

  /** The terminal frame of a stream. */
  async terminal(s: number): Promise<Message<'end'> | Message<'err'>> {
    await this.until(() => {
      if (!this.of(s).some(isTerminal) && this.closed)
        throw new Error(`closed with ${this.closed.code} before the end of ${s}`);
      return this.of(s).some(isTerminal);
    }, `the end of stream ${s}`);
    return this.of(s).find(isTerminal) as Message<'end'> | Message<'err'>;
  }

  /** The close code, waiting for it. */
  async code(): Promise<number> {
    await this.until(() => this.closed !== undefined, 'the close');
    return this.closed!.code;
  }

  /** All messages of a stream, in the order in which they came. */
  of(s: number): ServerMessage[] {
    return this.received.filter((m) => (m as { s?: number }).s === s);
  }

  /** The text of a stream, put together by the client's rule; throws on a gap or a doubled piece. */
  text(s: number, from = 0): string {
    let last = from;
    let text = '';
    for (const m of this.of(s)) {
      if (m.t !== 'tok' && m.t !== 'act') continue;
      const first = m.t === 'tok' ? (m.f ?? m.n) : m.n;
      if (first !== last + 1) throw new Error(`piece ${first} after ${last}`);
      last = m.n;
      if (m.t === 'tok') text += m.d;
    }
    return text;
  }

  /** Waits until `ready` holds, looking again whenever something arrives. */
  async until(ready: () => boolean, what = 'a condition', ms = 30_000): Promise<void> {
    const late = Date.now() + ms;
    while (!ready()) {
      if (Date.now() > late)
        throw new Error(`waited ${ms} ms for ${what}; got ${JSON.stringify(this.received).slice(0, 500)}`);
      await this.arrivals.next(250);
    }
  }

  /** The network is gone: no close frame. */
  cut(): void {
    this.ws.terminate();
  }

  close(code = 1000): void {
    this.ws.close(code);
  }

  [Symbol.dispose](): void {
    this.ws.terminate();
  }
}

export function isTerminal(m: ServerMessage): boolean {
  return m.t === 'end' || (m.t === 'err' && m.s !== undefined);
}
