// What becomes of tokens on their way to being text: characters cut between tokens, blank beginnings, stop
// strings. The tokens here are bytes, so that every cut there can be is tried.

import { describe, expect, test } from 'vitest';
import { Slots } from '../tiers/llama/slots.ts';
import { TextStream } from '../tiers/llama/text-stream.ts';

const bytes = (tokens: readonly (readonly number[])[]) => Buffer.from(tokens.flat()).toString('utf8');

/** Streams a text in tokens of `size` bytes; returns the pieces. */
function stream(text: string, size: number, stop: string[] = [], continues = false) {
  const out = new TextStream<readonly number[]>(bytes, stop, continues);
  const all = [...Buffer.from(text)];
  const pieces: { text: string; tokens: number }[] = [];
  for (let at = 0; at < all.length && !out.stopped; at += size) {
    const piece = out.push(all.slice(at, at + size));
    if (piece) pieces.push(piece);
  }
  const last = out.stopped ? undefined : out.end();
  if (last) pieces.push(last);
  return { pieces, text: pieces.map((p) => p.text).join(''), stopped: out.stopped };
}

describe('text from tokens', () => {
  test.each([1, 2, 3, 5, 7])('characters that are cut between tokens of %i bytes are healed', (size) => {
    const text = 'Žluťoučký kůň 🧙🏽‍♀️ 日本語 – “mill”';
    const { pieces, text: whole } = stream(text, size);
    expect(whole).toBe(text);
    for (const piece of pieces) expect(piece.text.isWellFormed()).toBe(true);
    for (const piece of pieces) expect(piece.text).not.toContain('\ufffd');
  });

  test('every token is accounted for once', () => {
    const { pieces } = stream('日本語 and more', 1);
    expect(pieces.reduce((sum, p) => sum + p.tokens, 0)).toBe(Buffer.byteLength('日本語 and more'));
  });

  test('the blank beginning of an answer is dropped, that of a continuation is not', () => {
    expect(stream(' \n  Hello', 1).text).toBe('Hello');
    expect(stream(' there', 2, [], true).text).toBe(' there');
  });

  test.each([1, 2, 4])('a stop string is found and not said, in tokens of %i bytes', (size) => {
    expect(stream('I say no.\nPlayer: hello', size, ['\nPlayer:'])).toMatchObject({
      text: 'I say no.',
      stopped: true,
    });
    expect(stream('aaaab', size, ['aab'])).toMatchObject({ text: 'aa', stopped: true });
  });

  test('the first of several stop strings counts', () => {
    expect(stream('one two three', 3, ['three', 'two']).text).toBe('one ');
  });

  test('what only began like a stop string is said', () => {
    expect(stream('no.\nPlay on', 1, ['\nPlayer:']).text).toBe('no.\nPlay on');
    expect(stream('no.\nPlay', 1, ['\nPlayer:']).text).toBe('no.\nPlay');
  });

  test('a stop string is never half said', () => {
    for (const { text } of stream('abc🙂🙃END', 1, ['🙃END']).pieces) expect('abc🙂').toContain(text);
  });

  test('a character that never came to its end is dropped', () => {
    const out = new TextStream<readonly number[]>(bytes, [], false);
    expect(out.push([0x61])?.text).toBe('a');
    expect(out.push([0xf0, 0x9f])).toBeUndefined();
    expect(out.end()).toBeUndefined();
  });
});

describe('places', () => {
  test('are given in the order in which they were asked for', async () => {
    const slots = new Slots(1);
    const never = new AbortController().signal;
    const order: string[] = [];
    const give = await slots.take(never);
    const waiting = ['a', 'b', 'c'].map(async (name) => {
      const back = await slots.take(never);
      order.push(name);
      back();
    });
    give();
    await Promise.all(waiting);
    expect(order).toEqual(['a', 'b', 'c']);
    expect(slots.taken).toBe(0);
  });

  test('who gives up waiting costs no place', async () => {
    const slots = new Slots(1);
    const never = new AbortController().signal;
    const give = await slots.take(never);
    const abort = new AbortController();
    const gone = slots.take(abort.signal);
    const next = slots.take(never);
    abort.abort(new Error('left'));
    await expect(gone).rejects.toThrow('left');
    give();
    give();
    (await next)();
    expect(slots.taken).toBe(0);
    await expect(slots.take(abort.signal)).rejects.toThrow('left');
  });
});
