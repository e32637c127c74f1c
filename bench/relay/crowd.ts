// The players of the bench: one process that holds all sockets of one server, says what it is told to all of them at
// once, and counts what comes back. Driven by crowd-process.ts; the same for the gateway and for what it is compared
// with.

import { nowMicros, readStamp } from '../recorded/stamp.ts';
import { type FrameEvents, LeanSocket } from './lean-socket.ts';

export type Order =
  /** Opens a socket for each token (or so many without `hello`), and waits until all are welcome. */
  | { readonly op: 'open'; readonly url: string; readonly sockets: number; readonly tokens?: string[] }
  /** Sends a `say` on each socket, spread over `spreadMs`, and waits for every answer to end. */
  | ({ readonly op: 'say' } & SayOrder)
  /** Says goodbye on every socket. */
  | { readonly op: 'close' };

export interface SayOrder {
  readonly s: number;
  readonly maxTokens: number;
  readonly spreadMs: number;
  /** Latency is taken of the frames that arrive in this span, in ms since the order. */
  readonly window?: readonly [from: number, to: number];
}

export interface Heard {
  /** Of all `tok` and terminal frames. */
  readonly frames: number;
  /** From the order to the first of them. */
  readonly firstMs: number;
  /** From the first to the last of them. */
  readonly ms: number;
  /** Frames of the window, and what they took from publishing to here. */
  readonly windowFrames: number;
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly p99Ms: number;
}

/** Where the value of `t` stands: behind the map's header, the key and the header of the value. */
const kindAt = 4;
const letters = { tok: 't'.charCodeAt(0), end: 'e'.charCodeAt(0), welcome: 'w'.charCodeAt(0) };
const handshakesAtOnce = 100;
const mostSamples = 4_000_000;

class Crowd implements FrameEvents {
  sockets: LeanSocket[] = [];
  frames = 0;
  firstAt = 0;
  lastAt = 0;
  samples = new Float64Array(0);
  sampled = 0;
  window: readonly [number, number] = [0, 0];
  #waitingFor = 0;
  #all: () => void = () => {};
  #failed: (error: Error) => void = () => {};
  #closing = false;
  #lost: Error | undefined;

  frame(bytes: Uint8Array, start: number, end: number): void {
    const kind = bytes[start + kindAt];
    if (kind === letters.welcome) return this.#one();
    const now = nowMicros();
    if (this.frames++ === 0) this.firstAt = now;
    this.lastAt = now;
    if (kind === letters.tok) {
      if (now >= this.window[0] && now < this.window[1] && this.sampled < mostSamples) {
        this.samples[this.sampled++] = now - readStamp(bytes, end);
      }
    } else if (kind === letters.end) this.#one();
  }

  closed(socket: LeanSocket): void {
    if (this.#closing) return this.#one();
    this.#lost ??= new Error(`socket ${socket.index} was closed by the server`);
    this.#failed(this.#lost);
  }

  /** Resolves after so many calls of `#one`; rejects when a socket is lost. */
  wait(count: number): Promise<void> {
    if (this.#lost) return Promise.reject(this.#lost);
    return new Promise((resolve, reject) => {
      this.#waitingFor = count;
      this.#all = resolve;
      this.#failed = reject;
    });
  }

  async open({ url, sockets, tokens }: Extract<Order, { op: 'open' }>): Promise<void> {
    this.#closing = false;
    const to = new URL(url);
    for (let from = 0; from < sockets; from += handshakesAtOnce) {
      const count = Math.min(handshakesAtOnce, sockets - from);
      const welcome = tokens ? this.wait(count) : undefined;
      const wave = await Promise.all(
        Array.from({ length: count }, async (_, i) => {
          const socket = await LeanSocket.open(from + i, this, to);
          if (tokens) socket.send({ t: 'hello', token: tokens[from + i] });
          return socket;
        }),
      );
      await welcome;
      this.sockets.push(...wave);
    }
  }

  async say({ s, maxTokens, spreadMs, window }: SayOrder): Promise<Heard> {
    this.frames = 0;
    this.sampled = 0;
    const ended = this.wait(this.sockets.length);
    // Whoever gives the order hears of it below; while the questions are being asked nobody listens yet.
    ended.catch(() => {});
    if (window && this.samples.length === 0) this.samples = new Float64Array(mostSamples);
    const start = nowMicros();
    this.window = window ? [start + window[0] * 1_000, start + window[1] * 1_000] : [0, 0];
    for (const [i, socket] of this.sockets.entries()) {
      const due = start + (i / this.sockets.length) * spreadMs * 1_000 - nowMicros();
      if (due > 1_000) await new Promise((resolve) => setTimeout(resolve, due / 1_000));
      socket.send({ t: 'say', s, npc: 'crier', text: `Tell me more (${socket.index}).`, maxTokens });
    }
    await ended;
    const taken = this.samples.subarray(0, this.sampled).sort();
    const at = (share: number) => (taken[Math.floor(share * (taken.length - 1))] ?? 0) / 1_000;
    return {
      frames: this.frames,
      firstMs: (this.firstAt - start) / 1_000,
      ms: (this.lastAt - this.firstAt) / 1_000,
      windowFrames: this.sampled,
      p50Ms: at(0.5),
      p95Ms: at(0.95),
      p99Ms: at(0.99),
    };
  }

  async close(): Promise<void> {
    this.#closing = true;
    const gone = this.wait(this.sockets.length);
    for (const socket of this.sockets) socket.close();
    await gone;
    this.sockets = [];
  }

  #one(): void {
    if (--this.#waitingFor === 0) this.#all();
  }
}

const crowd = new Crowd();

async function obey(order: Order): Promise<Heard | undefined> {
  switch (order.op) {
    case 'open':
      return void (await crowd.open(order));
    case 'say':
      return crowd.say(order);
    case 'close':
      return void (await crowd.close());
  }
}

process.on('message', (order: Order) => {
  obey(order).then(
    (heard) => process.send!({ done: true, heard }),
    (error: Error) => process.send!({ done: false, error: error.message }),
  );
});
