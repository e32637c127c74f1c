// The bus contract without a bus: ids in subjects, both encodings, the frame prefix, envelopes of other releases.

import { describe, expect, test } from 'vitest';
import { decode, encode, encodingOf } from '../bus/codec.ts';
import { readBeat, readControl, readGenerateRequest } from '../bus/envelopes.ts';
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
import { newTraceparent, readHeaders, writeHeaders } from '../bus/headers.ts';
import { createKeys, createSubjects, decodeId, encodeId } from '../bus/subjects.ts';

describe('ids', () => {
  test.each([
    ['p1', 'p1'],
    ['a.b', 'a=2Eb'],
    ['*', '=2A'],
    ['>', '=3E'],
    ['auth0|5f', 'auth0=7C5f'],
    ['=2E', '=3D2E'],
    ['é', '=C3=A9'],
    ['🗡', '=F0=9F=97=A1'],
    [' ', '=20'],
    ['\u0000', '=00'],
  ])('%j is the token %s', (id, token) => {
    expect(encodeId(id)).toBe(token);
    expect(decodeId(token)).toBe(id);
  });

  test('any id of any characters becomes one token that leads back', () => {
    for (let code = 0; code < 0x3000; code += 7) {
      const id = `x${String.fromCodePoint(code)}y`;
      expect(encodeId(id)).toMatch(/^[A-Za-z0-9_=-]+$/);
      expect(decodeId(encodeId(id))).toBe(id);
    }
  });

  test.each(['', 'x'.repeat(129), 'é'.repeat(65), '\ud800'])('%j is refused', (id) => {
    expect(() => encodeId(id)).toThrow();
  });

  test.each(['=2e', '=2', '=41', 'a.b', '=C3', '=ZZ', ''])('the token %j is nobody', (token) => {
    expect(() => decodeId(token)).toThrow();
  });
});

describe('subjects', () => {
  const subjects = createSubjects('parley');

  test('are what the design names', () => {
    expect(subjects.generate('gold')).toBe('parley.gold.generate');
    expect(subjects.workerGenerate('gold', 'w.1')).toBe('parley.gold.worker.w=2E1.generate');
    expect(subjects.beat('silver', 'w1')).toBe('parley.silver.beat.w1');
    expect(subjects.out({ gateway: 'gw1', session: 'S', stream: -2, attempt: 3 })).toBe(
      'parley.out.gw1.S.-2.3',
    );
  });

  test('out leads back to its parts, and nothing else does', () => {
    const to = { gateway: 'g.1', session: 's>', stream: 4, attempt: 2 };
    expect(subjects.parseOut(subjects.out(to))).toEqual(to);
    for (const wrong of [
      'parley.out.g.s.1',
      'parley.out.g.s.1.2.3',
      'parley.out.g.s.x.1',
      'other.out.g.s.1.1',
      'parley.out.g.s.1.1e3',
    ]) {
      expect(subjects.parseOut(wrong), wrong).toBeUndefined();
    }
  });

  test('of acts, observations and facts are of one player, character or world', () => {
    expect(subjects.act('p.1')).toBe('parley.player.p=2E1.act');
    expect(subjects.observed('*')).toBe('parley.player.=2A.observed');
    expect(subjects.state('world', 'all')).toBe('parley.state.world.all');
    expect(subjects.parseState(subjects.state('npc', 'mi.ra'))).toEqual({ scope: 'npc', id: 'mi.ra' });
    for (const wrong of [
      'parley.state.planet.x',
      'parley.state.npc',
      'parley.state.npc.a.b',
      'other.state.npc.a',
    ]) {
      expect(subjects.parseState(wrong), wrong).toBeUndefined();
    }
  });

  test('keys cannot run into each other', () => {
    const { state } = createKeys('parley');
    expect(state('player', 'a:b')).toBe('parley:state:player:a=3Ab');
    const keys = createKeys('parley');
    expect(keys.history('a:b', 'c')).not.toBe(keys.history('a', 'b:c'));
    expect(keys.history('a:b', 'c')).toBe('parley:history:a=3Ab:c');
  });
});

