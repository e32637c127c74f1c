// Input that nobody would write: whatever comes in, from a player or over the bus, is read, or refused by name, and
// nothing else happens. Here the readers by themselves; tests/fuzz-gateway.test.ts sends the like to a real gateway.

import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { Unpackr } from 'msgpackr';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { decode, encode } from '../bus/codec.ts';
import {
  frameAttempt,
  frameBody,
  frameFirst,
  frameKind,
  frameKinds,
  frameLast,
  isFrame,
  writeFrame,
} from '../bus/frames.ts';
import { clientMessageKinds, type Encoding, parseClientMessage } from '../bus/protocol.ts';
import { createKeys, createSubjects, decodeId, encodeId } from '../bus/subjects.ts';
import { type ErrorName, ParleyError } from '../runtime/errors.ts';
import { spelledMaps } from './fuzz/messagepack.ts';
import { clientMessages, envelopes, hellos, idFields } from './fuzz/messages.ts';
import { casesTried, hold, runs, seed, timeoutMs } from './fuzz/runs.ts';
import { byteEdits, edited, edits, maps, nested, oddValues, spoiled, values, words } from './fuzz/values.ts';

const encodings = ['json', 'msgpack'] as const;
const encodingsTried = fc.constantFrom<Encoding>(...encodings);

vi.setConfig({ testTimeout: timeoutMs });
beforeAll(() => console.log(`fuzz: seed ${seed}, ${runs} cases of each property`));
afterAll(() => console.log(`fuzz: seed ${seed}, ${casesTried()} cases tried`));

/** What `work` gives, or undefined when it refuses with `bad_message`. Throws for whatever else it does. */
function orRefused<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    if (error instanceof ParleyError && error.code === 'bad_message') return undefined;
    throw error;
  }
}

/** A plain map of plain things, and nothing of everybody's has changed. */
function isPlain(value: unknown): boolean {
  const everybody = {} as { polluted?: unknown };
  return (
    typeof value === 'object' &&
    value !== null &&
    Object.getPrototypeOf(value) === Object.prototype &&
    everybody.polluted === undefined
  );
}

describe('the codec', () => {
  test.each(encodings)('gives back what it was given, in %s', (encoding) => {
    hold(fc.property(maps, (map) => isDeepStrictEqual(decode(encode(map, encoding), encoding), map)));
  });

  test('reads MessagePack in every format that the specification allows, as another reader does', () => {
    const reference = new Unpackr({ useRecords: false, mapsAsObjects: true, int64AsType: 'number' });
    hold(
      fc.property(spelledMaps, ({ value, bytes }) => {
        const frame = Uint8Array.from(bytes);
        const read = decode(frame, 'msgpack');
        // The memory of a frame is uWS's again when its handler returns: nothing of it is kept.
        frame.fill(0);
        expect(isDeepStrictEqual(read, value)).toBe(true);
        expect(isDeepStrictEqual(read, reference.unpack(bytes))).toBe(true);
      }),
    );
  });

  test.each(encodings)('makes a plain map of any bytes in %s, or refuses them, and reads on', (encoding) => {
    const good = encode({ t: 'ping', c: 1 }, encoding);
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      fc.tuple(maps, byteEdits).map(([map, changes]) => spoiled(encode(map, encoding), changes)),
      fc.tuple(spelledMaps, byteEdits).map(([written, changes]) => spoiled(written.bytes, changes)),
    );
    let read = 0;
    hold(
      fc.property(bytes, (input) => {
        const value = orRefused(() => decode(input, encoding));
        if (value !== undefined) read++;
        expect(value === undefined || isPlain(value)).toBe(true);
        // What could be read can be written again, or no reply, push or record could carry it.
        if (value !== undefined) for (const to of encodings) decode(encode(value, to), to);
        expect(decode(good, encoding)).toEqual({ t: 'ping', c: 1 });
      }),
      runs * 3,
    );
    expect(read).toBeGreaterThan(0);
  });

  test.each(encodings)('takes 32 levels in %s and no more', (encoding) => {
    for (const by of ['arrays', 'maps'] as const) {
      expect(decode(encode(nested(32, by), encoding), encoding)).toEqual(nested(32, by));
      expect(orRefused(() => decode(encode(nested(33, by), encoding), encoding))).toBeUndefined();
    }
  });

  test.each(encodings)('takes no more memory for what %s promises than for what it holds', (encoding) => {
    const promises =
      encoding === 'json'
        ? ['[', '{"a":', '[[],', '{"a":"', '"\\', '1', '[1e308,']
        : 'dd7fffffff df7fffffff c6ffffffff dbffffffff dcffff 91 8180 dd00003fff80 a1'
            .split(' ')
            .map((hex) => Buffer.from(hex, 'hex').toString('latin1'));
    const hostile = fc
      .tuple(
        fc.constantFrom(...promises),
        fc.nat(16_384),
        fc.constantFrom('', '{"t":"say","x":', '\x82\xa1t\xa3say\xa1x'),
      )
      .map(([promise, length, before]) =>
        Buffer.from(before + promise.repeat(Math.ceil(length / promise.length)), 'latin1'),
      );
    const inUse = () => {
      const { heapUsed, external } = process.memoryUsage();
      return heapUsed + external;
    };
    hold(
      fc.property(hostile, (input) => {
        const before = inUse();
        orRefused(() => decode(input, encoding));
        // Generous: a map of a byte costs some fifty, and the collector may not have come by.
        expect(inUse() - before).toBeLessThan(32 * 2 ** 20);
      }),
      Math.ceil(runs / 2),
    );
  });
});

