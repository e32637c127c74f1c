// The client's MessagePack against the one that the edge uses: what either writes, the other reads as the same. And
// what no honest server sends, it refuses without filling the memory.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decode, encode } from '../bus/codec.ts';
import { type ClientMessageInput, parseClientMessage } from '../bus/protocol.ts';
import type { Outgoing } from '../client/codec.ts';
import { pack, unpack } from '../client/messagepack.ts';

/** Everything that the protocol may carry; keys as people choose them, and `undefined` where a field is not set. */
const value = fc.letrec((tie) => ({
  any: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom(null, true, false),
    fc.integer(),
    fc.maxSafeInteger(),
    fc.constantFrom(0, -0, 127, 128, 255, 256, -32, -33, 65_535, 65_536, 2 ** 31, 2 ** 32, -(2 ** 31) - 1),
    fc.double({ noNaN: true }),
    fc.string({ unit: 'binary', maxLength: 70 }),
    fc.string({ maxLength: 30 }),
    fc.array(tie('any'), { maxLength: 20 }),
    tie('map'),
  ),
  map: fc.dictionary(
    fc.string({ unit: 'binary', maxLength: 40 }).filter((key) => key !== '__proto__'),
    fc.oneof(tie('any'), fc.constant(undefined)),
    { maxKeys: 20, noNullPrototype: true },
  ),
})).map;

/** Fields that are not set are not sent, and nothing is below zero that is zero, as in JSON. */
const sent = (map: unknown): unknown =>
  typeof map !== 'object' || map === null
    ? Object.is(map, -0)
      ? 0
      : map
    : Array.isArray(map)
      ? map.map(sent)
      : Object.fromEntries(
          Object.entries(map)
            .filter(([, field]) => field !== undefined)
            .map(([key, field]) => [key, sent(field)]),
        );

test('each message of a client is one of the protocol', () => {
  const messages: Outgoing[] = [
    { t: 'hello', token: 'a token', resume: { session: 'a', key: 'b', streams: [{ s: -1, n: 4 }] } },
    { t: 'say', s: 1, npc: 'mira', text: 'Hello', mode: 'alongside', g: 1, budgetMs: 1, maxTokens: 1 },
    { t: 'say', s: 2, npc: 'mira', mode: 'think', context: 'It rains.' },
    { t: 'job', s: 3, kind: 'story', input: {} },
    { t: 'cancel', s: 3 },
    { t: 'observe', kind: 'near' },
    { t: 'refresh', token: 'a token' },
    { t: 'ping', c: 1.5 },
    { t: 'bye' },
  ];
  for (const message of messages) {
    // Does not compile when the client could write what is no message.
    const written: ClientMessageInput = message;
    expect(parseClientMessage(decode(pack(written), 'msgpack'))).toEqual(written);
  }
});

test('what the client writes, the edge reads', () => {
  fc.assert(
    fc.property(value, (map) => {
      expect(decode(pack(map), 'msgpack')).toEqual(sent(map));
    }),
  );
});

test('what the edge writes, the client reads', () => {
  fc.assert(
    fc.property(value, (map) => {
      expect(unpack(encode(map as object, 'msgpack'))).toEqual(sent(map));
    }),
  );
});

test.each([0, 1, 24, 25, 31, 32, 255, 256, 1_000, 1_023, 1_024, 65_535, 65_536, 70_000])(
  'strings, bytes, arrays and maps of length %i go there and back',
  (length) => {
    const map = {
      text: 'x'.repeat(length),
      wide: 'é'.repeat(length),
      bytes: new Uint8Array(length).fill(7),
      array: Array.from({ length }, (_, i) => i),
      map: Object.fromEntries(Array.from({ length }, (_, i) => [`k${i}`, i])),
    };
    expect(unpack(pack(map))).toEqual(map);
  },
);

test('numbers in every format that a server may choose', () => {
  const hex = (bytes: string) =>
    unpack(Uint8Array.from(bytes.split(' '), (byte) => Number.parseInt(byte, 16)));
  expect(hex('ca 3f c0 00 00')).toBe(1.5);
  expect(hex('cb 3f f8 00 00 00 00 00 00')).toBe(1.5);
  expect(hex('cf 00 1f ff ff ff ff ff ff')).toBe(Number.MAX_SAFE_INTEGER);
  expect(hex('d3 ff e0 00 00 00 00 00 01')).toBe(Number.MIN_SAFE_INTEGER);
  expect(['d0 80', 'd1 80 00', 'd2 80 00 00 00', 'ff'].map(hex)).toEqual([-128, -32_768, -(2 ** 31), -1]);
});

test('a byte order mark is a character, and `__proto__` no way to an object', () => {
  expect(unpack(pack(`\ufeff${'x'.repeat(40)}`))).toBe(`\ufeff${'x'.repeat(40)}`);
  expect(() => unpack(pack(JSON.parse('{"__proto__":{"admin":true},"t":"tok"}')))).toThrow();
  expect(({} as { admin?: boolean }).admin).toBeUndefined();
});

describe('refused', () => {
  test('whatever was cut short or has more after it', () => {
    fc.assert(
      fc.property(value, fc.nat(), (map, at) => {
        const bytes = pack(map);
        expect(() => unpack(bytes.subarray(0, at % bytes.length))).toThrow();
        expect(() => unpack(Uint8Array.of(...bytes, 0xc0))).toThrow();
      }),
    );
  });

  test('any bytes: an answer or an error, and nothing else', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        try {
          unpack(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(Error);
        }
      }),
    );
  });

  test('extension types, keys that are no text, nesting without end', () => {
    for (const bytes of [[0xc1], [0xc7, 0, 1], [0xd4, 1, 1], [0x81, 1, 1]]) {
      expect(() => unpack(Uint8Array.from(bytes))).toThrow();
    }
    for (const level of [0x91, 0x81]) expect(() => unpack(new Uint8Array(100_000).fill(level))).toThrow();
  });

  test('what a game cannot send: functions, big integers, circles', () => {
    const circle: unknown[] = [];
    circle.push(circle);
    for (const wrong of [() => {}, 1n, circle, Symbol('x')]) {
      expect(() => pack({ input: wrong })).toThrow(TypeError);
    }
  });
});
