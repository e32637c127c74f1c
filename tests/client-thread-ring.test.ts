// The ring between two threads: whatever is written comes out whole and in its order, however slow the reader and however
// long the message.

import { expect, test } from 'vitest';
import { RingReader, RingWriter, ringMemory } from '../client/thread/ring.ts';
import { randomly } from './chaos/strikes.ts';

test('messages of any length come whole and in order, also past a reader that falls behind', () => {
  const memory = ringMemory(256);
  const writer = new RingWriter(memory);
  const reader = new RingReader(memory);
  const random = randomly(7);
  const sent: string[] = [];
  const read: string[] = [];
  const take = (most: number) => {
    for (let k = 0; k < most && reader.next(); k++)
      read.push(Buffer.from(reader.message.subarray(0, reader.length)).toString('hex'));
  };
  for (let k = 0; k < 5_000; k++) {
    // Now and then one that is longer than the whole ring.
    const length = 1 + Math.floor(random() * (k % 50 === 0 ? 2_000 : 90));
    const message = Uint8Array.from({ length }, () => Math.floor(random() * 256));
    sent.push(Buffer.from(message).toString('hex'));
    writer.write(message, length);
    if (random() < 0.6) take(Math.floor(random() * 4));
    if (random() < 0.1) writer.flush();
  }
  for (let idle = 0; idle < 2; idle = writer.flush() ? idle + 1 : 0) take(1_000);
  expect(read.length).toBe(sent.length);
  expect(read).toEqual(sent);
  expect(writer.waitingBytes).toBe(0);
});

test('the counters of a ring run on over 2^32', () => {
  const memory = ringMemory(64);
  new Int32Array(memory, 0, 2).fill(0x7fff_fff0);
  const writer = new RingWriter(memory);
  const reader = new RingReader(memory);
  for (let k = 0; k < 100; k++) {
    writer.write(Uint8Array.of(k, k, k), 3);
    expect(reader.next()).toBe(true);
    expect([...reader.message.subarray(0, reader.length)]).toEqual([k, k, k]);
  }
  expect(() => ringMemory(100)).toThrow(RangeError);
});
