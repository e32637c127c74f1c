// What messages are made of, for fast-check: maps of any shape, values that are wrong in most places, and edits that
// spoil a good map or good bytes. Knows nothing of particular messages.

import fc from 'fast-check';

/** Valid Unicode of any planes. */
export const words = (maxLength: number, minLength = 0) =>
  fc.string({ unit: 'binary', minLength, maxLength });

/** An id as the protocol has it: 1 to 128 bytes. */
export const ids = words(32, 1);

// The packer renames `__proto__`, so such a key is the one that does not come back as it was.
const keys = words(12).filter((key) => key !== '__proto__');
const numbers = fc.oneof(
  fc.integer(),
  fc.maxSafeInteger(),
  // JSON has no other numbers, and no negative zero that it would give back.
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((n) => n + 0),
);
const scalars = fc.oneof(fc.constant(null), fc.boolean(), numbers, words(40));

/** Anything that both encodings can carry. */
export const values: fc.Arbitrary<unknown> = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 6, depthSize: 'small' },
    scalars,
    fc.array(tie('value'), { maxLength: 6 }),
    fc.dictionary(keys, tie('value'), { maxKeys: 6, noNullPrototype: true }),
  ),
})).value;

/** Any map: what a message is before anybody looks at its fields. */
export const maps = fc.dictionary(keys, values, { maxKeys: 8, noNullPrototype: true }) as fc.Arbitrary<
  Record<string, unknown>
>;

/** `{"a":[[…]]}`, or the like in maps, with that many levels. */
export function nested(levels: number, by: 'arrays' | 'maps' = 'arrays'): Record<string, unknown> {
  let value: unknown = by === 'arrays' ? [] : {};
  for (let level = 2; level < levels; level++) value = by === 'arrays' ? [value] : { a: value };
  return { a: value };
}

/** Values that are right nowhere, or only just. */
export const oddValues: fc.Arbitrary<unknown> = fc.oneof(
  values,
  fc.constantFrom<unknown>(
    ...[0, -1, 1.5, -0, 0x7fffffff, 0x80000000, 0xffffffff, 0x1_0000_0000, 65_536, 3_600_001],
    ...[Number.MAX_SAFE_INTEGER, 2 ** 53, 2 ** 63, -(2 ** 63), 2 ** 64, 1e308, 5e-324, Number.NaN, 1 / 0],
    ...['', ' ', '\u0000', '\ud800', 'a\udc00b', '\ufeff', '\u202e', '1', 'true', '__proto__', 'constructor'],
    ...[
      'x'.repeat(128),
      'x'.repeat(129),
      'é'.repeat(128),
      '🗡'.repeat(64),
      'x'.repeat(2_001),
      '=41',
      '*',
      '>',
    ],
    ...[null, true, [], {}, [[]], { t: 'bye' }, nested(20), nested(40), nested(40, 'maps'), [null]],
    JSON.parse('{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}}}'),
  ),
);

/** One change of a map, anywhere inside it. */
export type Edit =
  | { readonly how: 'drop'; readonly at: number }
  | { readonly how: 'put'; readonly at: number; readonly value: unknown }
  | { readonly how: 'add'; readonly at: number; readonly key: string; readonly value: unknown };

export const edits: fc.Arbitrary<Edit[]> = fc.array(
  fc.oneof(
    fc.record({ how: fc.constant('drop' as const), at: fc.nat() }),
    fc.record({ how: fc.constant('put' as const), at: fc.nat(), value: oddValues }),
    fc.record({
      how: fc.constant('add' as const),
      at: fc.nat(),
      key: fc.oneof(keys, fc.constantFrom('t', 's', 'v', 'op', '__proto__', 'toString')),
      value: oddValues,
    }),
  ),
  { minLength: 1, maxLength: 3 },
);

/** A copy of `map` with the edits made, one after the other. */
export function edited(map: object, changes: readonly Edit[]): Record<string, unknown> {
  const copy = structuredClone(map) as Record<string, unknown>;
  for (const change of changes) {
    const places = placesIn(copy);
    const { holder, key } = places[change.at % places.length] ?? { holder: copy, key: 'x' };
    // Copied: a value that is put into a map may be changed by the next edit, and must not become part of itself.
    if (change.how === 'put') define(holder, key, structuredClone(change.value));
    else if (change.how === 'add' && Array.isArray(holder)) holder.push(structuredClone(change.value));
    else if (change.how === 'add') define(holder, change.key, structuredClone(change.value));
    else if (Array.isArray(holder)) holder.splice(Number(key), 1);
    else delete holder[key];
  }
  return copy;
}

