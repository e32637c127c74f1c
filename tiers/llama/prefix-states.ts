// The KV of characters' prefixes on disk, one file each, so that the next start and every further sequence load
// a persona in milliseconds. A file is checked before llama.cpp sees it (it would end the process over a cut
// one). The cache is only ever a help: whatever goes wrong here, the prefix is computed again.

import { createHash, randomBytes } from 'node:crypto';
import { mkdir, open, readdir, readFile, rename, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import type { LlamaContextSequence, Token } from 'node-llama-cpp';
import { commonLength } from './chat-template.ts';
import type { EngineLog } from './load-model.ts';

/** The end of each file: the SHA-256 of what stands before it, and this mark. llama.cpp reads past neither. */
const mark = Buffer.from('PARLEYKV');
const sealBytes = 32 + mark.length;
/** Characters change and leave old files behind; the newest stay, up to so many bytes. */
const mostBytes = 2 * 1024 ** 3;
const staleTemporaryMs = 3_600_000;

export class PrefixStates {
  readonly #folder: string;
  readonly #identity: string;
  readonly #log: EngineLog | undefined;
  /** Files that this process wrote or checked, with size and time, so that they are not hashed for every load. */
  readonly #checked = new Map<string, string>();

  constructor(folder: string, identity: string, log: EngineLog | undefined) {
    this.#folder = folder;
    this.#identity = identity;
    this.#log = log;
  }

  /** Whether a sound file for this prefix is there. A damaged one is deleted. */
  async has(prefix: readonly Token[]): Promise<boolean> {
    const file = this.#file(prefix);
    try {
      const { size, mtimeMs } = await stat(file);
      if (this.#checked.get(file) === `${size} ${mtimeMs}`) return true;
      if (!isSealed(await readFile(file))) {
        await this.#discard(file, 'is damaged');
        return false;
      }
      const now = new Date();
      // The newest stay when old ones are removed: what is used counts as new.
      await utimes(file, now, now);
      await this.#remember(file);
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') this.#warn('cannot read a saved prefix', error);
      return false;
    }
  }

  /**
   * Fills an empty sequence with the prefix. False when there is no sound file or llama.cpp refused it; the
   * sequence is then in an unknown state.
   */
  async load(prefix: readonly Token[], sequence: LlamaContextSequence): Promise<boolean> {
    if (!(await this.has(prefix))) return false;
    const file = this.#file(prefix);
    try {
      await sequence.loadStateFromFile(file, { acceptRisk: true });
    } catch (error) {
      await this.#discard(file, 'was refused by llama.cpp', error);
      return false;
    }
    if (
      sequence.nextTokenIndex === prefix.length &&
      commonLength(sequence.contextTokens, prefix) === prefix.length
    )
      return true;
    await this.#discard(file, 'holds another prefix');
    return false;
  }

  /** Saves a sequence that holds exactly the prefix. Never throws: without the file it is computed again. */
  async save(prefix: readonly Token[], sequence: LlamaContextSequence): Promise<void> {
    const file = this.#file(prefix);
    const temporary = `${file}.${randomBytes(6).toString('hex')}.tmp`;
    try {
      await mkdir(this.#folder, { recursive: true });
      await sequence.saveStateToFile(temporary);
      const handle = await open(temporary, 'r+');
      try {
        const content = await handle.readFile();
        await handle.write(sealOf(content), 0, sealBytes, content.length);
      } finally {
        await handle.close();
      }
      await rename(temporary, file);
      await this.#remember(file);
      await this.#prune();
    } catch (error) {
      await rm(temporary, { force: true }).catch(() => {});
      this.#warn('cannot save a prefix; it is computed again at the next start', error);
    }
  }

  #file(prefix: readonly Token[]): string {
    const hash = createHash('sha256').update(this.#identity).update(Uint32Array.from(prefix)).digest('hex');
    return join(this.#folder, `${hash.slice(0, 32)}.state`);
  }

  async #remember(file: string): Promise<void> {
    const { size, mtimeMs } = await stat(file);
    this.#checked.set(file, `${size} ${mtimeMs}`);
  }

  async #discard(file: string, why: string, cause?: unknown): Promise<void> {
    this.#checked.delete(file);
    this.#log?.warn({ file, err: cause }, `a saved prefix ${why}; it is deleted and computed again`);
    await rm(file, { force: true }).catch((error: unknown) => this.#warn('cannot delete it', error));
  }

  async #prune(): Promise<void> {
    const now = Date.now();
    const files: { file: string; mtimeMs: number; size: number }[] = [];
    for (const name of await readdir(this.#folder)) {
      const file = join(this.#folder, name);
      const found = await stat(file).catch(() => undefined);
      if (!found) continue;
      if (name.endsWith('.tmp') && now - found.mtimeMs > staleTemporaryMs) await rm(file, { force: true });
      if (name.endsWith('.state')) files.push({ file, mtimeMs: found.mtimeMs, size: found.size });
    }
    files.sort((a, b) => b.mtimeMs - a.mtimeMs);
    let bytes = 0;
    for (const { file, size } of files) {
      bytes += size;
      if (bytes > mostBytes) await rm(file, { force: true });
    }
  }

  #warn(message: string, err: unknown): void {
    this.#log?.warn({ err, folder: this.#folder }, message);
  }
}

function sealOf(content: Buffer): Buffer {
  return Buffer.concat([createHash('sha256').update(content).digest(), mark]);
}

function isSealed(bytes: Buffer): boolean {
  if (bytes.length <= sealBytes) return false;
  return sealOf(bytes.subarray(0, -sealBytes)).equals(bytes.subarray(-sealBytes));
}
