// Messages from one thread to another through shared memory: one side writes, the other reads, nobody waits and no
// copy is made by the platform. What does not fit now waits with its writer. Knows nothing of what is in a message.

/** Indices of the two counters before the bytes. Both run on over 2^32; their difference is what lies in between. */
const written = 0;
const read = 1;
const counters = 2;
/** A message of more than this part of the ring goes in parts, so that none is too long for it. */
const parts = 4;

/** Memory of a ring for so many bytes, a power of two. */
export function ringMemory(bytes: number): SharedArrayBuffer {
  if (bytes < 64 || (bytes & (bytes - 1)) !== 0) throw new RangeError('ring: a power of two from 64');
  return new SharedArrayBuffer(counters * 4 + bytes);
}

class Ring {
  protected readonly at: Int32Array;
  protected readonly bytes: Uint8Array;
  /** Each message begins with a word: its length, and in the lowest bit whether it goes on in the next. */
  protected readonly words: Int32Array;
  protected readonly mask: number;

  constructor(memory: SharedArrayBuffer) {
    this.at = new Int32Array(memory, 0, counters);
    this.bytes = new Uint8Array(memory, counters * 4);
    this.words = new Int32Array(memory, counters * 4);
    this.mask = this.bytes.length - 1;
  }
}

const rounded = (length: number) => (length + 3) & ~3;

export class RingWriter extends Ring {
  /** What found no room, in its order; of the first, what is left of it. */
  readonly #waiting: Uint8Array[] = [];
  #first = 0;
  waitingBytes = 0;

  /** Writes a message, or keeps a copy of what finds no room until there is some. */
  write(message: Uint8Array, length: number): void {
    const begun = this.flush() ? this.#put(message, length) : 0;
    if (begun === length) return;
    this.#waiting.push(message.slice(begun, length));
    this.waitingBytes += length - begun;
  }

  /** Writes what waits, as far as there is room. Returns whether nothing waits any more. */
  flush(): boolean {
    for (; this.#first < this.#waiting.length; this.#first++) {
      const message = this.#waiting[this.#first]!;
      const begun = this.#put(message, message.length);
      this.waitingBytes -= begun;
      if (begun === message.length) continue;
      this.#waiting[this.#first] = message.subarray(begun);
      return false;
    }
    if (this.#first > 0) {
      this.#waiting.length = 0;
      this.#first = 0;
    }
    return true;
  }

  /** As many parts of it as there is room for, mostly one. Returns how many of its bytes those are. */
  #put(message: Uint8Array, end: number): number {
    const longest = this.bytes.length / parts;
    for (let start = 0; start < end; ) {
      const length = Math.min(end - start, longest);
      const more = end - start > longest;
      const from = this.at[written]!;
      const used = (from - Atomics.load(this.at, read)) | 0;
      if (used + 4 + rounded(length) > this.bytes.length) return start;
      this.words[(from & this.mask) >> 2] = (length << 1) | (more ? 1 : 0);
      const to = (from + 4) & this.mask;
      if (length < 64) {
        for (let k = 0; k < length; k++) this.bytes[(to + k) & this.mask] = message[start + k]!;
      } else {
        const before = Math.min(length, this.bytes.length - to);
        this.bytes.set(message.subarray(start, start + before), to);
        if (before < length) this.bytes.set(message.subarray(start + before, start + length), 0);
      }
      Atomics.store(this.at, written, (from + 4 + rounded(length)) | 0);
      start += length;
    }
    return end;
  }
}

export class RingReader extends Ring {
  /** The message that was read last, in its first `length` bytes. Not shared, since decoders refuse what is. */
  message: Uint8Array<ArrayBuffer>;
  length = 0;
  /** Whether `message` has the beginning of one that goes on. */
  #begun = false;

  constructor(memory: SharedArrayBuffer) {
    super(memory);
    this.message = new Uint8Array(this.bytes.length / parts);
  }

  /** Reads the next message, if there is one and all of it has come. */
  next(): boolean {
    for (;;) {
      const from = this.at[read]!;
      if (Atomics.load(this.at, written) === from) return false;
      const word = this.words[(from & this.mask) >> 2]!;
      const length = word >> 1;
      const start = this.#begun ? this.length : 0;
      this.#take((from + 4) & this.mask, start, length);
      this.length = start + length;
      Atomics.store(this.at, read, (from + 4 + rounded(length)) | 0);
      this.#begun = (word & 1) === 1;
      if (!this.#begun) return true;
    }
  }

  #take(from: number, start: number, length: number): void {
    if (start + length > this.message.length) {
      const longer = new Uint8Array(2 * (start + length));
      longer.set(this.message.subarray(0, start));
      this.message = longer;
    }
    const before = Math.min(length, this.bytes.length - from);
    if (length < 64) {
      for (let k = 0; k < length; k++) this.message[start + k] = this.bytes[(from + k) & this.mask]!;
    } else {
      this.message.set(this.bytes.subarray(from, from + before), start);
      if (before < length) this.message.set(this.bytes.subarray(0, length - before), start + before);
    }
  }
}