type Holder = Record<string, unknown>;

function placesIn(holder: Holder): { holder: Holder; key: string }[] {
  return Object.entries(holder).flatMap(([key, value]) => [
    { holder, key },
    ...(typeof value === 'object' && value !== null ? placesIn(value as Holder) : []),
  ]);
}

/** An own property, whatever its name: `__proto__` too. */
function define(holder: Holder, key: string, value: unknown): void {
  Object.defineProperty(holder, key, { value, enumerable: true, configurable: true, writable: true });
}

/** One change of bytes. Places are taken modulo the length. */
export type ByteEdit =
  | { readonly how: 'flip'; readonly at: number; readonly bit: number }
  | { readonly how: 'set'; readonly at: number; readonly byte: number }
  | { readonly how: 'cut'; readonly at: number }
  | { readonly how: 'insert'; readonly at: number; readonly bytes: Uint8Array }
  | { readonly how: 'repeat'; readonly at: number; readonly length: number }
  | { readonly how: 'drop'; readonly at: number; readonly length: number };

// Heads of MessagePack that promise much, brackets that open, UTF-8 that never ends, and any bytes.
const splinters = fc.oneof(
  fc.uint8Array({ minLength: 1, maxLength: 16 }),
  fc
    .constantFrom(
      'ddffffffff',
      'dfffffffff',
      'c6ffffffff',
      'dbffffffff',
      'dcffff',
      'deffff',
      'c7ff00',
      'd672',
    )
    .map((hex) => new Uint8Array(Buffer.from(hex, 'hex'))),
  fc
    .constantFrom(
      'c1',
      'c0',
      'ca7fc00000',
      'cbfff0000000000000',
      'cfffffffffffffffff',
      'd38000000000000000',
      '8080',
    )
    .map((hex) => new Uint8Array(Buffer.from(hex, 'hex'))),
  fc
    .constantFrom(
      '{',
      '[',
      '"',
      '\\',
      '\\ud800',
      '1e999',
      ',',
      '}',
      ']',
      ':',
      '/*',
      'null',
      '-',
      '0x1',
      'NaN',
    )
    .map((text) => new TextEncoder().encode(text)),
  fc
    .constantFrom('ff', 'c080', 'eda080', 'f4908080', 'e28228', 'f0', '00', 'efbbbf')
    .map((hex) => new Uint8Array(Buffer.from(hex, 'hex'))),
);

export const byteEdits: fc.Arbitrary<ByteEdit[]> = fc.array(
  fc.oneof(
    fc.record({ how: fc.constant('flip' as const), at: fc.nat(), bit: fc.nat(7) }),
    fc.record({ how: fc.constant('set' as const), at: fc.nat(), byte: fc.nat(255) }),
    fc.record({ how: fc.constant('cut' as const), at: fc.nat() }),
    fc.record({ how: fc.constant('insert' as const), at: fc.nat(), bytes: splinters }),
    fc.record({ how: fc.constant('repeat' as const), at: fc.nat(), length: fc.nat(64) }),
    fc.record({ how: fc.constant('drop' as const), at: fc.nat(), length: fc.nat(8) }),
  ),
  { minLength: 1, maxLength: 4 },
);

/** A copy of `bytes` with the edits made, one after the other. */
export function spoiled(bytes: Uint8Array, changes: readonly ByteEdit[]): Uint8Array {
  let result = Buffer.from(bytes);
  for (const change of changes) {
    const at = result.length === 0 ? 0 : change.at % result.length;
    const [before, after] = [result.subarray(0, at), result.subarray(at)];
    if (change.how === 'cut') result = Buffer.from(before);
    else if (change.how === 'insert') result = Buffer.concat([before, change.bytes, after]);
    else if (change.how === 'repeat')
      result = Buffer.concat([before, after.subarray(0, change.length), after]);
    else if (change.how === 'drop') result = Buffer.concat([before, after.subarray(change.length)]);
    else if (result.length > 0)
      result[at] = change.how === 'set' ? change.byte : result[at]! ^ (1 << change.bit);
  }
  return new Uint8Array(result);
}
