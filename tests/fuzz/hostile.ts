// What a hostile player says, for fast-check, and what the protocol says must come of it: messages that are wrong
// somewhere, in good WebSocket frames, and tokens that are no good. What breaks RFC 6455 itself is in attacks.ts.

import { createHmac } from 'node:crypto';
import fc from 'fast-check';
import { decode, encode } from '../../bus/codec.ts';
import { type Encoding, parseClientMessage } from '../../bus/protocol.ts';
import { closeCodes, type ErrorName, type ParleyError } from '../../runtime/errors.ts';
import { clientMessages, hellos, tokenHere } from './messages.ts';
import { type ByteEdit, byteEdits, type Edit, edited, edits, nested, spoiled } from './values.ts';

const encodings = fc.constantFrom<Encoding>('json', 'msgpack');

/** A message that is wrong somewhere, or only nearly. */
export interface HostileMessage {
  readonly sort: 'message';
  readonly encoding: Encoding;
  /** Sent instead of `hello` on a new socket. */
  readonly first: boolean;
  /** A number is the place of one that somebody has thought of. */
  readonly message: Record<string, unknown> | number;
  readonly edits: readonly Edit[];
  readonly byteEdits: readonly ByteEdit[];
  readonly wrongKind: boolean;
  readonly cuts: readonly number[];
  readonly pings: boolean;
}

const json = (text: string) => new TextEncoder().encode(text);
const hex = (text: string) => new Uint8Array(Buffer.from(text, 'hex'));

/** Payloads that somebody has thought of. */
const known: { json: Uint8Array[]; msgpack: Uint8Array[] } = {
  json: [
    ...[
      '',
      ' ',
      'null',
      '[]',
      '"ping"',
      '1',
      '{}',
      '{"t":1}',
      '{"t":null}',
      '{"t":["ping"]}',
      '{"t":"ping"',
    ].map(json),
    ...[
      '{"t":"ping","t":"bye"}',
      '{"t":"bye","t":"ping"}',
      '{"t":"ping","c":1e999}',
      '{"t":"ping","c":NaN}',
    ].map(json),
    ...['{"t":"cancel","s":01}', '{"t":"cancel","s":-0}', '{"t":"cancel","s":1.0}', '{"t":"pong"}'].map(json),
    ...[
      '{"t":"say","s":1,"npc":"mira","text":"\\ud800"}',
      '{"t":"say","s":1,"npc":"\\udfff","text":"x"}',
    ].map(json),
    ...[
      '{"__proto__":{"t":"bye"}}',
      '{"t":"observe","kind":"k","__proto__":{"t":"bye"}}',
      '{"t":"\\u0070ing"}',
    ].map(json),
    ...[
      '\ufeff{"t":"ping"}',
      '{"t":"ping"}\u0000',
      '{"t":"ping"} {"t":"ping"}',
      '{t:"ping"}',
      "{'t':'ping'}",
    ].map(json),
    ...[json('[').length, 33, 1_000, 16_000].map((levels) => json('['.repeat(levels))),
    ...[32, 33, 2_000].map((levels) =>
      json(`{"t":"job","s":1,"kind":"k","input":${'['.repeat(levels)}${']'.repeat(levels)}}`),
    ),
    encode({ t: 'observe', kind: 'k', deep: nested(31) }, 'json'),
    json(`{"t":"ping","x":"${'x'.repeat(16_384 - 19)}"}`),
    json(`{"t":"ping","x":"${'x'.repeat(16_384 - 18)}"}`),
    json(`{"t":"ping","x":"${'x'.repeat(100_000)}"}`),
    json(`{${'"t":"ping",'.repeat(1_000)}"t":"ping"}`),
    json(`{"t":"say","s":1,"npc":"mira","text":"${'x'.repeat(2_001)}"}`),
    json(`{"t":"say","s":1,"npc":"mira","text":"${'\u0000'.repeat(400).replaceAll('\u0000', '\\u0000')}"}`),
    hex('7b2274223a2270696e67222c2278223a22ff227d'), // {"t":"ping","x":"<FF>"}
    hex('7b2274223a2270696e67222c2278223a22eda080227d'), // a surrogate as if it were a character
    hex('7b2274223a2270696e67222c2278223a22c080227d'), // NUL in two bytes
    hex('7b002200740022003a0022007000690022007d00'), // UTF-16
  ],
  msgpack: [
    ...[
      '',
      'c0',
      'c1',
      '80',
      '90',
      '93',
      'a474657374',
      '81a174c0',
      '81a17401',
      '8101a470696e67',
      'd40100',
      'c70005',
    ].map(hex),
    ...['82a174a470696e67a163cb7ff8000000000000', '82a174a470696e67a163cb7ff0000000000000'].map(hex), // ping NaN, ∞
    ...['82a174a470696e67a163cfffffffffffffffff', '82a174a470696e67a163d38000000000000000'].map(hex), // c beyond 2^53
    ...['82a174a470696e67a174a3627965', '82a174a3627965a174a470696e67'].map(hex), // t twice
    ...[
      '81a174d9ff70',
      '81a174daffff70',
      '81a174dbffffffff70',
      '81a174c6ffffffff70',
      'ddffffffff',
      'dfffffffff',
    ].map(hex),
    ...['dc7fff', 'de7fff', 'dd00003fff', 'df00003fff', '81a174a470696e6700', '81a174a470696e6781'].map(hex),
    ...['81a174c7ff0170', '81a174d6ff00000000', '81a174d7ff0000000000000000', '81a174c70472707172'].map(hex), // extensions
    ...[
      '81a174a4706eedfe',
      '81a174a3eda080',
      '82a174a470696e67a178a3eda080',
      '82a174a470696e67a9ff5f70726f746f5f5f80',
    ].map(hex),
    ...['82a174a470696e67a95f5f70726f746f5f5f81a174a3627965', '8281a17401a178a174a470696e67'].map(hex), // odd keys
    ...[32, 33, 1_000, 16_000].map((levels) => new Uint8Array(levels).fill(0x91)),
    ...[33, 8_000].map((levels) => hex(`81a174${'81a178'.repeat(levels)}c0`)),
    encode({ t: 'observe', kind: 'k', deep: nested(31) }, 'msgpack'),
    encode({ t: 'observe', kind: 'k', deep: nested(32) }, 'msgpack'),
    encode({ t: 'ping', x: 'x'.repeat(16_384 - 12) }, 'msgpack'),
    encode({ t: 'ping', x: 'x'.repeat(16_384) }, 'msgpack'),
    encode({ t: 'ping', x: new Uint8Array(100_000) }, 'msgpack'),
    encode({ t: 'say', s: 1, npc: 'mira', text: 'x'.repeat(2_001) }, 'msgpack'),
    encode({ t: 'job', s: 1, kind: 'k', input: Array(8_000).fill({}) }, 'msgpack'),
  ],
};

