// The line between a game's thread and that of its clients: a ring each way, and on it messages of four numbers and a
// body. A body is text (JSON, or words), or MessagePack where a game's own data is in it, or bytes as they are.

import { pack, unpack } from '../messagepack.ts';
import { RingReader, RingWriter } from './ring.ts';

/** Kind, and three numbers whose meaning the kind says. */
const headBytes = 16;
const encoder = new TextEncoder();
const decoder = new TextDecoder();

export class Line {
  /** Of the message that `next` has read. */
  kind = 0;
  a = 0;
  b = 0;
  c = 0;
  readonly #writer: RingWriter;
  readonly #reader: RingReader;
  #out = new Uint8Array(1_024);
  #head = new Int32Array(this.#out.buffer, 0, headBytes / 4);
  #in: Int32Array;

  constructor(write: SharedArrayBuffer, read: SharedArrayBuffer) {
    this.#writer = new RingWriter(write);
    this.#reader = new RingReader(read);
    this.#in = new Int32Array(this.#reader.message.buffer, 0, headBytes / 4);
  }

  /** Bytes for which there was no room on the other side yet. */
  get waitingBytes(): number {
    return this.#writer.waitingBytes;
  }

  flush(): void {
    this.#writer.flush();
  }

  /** A message whose body is text; without one it is four numbers alone. */
  send(kind: number, a: number, b: number, c: number, text = ''): void {
    this.#reserve(text.length * 3);
    const { written } =
      text === '' ? { written: 0 } : encoder.encodeInto(text, this.#out.subarray(headBytes));
    this.#write(kind, a, b, c, written);
  }

  /** A message whose body is a copy of `bytes`. */
  sendBytes(kind: number, a: number, b: number, c: number, bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    for (let k = 0; k < bytes.length; k++) this.#out[headBytes + k] = bytes[k]!;
    this.#write(kind, a, b, c, bytes.length);
  }

  /** A message whose body is any value that MessagePack can write; throws TypeError for one that it cannot. */
  sendPacked(kind: number, a: number, b: number, c: number, value: unknown): void {
    const bytes = pack(value);
    this.#reserve(bytes.length);
    this.#out.set(bytes, headBytes);
    this.#write(kind, a, b, c, bytes.length);
  }

  /** Reads the next message, if one has come; its body is good until the one after. */
  next(): boolean {
    const reader = this.#reader;
    if (!reader.next()) return false;
    if (this.#in.buffer !== reader.message.buffer)
      this.#in = new Int32Array(reader.message.buffer, 0, headBytes / 4);
    this.kind = this.#in[0]!;
    this.a = this.#in[1]!;
    this.b = this.#in[2]!;
    this.c = this.#in[3]!;
    return true;
  }

  text(): string {
    return decoder.decode(this.body());
  }

  packed(): unknown {
    return unpack(this.body());
  }

  body(): Uint8Array {
    return this.#reader.message.subarray(headBytes, this.#reader.length);
  }

  #reserve(bodyBytes: number): void {
    if (headBytes + bodyBytes <= this.#out.length) return;
    this.#out = new Uint8Array(2 * (headBytes + bodyBytes));
    this.#head = new Int32Array(this.#out.buffer, 0, headBytes / 4);
  }

  #write(kind: number, a: number, b: number, c: number, bodyBytes: number): void {
    this.#head[0] = kind;
    this.#head[1] = a;
    this.#head[2] = b;
    this.#head[3] = c;
    this.#writer.write(this.#out, headBytes + bodyBytes);
  }
}
