// A writer of MessagePack that picks any format the specification allows for a value, which no library does: a small
// number as int64, a short text as str32. It also says what a reader must make of it.
// Source: the MessagePack specification, "Formats".

import fc from 'fast-check';
import { words } from './values.ts';

export interface Written {
  readonly value: unknown;
  readonly bytes: Uint8Array;
}

const join = (...parts: readonly Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(parts));
const head = (...bytes: number[]) => Uint8Array.from(bytes);

function sized(tag: number, size: number, length: number): Uint8Array {
  const bytes = Buffer.alloc(1 + size);
  bytes[0] = tag;
  bytes.writeUIntBE(length, 1, size);
  return bytes;
}

const unsigned = fc
  .tuple(fc.constantFrom(1, 2, 4, 8), fc.oneof(fc.nat(127), fc.nat(), fc.maxSafeNat()))
  .map(([size, n]): Written => {
    const value = size === 8 ? n : n % 2 ** (8 * size);
    const bytes = Buffer.alloc(1 + size);
    bytes[0] = { 1: 0xcc, 2: 0xcd, 4: 0xce, 8: 0xcf }[size]!;
    if (size === 8) bytes.writeBigUInt64BE(BigInt(value), 1);
    else bytes.writeUIntBE(value, 1, size);
    return { value, bytes };
  });

const signed = fc
  .tuple(fc.constantFrom(1, 2, 4, 8), fc.oneof(fc.integer({ min: -128, max: 127 }), fc.maxSafeInteger()))
  .map(([size, n]): Written => {
    const half = 2 ** (8 * size - 1);
    // `+ 0`: the remainder of a negative number may be -0, which no integer format has.
    const value = size === 8 ? n : (n % half) + 0;
    const bytes = Buffer.alloc(1 + size);
    bytes[0] = { 1: 0xd0, 2: 0xd1, 4: 0xd2, 8: 0xd3 }[size]!;
    if (size === 8) bytes.writeBigInt64BE(BigInt(value), 1);
    else bytes.writeIntBE(value, 1, size);
    return { value, bytes };
  });

const floats = fc.oneof(
  fc.float({ noNaN: true }).map((value): Written => {
    const bytes = Buffer.from([0xca, 0, 0, 0, 0]);
    bytes.writeFloatBE(value, 1);
    return { value, bytes };
  }),
  fc.double({ noNaN: true }).map((value): Written => {
    const bytes = Buffer.from([0xcb, 0, 0, 0, 0, 0, 0, 0, 0]);
    bytes.writeDoubleBE(value, 1);
    return { value, bytes };
  }),
);

const plain = fc.oneof(
  fc.nat(127).map((value): Written => ({ value, bytes: head(value) })),
  fc.integer({ min: -32, max: -1 }).map((value): Written => ({ value, bytes: head(value & 0xff) })),
  fc
    .constantFrom<[unknown, number]>([null, 0xc0], [false, 0xc2], [true, 0xc3])
    .map(([value, byte]): Written => ({ value, bytes: head(byte) })),
);

const texts = (text: fc.Arbitrary<string>) =>
  fc.tuple(fc.constantFrom(0, 1, 2, 4), text).map(([wanted, value]): Written => {
    const body = new TextEncoder().encode(value);
    const size = wanted === 0 && body.length > 31 ? 1 : wanted === 1 && body.length > 255 ? 2 : wanted;
    const before =
      size === 0 ? head(0xa0 | body.length) : sized({ 1: 0xd9, 2: 0xda, 4: 0xdb }[size]!, size, body.length);
    return { value, bytes: join(before, body) };
  });

const binaries = fc.tuple(fc.constantFrom(1, 2, 4), fc.uint8Array({ maxLength: 60 })).map(
  ([size, body]): Written => ({
    value: body,
    bytes: join(sized({ 1: 0xc4, 2: 0xc5, 4: 0xc6 }[size]!, size, body.length), body),
  }),
);

const scalars = fc.oneof(plain, unsigned, signed, floats, texts(words(60)), binaries);
// `__proto__` is the one key that the reader renames.
const keys = texts(words(20).filter((key) => key !== '__proto__'));

function list(size: number, items: readonly Written[]): Written {
  const before =
    size === 0 ? head(0x90 | items.length) : sized({ 2: 0xdc, 4: 0xdd }[size]!, size, items.length);
  return { value: items.map((i) => i.value), bytes: join(before, ...items.map((i) => i.bytes)) };
}

function map(size: number, entries: readonly (readonly [Written, Written])[]): Written {
  const before =
    size === 0 ? head(0x80 | entries.length) : sized({ 2: 0xde, 4: 0xdf }[size]!, size, entries.length);
  return {
    // A key that comes twice: the later one counts, as in JSON.
    value: Object.fromEntries(entries.map(([key, value]) => [key.value, value.value])),
    bytes: join(before, ...entries.flatMap(([key, value]) => [key.bytes, value.bytes])),
  };
}

const { maps } = fc.letrec<{ value: Written; maps: Written }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 5, depthSize: 'small' },
    scalars,
    fc.tuple(fc.constantFrom(0, 2, 4), fc.array(tie('value'), { maxLength: 8 })).map((a) => list(...a)),
    tie('maps'),
  ),
  maps: fc
    .tuple(fc.constantFrom(0, 2, 4), fc.array(fc.tuple(keys, tie('value')), { maxLength: 8 }))
    .map((a) => map(...a)),
}));

/** Maps in any valid spelling. */
export const spelledMaps: fc.Arbitrary<Written> = maps;