const knownPayloads = encodings.chain((encoding) =>
  fc.record({ encoding: fc.constant(encoding), message: fc.nat(known[encoding].length - 1) }),
);
const made = fc.record({
  encoding: encodings,
  message: fc.oneof({ weight: 5, arbitrary: clientMessages }, hellos),
});

export const hostileMessages: fc.Arbitrary<HostileMessage> = fc
  .tuple(
    fc.oneof({ weight: 3, arbitrary: made }, knownPayloads),
    fc.record({
      sort: fc.constant('message' as const),
      first: fc.oneof({ weight: 4, arbitrary: fc.constant(false) }, fc.constant(true)),
      edits: fc.oneof(fc.constant([]), edits, edits),
      byteEdits: fc.oneof(fc.constant([]), fc.constant([]), byteEdits),
      wrongKind: fc.oneof({ weight: 30, arbitrary: fc.constant(false) }, fc.constant(true)),
      cuts: fc.oneof(fc.constant([]), fc.array(fc.nat(), { maxLength: 20 })),
      pings: fc.boolean(),
    }),
  )
  .map(([what, how]) => ({ ...what, ...how, edits: typeof what.message === 'number' ? [] : how.edits }));

/** The bytes of a hostile message, with a token of the player who sends it where it asks for one. */
export function payloadOf(hostile: HostileMessage, token: string): Uint8Array {
  const { message, encoding } = hostile;
  if (typeof message === 'number') return spoiled(known[encoding][message]!, hostile.byteEdits);
  const whole = edited(message, hostile.edits);
  if (whole.token === tokenHere) whole.token = token;
  return spoiled(encode(whole, encoding), hostile.byteEdits);
}

/** What must come of a message: it goes on, perhaps after an `err` with that code, or is closed with one of these. */
export interface Verdict {
  readonly err?: ErrorName;
  readonly closes?: readonly number[];
  /** It may as well go on. */
  readonly orGoesOn?: boolean;
}

