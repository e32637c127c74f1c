// Frames that break RFC 6455, or only strain it, for fast-check: no library would send them. What must come of each is
// known as far as the RFC says it; beside a close of ours the WebSocket layer may cut the connection off.

import fc from 'fast-check';
import { encode } from '../../bus/codec.ts';
import type { Encoding } from '../../bus/protocol.ts';
import { cutOff } from './hostile.ts';
import { fragments, frame, opcodes } from './hostile-socket.ts';
import { type ByteEdit, byteEdits, spoiled } from './values.ts';

const encodings = fc.constantFrom<Encoding>('json', 'msgpack');

/** Frames that no client should send: which, and a number that varies them. */
export interface Attack {
  readonly sort: 'frames';
  readonly encoding: Encoding;
  readonly which: number;
  readonly n: number;
  readonly byteEdits: readonly ByteEdit[];
}

/** What an attack writes, and what must come of it. */
export interface Frames {
  readonly name: string;
  readonly bytes: Uint8Array;
  /** `on`: odd, and allowed. `off`: closed or cut. `either`. `waits`: the gateway may wait for more, so nobody asks. */
  readonly outcome: 'on' | 'off' | 'either' | 'waits';
  /** A close code that the gateway may give back. */
  readonly code?: number;
}

const own = (encoding: Encoding) => (encoding === 'json' ? opcodes.text : opcodes.binary);
const ping = (encoding: Encoding) => encode({ t: 'ping', c: 1 }, encoding);
const none = new Uint8Array();
const closeBody = (code: number, reason: Uint8Array = none) =>
  Buffer.concat([Uint8Array.from([code >> 8, code & 255]), reason]);

const makers: ((encoding: Encoding, n: number) => Frames)[] = [
  (e, n) => ({
    name: 'reserved bits',
    outcome: 'off',
    bytes: frame(own(e), ping(e), { reserved: 1 + (n % 7) }),
  }),
  (_, n) => ({
    name: 'a reserved opcode',
    outcome: 'off',
    bytes: frame([3, 4, 5, 6, 7, 11, 12, 13, 14, 15][n % 10]!, none),
  }),
  (e) => ({ name: 'no mask', outcome: 'either', bytes: frame(own(e), ping(e), { masked: false }) }),
  (e) => ({ name: 'a continuation of nothing', outcome: 'off', bytes: frame(opcodes.continuation, ping(e)) }),
  (e) => ({
    name: 'a message inside another',
    outcome: 'off',
    bytes: Buffer.concat([frame(own(e), ping(e), { fin: false }), frame(own(e), ping(e))]),
  }),
  (_, n) => ({ name: 'a ping in pieces', outcome: 'off', bytes: frame(8 + (n % 3), none, { fin: false }) }),
  (_, n) => ({
    name: 'a ping that is too long',
    outcome: 'off',
    bytes: frame(9 + (n % 2), new Uint8Array(126 + (n % 200))),
  }),
  (e, n) => ({
    name: 'a length beyond everything',
    outcome: 'off',
    bytes: frame(own(e), ping(e), {
      length: [2n ** 64n - 1n, 2n ** 63n, 2n ** 53n, 2n ** 32n, 2n ** 31n, 131_073n][n % 6]!,
    }),
  }),
  (e, n) => ({
    name: 'a length that is not kept',
    outcome: 'waits',
    bytes: frame(own(e), ping(e), { length: BigInt(ping(e).length + 1 + (n % 100_000)) }),
  }),
  (e) => ({
    name: 'a long form of a short length',
    outcome: 'either',
    bytes: frame(own(e), ping(e), { lengthBytes: 8 }),
  }),
  (e, n) => ({
    name: 'half a frame',
    outcome: 'waits',
    bytes: frame(own(e), ping(e)).subarray(0, 1 + (n % 8)),
  }),
  (_, n) => ({
    name: 'a close with a code that nobody may send',
    outcome: 'off',
    bytes: frame(opcodes.close, closeBody([0, 999, 1004, 1005, 1006, 1015, 2_999, 5_000, 65_535][n % 9]!)),
  }),
  () => ({
    name: 'a close with half a code',
    outcome: 'off',
    bytes: frame(opcodes.close, Uint8Array.from([3])),
  }),
  () => ({
    name: 'a close whose reason is no text',
    outcome: 'off',
    bytes: frame(opcodes.close, closeBody(1000, Uint8Array.of(0xff))),
  }),
  (e, n) => ({
    name: 'a close, and more',
    outcome: 'off',
    code: 3_000 + (n % 999),
    bytes: Buffer.concat([frame(opcodes.close, closeBody(3_000 + (n % 999))), frame(own(e), ping(e))]),
  }),
  (_, n) => ({
    name: 'a flood of pings',
    outcome: 'on',
    bytes: Buffer.concat(Array(500 + (n % 500)).fill(frame(opcodes.ping, new Uint8Array(125)))),
  }),
  (_, n) => ({
    name: 'a flood of pongs',
    outcome: 'on',
    bytes: Buffer.concat(Array(500 + (n % 500)).fill(frame(opcodes.pong, new Uint8Array(n % 126)))),
  }),
  (e, n) => ({
    name: 'a message byte by byte, with pings between',
    outcome: 'on',
    bytes: fragments(own(e), ping(e), [...ping(e).keys()], n % 2 === 0),
  }),
  (e, n) => ({
    name: 'a message of empty pieces',
    outcome: 'on',
    bytes: fragments(own(e), ping(e), Array(500 + (n % 500)).fill(0)),
  }),
  (e, n) => ({
    name: 'a message whose pieces are too long together',
    outcome: 'off',
    bytes: Buffer.concat([
      frame(own(e), new Uint8Array(16_000 + (n % 300)).fill(0x20), { fin: false }),
      ...Array(8).fill(
        frame(opcodes.continuation, new Uint8Array(16_000 + (n % 300)).fill(0x20), { fin: false }),
      ),
    ]),
  }),
];

export const attacks: fc.Arbitrary<Attack> = fc.record({
  sort: fc.constant('frames' as const),
  encoding: encodings,
  which: fc.nat(makers.length - 1),
  n: fc.nat(),
  byteEdits: fc.oneof({ weight: 3, arbitrary: fc.constant([]) }, byteEdits),
});

export function framesOf({ encoding, which, n, byteEdits }: Attack): Frames {
  const frames = makers[which]!(encoding, n);
  if (byteEdits.length === 0) return frames;
  return {
    name: `${frames.name}, spoiled`,
    bytes: spoiled(frames.bytes, byteEdits),
    outcome: 'waits',
  };
}

/** How an attack may end the connection beside the codes of the protocol: cut off, or as RFC 6455 says. */
export const endsOfAttacks: readonly number[] = [cutOff, 1002, 1005, 1007, 1009];