describe('envelopes', () => {
  test.each(envelopes)(
    '%s: a good one is read alike in both encodings, whoever added a field',
    (_, read, good) => {
      hold(
        fc.property(good, values, (envelope, more) => {
          const [json, packed] = encodings.map((encoding) => read(encode(envelope, encoding)));
          expect(isDeepStrictEqual(json, packed)).toBe(true);
          const later = { 'from a later release': more, ...envelope };
          expect(isDeepStrictEqual(read(encode(later, 'msgpack')), json)).toBe(true);
        }),
      );
    },
  );

  test.each(envelopes)('%s: a spoiled one is read or refused, and what is read holds', (_, read, good) => {
    const payloads = fc.oneof(
      fc
        .tuple(good, edits, encodingsTried)
        .map(([map, changes, encoding]) => encode(edited(map, changes), encoding)),
      fc
        .tuple(good, byteEdits, encodingsTried)
        .map(([map, changes, encoding]) => spoiled(encode(map, encoding), changes)),
      fc.tuple(maps, encodingsTried).map(([map, encoding]) => encode(map, encoding)),
      fc.uint8Array({ maxLength: 60 }),
    );
    hold(
      fc.property(payloads, (payload) => {
        const value = orRefused(() => read(payload));
        if (value === undefined) return;
        expect(isPlain(value)).toBe(true);
        for (const field of idFields) {
          if (field in value) encodeId((value as Record<string, string>)[field]!);
        }
        // Once through each encoding: JSON has no NaN, MessagePack no lone surrogates, and free fields may have both.
        const written = read(encode(read(encode(value, 'json')), 'msgpack'));
        expect(isDeepStrictEqual(read(encode(written, 'json')), written)).toBe(true);
      }),
      runs * 2,
    );
  });
});

describe('subjects and keys', () => {
  const anyText = fc.oneof(
    words(40),
    fc.string({ unit: 'binary-ascii' }),
    fc.stringMatching(/^[.*>= \tA-F0-9a-f]{0,20}$/),
  );
  const subjects = createSubjects('parley');
  const keys = createKeys('parley');

  test('an id is one token that leads back to it alone', () => {
    hold(
      fc.property(anyText, (id) => {
        const token = orRefused(() => encodeId(id));
        if (token === undefined) return id === '' || Buffer.byteLength(id) > 128;
        return /^[A-Za-z0-9_=-]{1,384}$/.test(token) && decodeId(token) === id;
      }),
      runs * 2,
    );
  });

  test('a token that no id has is nobody', () => {
    hold(
      fc.property(anyText, (token) => {
        const id = orRefused(() => decodeId(token));
        return id === undefined || encodeId(id) === token;
      }),
      runs * 2,
    );
  });

  test('two ids never meet in one subject or key', () => {
    const id = anyText.filter((text) => text !== '' && Buffer.byteLength(text) <= 128);
    const shapes: ((a: string, b: string) => string)[] = [
      (a) => subjects.workerGenerate('gold', a),
      (a) => subjects.workerControl('gold', a),
      (a) => subjects.beat('gold', a),
      (a) => subjects.gatewayDeliver(a),
      (a) => subjects.gatewayControl(a),
      (a) => subjects.push(a),
      (a) => subjects.npcSay(a),
      (a, b) => subjects.out({ gateway: a, session: b, stream: 1, attempt: 1 }),
      (a, b) => keys.history(a, b),
      (a) => keys.historyIndex(a),
      (a) => keys.session(a),
      (a) => keys.player(a),
      (a) => keys.turn(a, 1),
    ];
    hold(
      fc.property(fc.tuple(id, id), fc.tuple(id, id), (one, other) => {
        const built = shapes.flatMap((shape) => [shape(...one), shape(...other)]);
        for (const text of built) expect(text).toMatch(/^parley[.:][A-Za-z0-9_=.:-]+$/);
        for (const shape of shapes) {
          const same = shape.length === 1 ? one[0] === other[0] : isDeepStrictEqual(one, other);
          expect(shape(...one) === shape(...other)).toBe(same);
        }
        // No two shapes of one pair of ids, either.
        expect(new Set(shapes.map((shape) => shape(...one))).size).toBe(shapes.length);
      }),
    );
  });

  test('what is built is parsed, and anything else is nobody', () => {
    const number = fc.integer({ min: -999_999_999, max: 999_999_999 });
    const id = anyText.filter((text) => text !== '' && Buffer.byteLength(text) <= 128);
    hold(
      fc.property(id, id, number, fc.nat(65_535), (a, b, stream, attempt) => {
        const to = { gateway: a, session: b, stream, attempt };
        expect(subjects.parseOut(subjects.out(to))).toEqual(to);
        expect(subjects.parseBeat(subjects.beat('silver', a))).toEqual({ tier: 'silver', worker: a });
        expect(subjects.parsePush(subjects.push(a))).toBe(a);
        expect(subjects.parseNpcSay(subjects.npcSay(a))).toBe(a);
      }),
    );
    const tokens = fc.array(
      fc.oneof(
        anyText,
        fc.constantFrom('parley', 'out', 'gold', 'beat', 'player', 'push', 'npc', 'say', '1', '-1'),
      ),
      {
        maxLength: 7,
      },
    );
    hold(
      fc.property(tokens, (parts) => {
        const subject = parts.join('.');
        const beat = subjects.parseBeat(subject);
        const push = subjects.parsePush(subject);
        const say = subjects.parseNpcSay(subject);
        subjects.parseOut(subject);
        if (beat) expect(subjects.beat(beat.tier, beat.worker)).toBe(subject);
        if (push) expect(subjects.push(push)).toBe(subject);
        if (say) expect(subjects.npcSay(say)).toBe(subject);
      }),
      runs * 2,
    );
  });
});

