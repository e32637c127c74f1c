// Turns a sentence into a vector whose direction is its meaning: a small BERT on the CPU (npcs/recall/encoder.gguf), loaded by
// llama.cpp beside whatever engine speaks. Knows no character; what is near to what is asked in bank.ts.

import { LRUCache } from 'lru-cache';
import { getLlama, LlamaLogLevel } from 'node-llama-cpp';
import { fileSha256 } from '../../runtime/hash.ts';

/** A vector of length 1, a byte for each dimension: 127 is 1. */
export type Vector = Int8Array;

export interface Encoder {
  readonly dimensions: number;
  /** Of its file: vectors of one encoder mean nothing to another. */
  readonly sha256: string;
  /** The vector of a text; of a long one, of its first `longest` tokens. Rejects when llama.cpp fails. */
  encode(text: string): Promise<Vector>;
  close(): Promise<void>;
}

/** Tokens of a text, with the two that stand around it. Training cuts at the same place (parley_training/encoder.py). */
const longest = 96;
/** Texts whose vectors are kept: what is said in a conversation comes again with each of its prompts. */
const kept = 2_048;

/** Loads an encoder. Rejects with an Error that names a file that is none. */
export async function openEncoder(file: string): Promise<Encoder> {
  const [sha256, llama] = await Promise.all([
    fileSha256(file),
    getLlama({
      gpu: false,
      build: 'never',
      skipDownload: true,
      progressLogs: false,
      maxThreads: 1,
      // It complains about how word pieces are put together again, which nobody does here.
      logLevel: LlamaLogLevel.error,
    }),
  ]);
  try {
    const model = await llama.loadModel({ modelPath: file });
    const context = await model.createEmbeddingContext({ contextSize: 128, batchSize: 128, threads: 1 });
    const known = new LRUCache<string, Promise<Vector>>({ max: kept });
    const encode = async (text: string) => {
      const tokens = model.tokenize(text).slice(0, longest - 2);
      if (tokens.length === 0) return new Int8Array(model.embeddingVectorSize);
      return toVector((await context.getEmbeddingFor(tokens)).vector);
    };
    return {
      dimensions: model.embeddingVectorSize,
      sha256,
      encode(text) {
        const found = known.get(text);
        if (found) return found;
        const made = encode(text);
        known.set(text, made);
        made.catch(() => known.delete(text));
        return made;
      },
      close: () => llama.dispose(),
    };
  } catch (cause) {
    await llama.dispose();
    throw new Error(`${file} is no encoder that llama.cpp can load: ${(cause as Error).message}`, { cause });
  }
}

/** How near a vector is to the one that begins at `from`: 1 for the same direction, 0 for nothing in common. */
export function nearness(a: Vector, b: Vector, from = 0): number {
  let sum = 0;
  let i = 0;
  // Four at a time is twice as fast: thousands are compared for each question.
  for (; i + 3 < a.length; i += 4)
    sum +=
      a[i]! * b[from + i]! +
      a[i + 1]! * b[from + i + 1]! +
      a[i + 2]! * b[from + i + 2]! +
      a[i + 3]! * b[from + i + 3]!;
  for (; i < a.length; i++) sum += a[i]! * b[from + i]!;
  return sum / (127 * 127);
}

function toVector(values: readonly number[]): Vector {
  const length = Math.hypot(...values) || 1;
  return Int8Array.from(values, (value) => Math.round((value / length) * 127));
}
