// Hashes: of short texts, to spread and to choose by, and of files, to know them again.

import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';

/** FNV-1a over the UTF-16 units of a text, 32 bits with a sign. Its low bits are poor: shift or mix before use. */
export function fnv1a(text: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  return h;
}

/** SHA-256 of a file, in hex. Rejects when it cannot be read. */
export async function fileSha256(file: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const piece of createReadStream(file)) hash.update(piece);
  return hash.digest('hex');
}