/** Not a code of the protocol: there was no close frame. */
export const cutOff = 1006;
const utf8 = new TextDecoder('utf-8', { fatal: true });

/**
 * The verdict by the protocol's text and the readers of bus/, which have been tried by themselves before. A good
 * message has the verdict {}: whatever the gateway answers, it goes on.
 */
export function verdictOf(
  hostile: HostileMessage,
  payload: Uint8Array,
  token: string,
  frameBytes: number,
): Verdict {
  const { encoding, wrongKind, first } = hostile;
  const isText = (encoding === 'json') !== wrongKind;
  if (payload.length > 8 * frameBytes) return { closes: [cutOff] };
  // A text frame that is no UTF-8 breaks RFC 6455, so the WebSocket layer cuts it off before anybody looks at it.
  if (isText && !isUtf8(payload)) return { closes: [cutOff] };
  if (payload.length > frameBytes) return { closes: [closeCodes.tooLarge.code] };
  if (wrongKind) return { closes: [closeCodes.malformed.code] };
  let map: Record<string, unknown>;
  try {
    map = decode(payload, encoding);
  } catch {
    return { closes: [closeCodes.malformed.code] };
  }
  try {
    const message = parseClientMessage(map);
    if (message.t === 'bye' && !first) return { closes: [closeCodes.bye.code] };
    if (message.t !== 'hello') return first ? { closes: [closeCodes.malformed.code] } : {};
    if (!first) return { closes: [closeCodes.malformed.code] };
    // A token with a space in it, or other unused bits at its end, is the same token to a lenient reader of base64.
    return message.token === token ? {} : { closes: [closeCodes.unauthenticated.code], orGoesOn: true };
  } catch (error) {
    const noToken = map.t === 'hello' && typeof map.token !== 'string';
    if (first) return { closes: [(noToken ? closeCodes.unauthenticated : closeCodes.malformed).code] };
    return { err: (error as ParleyError).code };
  }
}

function isUtf8(bytes: Uint8Array): boolean {
  try {
    utf8.decode(bytes);
    return true;
  } catch {
    return false;
  }
}

/** A token that claims something odd, or is none. */
export interface HostileToken {
  readonly header: Record<string, unknown>;
  readonly claims: Record<string, unknown>;
  /** Signed with the key of the game, so that what it claims is looked at, or by somebody else. */
  readonly signedBy: 'us' | 'others' | 'nobody';
  readonly byteEdits: readonly ByteEdit[];
}

const algorithms = fc.oneof(
  { weight: 3, arbitrary: fc.constant('HS256') },
  fc.constantFrom('HS512', 'none', 'RS256', 'ES256', 'EdDSA'),
);
const headers = fc.oneof(
  algorithms.map((alg) => ({ alg, typ: 'JWT' })),
  fc.record({
    alg: algorithms,
    kid: fc.constant('k'),
    crit: fc.constantFrom(['b64'], ['x'], []),
    b64: fc.boolean(),
  }),
);
const now = Math.floor(Date.now() / 1_000);
const claims = { sub: 'nobody', aud: 'parley', iat: now, exp: now + 3_600, nbf: now - 60 };

export const hostileTokens: fc.Arbitrary<HostileToken> = fc.record({
  header: fc
    .tuple(headers, fc.oneof(fc.constant([]), edits))
    .map(([header, changes]) => edited(header, changes)),
  claims: fc.oneof(fc.constant([]), edits, edits).map((changes) => edited(claims, changes)),
  signedBy: fc.constantFrom('us', 'us', 'us', 'others', 'nobody'),
  byteEdits: fc.oneof(fc.constant([]), fc.constant([]), byteEdits),
});

export function tokenOf({ header, claims, signedBy, byteEdits }: HostileToken, secret: string): string {
  const part = (map: object) => Buffer.from(encode(map, 'json')).toString('base64url');
  const signed = `${part(header)}.${part(claims)}`;
  const key = signedBy === 'us' ? secret : 'the key of somebody else, long enough';
  const signature = signedBy === 'nobody' ? '' : createHmac('sha256', key).update(signed).digest('base64url');
  const token = new TextEncoder().encode(`${signed}.${signature}`);
  return Buffer.from(spoiled(token, byteEdits)).toString('latin1');
}
