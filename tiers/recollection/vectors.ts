// The vectors of the authored wordings as a file beside the encoder (npcs/recall/vectors.bin), so that no worker has to encode
// thousands of them at its start. Which wordings there are is asked in bank.ts.
//
// One line of JSON ({encoder, dimensions, count}), then of each text the first 8 bytes of its SHA-256 and its vector.

import { createHash } from 'node:crypto';
import { readFile, rename, writeFile } from 'node:fs/promises';
import type { Encoder, Vector } from './encoder.ts';

export type Vectors = Map<string, Vector>;

const keyBytes = 8;

/** Under which name the vector of a text is kept. */
export function keyOf(text: string): string {
  return createHash('sha256')
    .update(text)
    .digest('hex')
    .slice(0, 2 * keyBytes);
}

/** The vectors of a file by `keyOf`; none when it is missing, was cut off or was made by another encoder. */
export async function readVectors(
  file: string,
  { sha256, dimensions }: Pick<Encoder, 'sha256' | 'dimensions'>,
): Promise<Vectors> {
  const none: Vectors = new Map();
  const bytes = await readFile(file).catch(() => undefined);
  const lineEnd = bytes?.indexOf(0x0a) ?? -1;
  if (!bytes || lineEnd < 0) return none;
  const head = readHead(bytes.toString('utf8', 0, lineEnd));
  const size = keyBytes + dimensions;
  if (head?.encoder !== sha256 || bytes.length !== lineEnd + 1 + head.count * size) return none;
  const vectors: Vectors = new Map();
  for (let i = 0; i < head.count; i++) {
    const at = lineEnd + 1 + i * size;
    const key = bytes.toString('hex', at, at + keyBytes);
    vectors.set(key, new Int8Array(bytes.buffer, bytes.byteOffset + at + keyBytes, dimensions));
  }
  return vectors;
}

function readHead(line: string): { encoder: string; count: number } | undefined {
  try {
    return JSON.parse(line) as { encoder: string; count: number };
  } catch {
    return undefined;
  }
}

/** Writes them in the order of their keys: the same vectors make the same file. */
export async function writeVectors(
  file: string,
  vectors: Vectors,
  { sha256, dimensions }: Pick<Encoder, 'sha256' | 'dimensions'>,
): Promise<void> {
  const head = JSON.stringify({ encoder: sha256, dimensions, count: vectors.size });
  const rows = [...vectors]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([key, vector]) => [Buffer.from(key, 'hex'), Buffer.from(vector)]);
  await writeFile(`${file}.part`, Buffer.concat([Buffer.from(`${head}\n`), ...rows]));
  await rename(`${file}.part`, file);
}
