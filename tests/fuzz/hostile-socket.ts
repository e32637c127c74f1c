// A player who means harm: the handshake is a library's, every byte after it is ours, so that frames can be sent which
// no library would write. Keeps what the gateway answers, as a reader of the protocol sees it.
// Source of the frame layout: RFC 6455, section 5.2.

import { connect, type Socket } from 'node:net';
import { Unpackr } from 'msgpackr';
import WebSocket from 'ws';
import { encode } from '../../bus/codec.ts';
import type { Encoding, ServerMessage } from '../../bus/protocol.ts';
import { Arrivals } from '../helpers/arrivals.ts';

export const opcodes = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

export interface FrameOptions {
  readonly fin?: boolean;
  /** The three reserved bits. */
  readonly reserved?: number;
  readonly masked?: boolean;
  /** The length that the header names, where it is not the true one. */
  readonly length?: bigint;
  /** How many bytes the length takes, beyond the first: 0, 2 or 8. */
  readonly lengthBytes?: 0 | 2 | 8;
}

const mask = Buffer.from([0x37, 0xfa, 0x21, 0x3d]);

/** One frame, right unless `options` says otherwise. */
export function frame(opcode: number, payload: Uint8Array, options: FrameOptions = {}): Buffer {
  const { fin = true, reserved = 0, masked = true, length = BigInt(payload.length) } = options;
  const { lengthBytes = length < 126n ? 0 : length < 65_536n ? 2 : 8 } = options;
  const head = Buffer.alloc(2 + lengthBytes);
  head[0] = (fin ? 0x80 : 0) | (reserved << 4) | opcode;
  head[1] =
    (masked ? 0x80 : 0) | (lengthBytes === 0 ? Number(length & 0x7fn) : lengthBytes === 2 ? 126 : 127);
  if (lengthBytes === 2) head.writeUInt16BE(Number(length & 0xffffn), 2);
  if (lengthBytes === 8) head.writeBigUInt64BE(length, 2);
  if (!masked) return Buffer.concat([head, payload]);
  return Buffer.concat([head, mask, payload.map((byte, i) => byte ^ mask[i % 4]!)]);
}

/** One message in frames that are cut at these places (modulo its length), with a ping between each two if asked. */
export function fragments(
  opcode: number,
  payload: Uint8Array,
  cuts: readonly number[] = [],
  pings = false,
): Buffer {
  const places = cuts.map((cut) => cut % (payload.length + 1)).sort((a, b) => a - b);
  const parts = [0, ...places].map((from, i) => payload.subarray(from, places[i] ?? payload.length));
  return Buffer.concat(
    parts.flatMap((part, i) => [
      frame(i === 0 ? opcode : opcodes.continuation, part, { fin: i === parts.length - 1 }),
      ...(pings && i < parts.length - 1 ? [frame(opcodes.ping, Buffer.from('p'))] : []),
    ]),
  );
}

const unpackr = new Unpackr({ useRecords: false, mapsAsObjects: true });
/** A gateway that answers at all does so long before; a busy machine must not fail a test. */
const patienceMs = 60_000;

export class HostileSocket {
  readonly encoding: Encoding;
  /** What came, without answers to `goesOn`. */
  readonly received: ServerMessage[] = [];
  closed: { readonly code: number; readonly reason: string } | undefined;
  private readonly ws: WebSocket;
  private tcp!: Socket;
  private pings = 0;
  private readonly arrivals = new Arrivals();
  private readonly pongs = new Set<number>();

  private constructor(url: string, encoding: Encoding) {
    this.encoding = encoding;
    const createConnection = ((options: { host: string; port: number }) => {
      this.tcp = connect(options.port, options.host);
      return this.tcp;
    }) as typeof connect;
    this.ws = new WebSocket(url, `parley.v1.${encoding}`, { perMessageDeflate: false, createConnection });
    this.ws.on('message', (data: Buffer, isBinary) => {
      if (isBinary !== (encoding === 'msgpack')) throw new Error('a frame of the wrong kind');
      const message: ServerMessage = isBinary ? unpackr.unpack(data) : JSON.parse(data.toString());
      if (message.t === 'pong' && message.c !== undefined && message.c <= -1e9) this.pongs.add(message.c);
      else this.received.push(message);
      this.arrivals.wake();
    });
    this.ws.on('close', (code, reason) => {
      this.closed = { code, reason: reason.toString() };
      this.arrivals.wake();
    });
    this.ws.on('error', () => {});
  }

  /** Connected. Rejects when the handshake is refused. */
  static async open(url: string, encoding: Encoding): Promise<HostileSocket> {
    const socket = new HostileSocket(url, encoding);
    await new Promise<void>((resolve, reject) => {
      socket.ws.once('open', resolve);
      socket.ws.once('error', reject);
    });
    return socket;
  }

  /** Connected and welcomed. */
  static async join(url: string, encoding: Encoding, token: string): Promise<HostileSocket> {
    const socket = await HostileSocket.open(url, encoding);
    socket.send({ t: 'hello', token });
    await socket.until(() => socket.received.some((m) => m.t === 'welcome'), 'welcome');
    return socket;
  }

  /** Writes bytes beneath the WebSocket; those for a socket that is gone are lost, as they would be on a network. */
  write(bytes: Uint8Array): void {
    if (this.tcp.writable) this.tcp.write(bytes);
  }

  /** Sends a message as a good client would. */
  send(message: object): void {
    this.write(frame(this.ownOpcode, encode(message, this.encoding)));
  }

  /** The kind of frame that belongs to the encoding. */
  get ownOpcode(): number {
    return this.encoding === 'json' ? opcodes.text : opcodes.binary;
  }

  /** Resolves true when the gateway answers a `ping` that is sent now, false when it closes the socket instead. */
  async goesOn(): Promise<boolean> {
    // Far from the numbers that hostile pings carry.
    const c = -1e9 - ++this.pings;
    this.send({ t: 'ping', c });
    await this.until(() => this.pongs.has(c) || this.closed !== undefined, 'pong or a close');
    return this.pongs.delete(c);
  }

  /** Resolves when something that was waited for is there, or the socket has closed. Rejects after a long time. */
  async until(ready: () => boolean, what: string): Promise<void> {
    const late = Date.now() + patienceMs;
    while (!ready() && !this.closed) {
      if (Date.now() > late) throw new Error(`the gateway gave neither ${what} nor a close`);
      await this.arrivals.next(1_000);
    }
  }

  /** The network is gone. */
  cut(): void {
    this.ws.terminate();
  }
}
