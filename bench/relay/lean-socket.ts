// A WebSocket client that costs next to nothing, so that a bench measures the server: one shared read buffer, frames
// counted by their headers, of each payload only the kind and the last bytes looked at. It answers pings and speaks
// MessagePack; it checks nothing beyond that.

import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { encode } from '../../bus/codec.ts';

const opcodes = { text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

export interface FrameEvents {
  /** A data frame; its payload lies in `bytes` from `start` to `end`, until this returns. */
  frame(bytes: Uint8Array, start: number, end: number): void;
  closed(socket: LeanSocket): void;
}

/** All sockets of the process read into it, one after the other. */
const shared = Buffer.allocUnsafe(65_536);

export class LeanSocket {
  readonly index: number;
  readonly #events: FrameEvents;
  readonly #socket: Socket;
  #upgraded: (() => void) | undefined;
  /** The beginning of a frame, or of the handshake's answer, whose rest has not come yet. */
  #rest: Buffer | undefined;

  private constructor(index: number, events: FrameEvents, host: string, port: number) {
    this.index = index;
    this.#events = events;
    this.#socket = connect({
      host,
      port,
      noDelay: true,
      onread: { buffer: shared, callback: (n) => this.#read(n) },
    });
  }

  /** Connected, with the handshake done. Rejects when the server refuses. */
  static open(index: number, events: FrameEvents, url: URL): Promise<LeanSocket> {
    const socket = new LeanSocket(index, events, url.hostname, Number(url.port));
    return new Promise((resolve, reject) => {
      socket.#upgraded = () => {
        socket.#upgraded = undefined;
        resolve(socket);
      };
      socket.#socket.once('error', reject);
      socket.#socket.on('close', () => {
        reject(new Error(`the server closed socket ${index}`));
        events.closed(socket);
      });
      socket.#socket.write(
        `GET ${url.pathname} HTTP/1.1\r\nHost: ${url.host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
          `Sec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\nSec-WebSocket-Version: 13\r\n` +
          'Sec-WebSocket-Protocol: parley.v1.msgpack\r\n\r\n',
      );
    });
  }

  send(message: object): void {
    this.#write(opcodes.binary, encode(message, 'msgpack'));
  }

  /** Says goodbye with code 1000. */
  close(): void {
    this.#write(opcodes.close, Uint8Array.of(0x03, 0xe8));
  }

  /** Cuts the line. */
  destroy(): void {
    this.#socket.destroy();
  }

  /** A masked frame; the mask is zero, which is as good as any to a server on this machine. */
  #write(opcode: number, payload: Uint8Array): void {
    const long = payload.length > 125;
    const frame = Buffer.alloc((long ? 8 : 6) + payload.length);
    frame[0] = 0x80 | opcode;
    frame[1] = 0x80 | (long ? 126 : payload.length);
    if (long) frame.writeUInt16BE(payload.length, 2);
    frame.set(payload, long ? 8 : 6);
    this.#socket.write(frame);
  }

  #read(length: number): boolean {
    let bytes: Buffer = shared;
    let end = length;
    if (this.#rest) {
      bytes = Buffer.concat([this.#rest, shared.subarray(0, length)]);
      end = bytes.length;
      this.#rest = undefined;
    }
    let at = 0;
    if (this.#upgraded) {
      const over = bytes.subarray(0, end).indexOf('\r\n\r\n');
      if (over < 0) this.#rest = Buffer.from(bytes.subarray(0, end));
      else if (!bytes.subarray(0, 12).equals(switching)) this.#socket.destroy();
      else {
        at = over + 4;
        this.#upgraded();
      }
      if (at === 0) return true;
    }
    while (at < end) {
      let header = 2;
      let size = at + 1 < end ? bytes[at + 1]! : 0;
      if (size === 126) {
        header = 4;
        size = at + 3 < end ? bytes.readUInt16BE(at + 2) : 0;
      }
      const next = at + header + size;
      if (at + header > end || next > end) {
        this.#rest = Buffer.from(bytes.subarray(at, end));
        return true;
      }
      this.#frame(bytes, at + header, next, bytes[at]! & 0x0f);
      at = next;
    }
    return true;
  }

  #frame(bytes: Buffer, start: number, end: number, opcode: number): void {
    if (opcode === opcodes.binary) this.#events.frame(bytes, start, end);
    else if (opcode === opcodes.ping) this.#write(opcodes.pong, bytes.subarray(start, end));
    else if (opcode === opcodes.close) this.#socket.end();
  }
}

const switching = Buffer.from('HTTP/1.1 101');