describe('frames', () => {
  const kinds = fc.constantFrom(...Object.values(frameKinds));
  const u32 = fc.oneof(fc.nat(), fc.integer({ min: 0, max: 0xffffffff }), fc.constant(0xffffffff));

  test('a prefix says what was written into it', () => {
    hold(
      fc.property(
        kinds,
        fc.nat(65_535),
        u32,
        u32,
        fc.uint8Array({ maxLength: 40 }),
        (kind, attempt, first, last, body) => {
          const frame = writeFrame(kind, attempt, first, last, body);
          expect([
            isFrame(frame),
            frameKind(frame),
            frameAttempt(frame),
            frameFirst(frame),
            frameLast(frame),
          ]).toEqual([true, kind, attempt, first, last]);
          expect(Buffer.compare(frameBody(frame), body)).toBe(0);
        },
      ),
    );
  });

  test('any bytes are no frame, or one whose numbers are in range', () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 40 }),
      fc
        .uint8Array({ minLength: 10, maxLength: 40 })
        .map((rest) => Uint8Array.from([1, rest[0]! % 7, ...rest])),
    );
    hold(
      fc.property(bytes, (frame) => {
        if (!isFrame(frame)) return;
        expect(Object.values(frameKinds)).toContain(frameKind(frame));
        expect(frameAttempt(frame)).toBeLessThanOrEqual(0xffff);
        for (const piece of [frameFirst(frame), frameLast(frame)]) {
          expect(piece).toBeGreaterThanOrEqual(0);
          expect(piece).toBeLessThanOrEqual(0xffffffff);
        }
        expect(frameBody(frame).length).toBe(frame.length - 12);
      }),
      runs * 2,
    );
  });
});

describe('messages of clients', () => {
  const names: ErrorName[] = ['bad_message', 'unknown_type'];

  test('a good one is read', () => {
    hold(
      fc.property(fc.oneof(clientMessages, hellos), (message) => parseClientMessage(message).t === message.t),
    );
  });

  test('any other is read or refused by name, and the reason says nothing of us', () => {
    const kinds = fc.constantFrom(...clientMessageKinds, 'tok', 'toString', '__proto__', '');
    const messages = fc.oneof(
      maps,
      fc.tuple(kinds, maps).map(([t, map]) => ({ ...map, t })),
      fc.tuple(kinds, fc.object()).map(([t, map]) => ({ ...map, t })),
      fc.dictionary(fc.constantFrom('t', 's', 'npc', 'text', 'token', 'resume', 'c'), oddValues),
      fc.tuple(fc.oneof(clientMessages, hellos), edits).map(([map, changes]) => edited(map, changes)),
    );
    hold(
      fc.property(messages, (message) => {
        try {
          expect(clientMessageKinds).toContain(parseClientMessage(message).t);
        } catch (error) {
          if (!(error instanceof ParleyError)) throw error;
          expect(names).toContain(error.code);
          expect(error.detail).not.toMatch(/zod|nats|redis|\.ts\b|\n/i);
        }
        expect(isPlain({})).toBe(true);
      }),
      runs * 3,
    );
  });
});