describe('encodings', () => {
  const message = {
    t: 'tok',
    s: 1,
    n: 2,
    d: 'Grüß dich, 旅人 🗡',
    nested: { list: [1, -1, 1.5, true, null, 2 ** 40] },
  };

  test.each(['json', 'msgpack'] as const)('%s leads back', (encoding) => {
    const bytes = encode(message, encoding);
    expect(decode(bytes, encoding)).toEqual(message);
    expect(encodingOf(bytes)).toBe(encoding);
  });

  test('what is undefined is left out in both', () => {
    for (const encoding of ['json', 'msgpack'] as const) {
      expect(decode(encode({ a: 1, b: undefined }, encoding), encoding)).toEqual({ a: 1 });
    }
  });

  test.each([
    ['nothing', []],
    ['a bare number', [0x01]],
    ['an array', [0x91, 0x01]],
    ['nil', [0xc0]],
    ['the unused byte', [0xc1]],
    ['a map that is cut off', [0x82, 0xa1, 0x61]],
    ['a string longer than the frame', [0x81, 0xa1, 0x61, 0xdb, 0xff, 0xff, 0xff, 0xff]],
    ['an array of four thousand million', [0x81, 0xa1, 0x61, 0xdd, 0xff, 0xff, 0xff, 0xff]],
    ['a map of four thousand million', [0xdf, 0xff, 0xff, 0xff, 0xff]],
    ['an extension', [0x81, 0xa1, 0x61, 0xd4, 0x72, 0x40]],
    ['a timestamp extension', [0x81, 0xa1, 0x61, 0xd6, 0xff, 0, 0, 0, 0]],
    ['bytes after the message', [0x80, 0x00]],
    ['a hundred arrays in each other', [0x81, 0xa1, 0x61, ...Array<number>(100).fill(0x91), 0x01]],
  ])('MessagePack: %s is refused', (_what, bytes) => {
    expect(() => decode(Uint8Array.from(bytes), 'msgpack')).toThrow(
      expect.objectContaining({ code: 'bad_message' }),
    );
  });

  test.each(['', '[]', 'null', '1', '"x"', '{', '{"a":}', '{} {}'])('JSON: %j is refused', (text) => {
    expect(() => decode(new TextEncoder().encode(text), 'json')).toThrow(
      expect.objectContaining({ code: 'bad_message' }),
    );
  });

  test('a key named __proto__ changes no object', () => {
    for (const bytes of [
      new TextEncoder().encode('{"__proto__":{"polluted":1}}'),
      encode(JSON.parse('{"__proto__":{"polluted":1}}'), 'msgpack'),
    ]) {
      decode(bytes, encodingOf(bytes));
      expect(({} as { polluted?: number }).polluted).toBeUndefined();
    }
  });
});

describe('the frame prefix', () => {
  test('is twelve bytes, big-endian', () => {
    const frame = writeFrame(frameKinds.tok, 0x0102, 0x03040506, 0xfffffffe, Uint8Array.of(9));
    expect([...frame]).toEqual([1, 1, 1, 2, 3, 4, 5, 6, 0xff, 0xff, 0xff, 0xfe, 9]);
    expect(isFrame(frame)).toBe(true);
    expect([frameKind(frame), frameAttempt(frame), frameFirst(frame), frameLast(frame)]).toEqual([
      1, 0x0102, 0x03040506, 0xfffffffe,
    ]);
    expect([...frameBody(frame)]).toEqual([9]);
  });

  test('another version, an unknown kind and a cut-off prefix are no frames', () => {
    const frame = writeFrame(frameKinds.tok, 1, 1, 1, new Uint8Array());
    expect(isFrame(frame)).toBe(true);
    expect(isFrame(frame.subarray(0, 11))).toBe(false);
    expect(isFrame(Uint8Array.from([2, ...frame.subarray(1)]))).toBe(false);
    expect(isFrame(Uint8Array.from([1, 9, ...frame.subarray(2)]))).toBe(false);
  });
});

describe('envelopes', () => {
  const json = (o: object) => new TextEncoder().encode(JSON.stringify(o));

  test('what a backend types in a shell is enough', () => {
    expect(readGenerateRequest(json({ npc: 'mira', player: 'p1', text: 'hello' }))).toMatchObject({
      v: 1,
      s: 0,
      attempt: 1,
      frameMs: 0,
    });
  });

  test('fields of a later release are ignored, a missing one is named', () => {
    expect(
      readGenerateRequest(json({ v: 2, npc: 'mira', player: 'p1', text: 'hello', mood: 'grim' })),
    ).not.toHaveProperty('mood');
    expect(() => readGenerateRequest(json({ npc: 'mira', text: 'hello' }))).toThrow(
      expect.objectContaining({ detail: expect.stringContaining('player') }),
    );
    expect(() => readControl(json({ op: 'explode', session: 's', s: 1 }))).toThrow();
    expect(() => readBeat(json({ worker: 'w' }))).toThrow();
    // As a character is asked to decide, by a gateway or a backend.
    const think = { npc: 'mira', player: 'p1', mode: 'think', context: 'It rains.', g: 4 };
    expect(readGenerateRequest(json(think))).toMatchObject({ mode: 'think', g: 4 });
    expect(() => readGenerateRequest(json({ ...think, text: 'hello' }))).toThrow();
  });

  test('headers lead back; what is no number is absent', () => {
    const traceparent = newTraceparent();
    expect(readHeaders(writeHeaders({ budgetMs: 1200.7, traceparent }))).toEqual({
      budgetMs: 1200,
      traceparent,
    });
    expect(readHeaders(undefined)).toEqual({});
    const odd = writeHeaders({});
    odd.set('Parley-Budget-Ms', 'soon');
    odd.set('traceparent', 'x');
    expect(readHeaders(odd)).toEqual({ budgetMs: undefined, traceparent: undefined });
  });
});
