// Which LoRA adapter goes with the model: the champion of the registry (PARLEY_HOME/adapters/champion.json), else the
// one that lies beside the characters (npcs/adapters), or the one that PARLEY_ADAPTER names. An adapter is checked
// before llama.cpp sees it, which looks at shapes alone. Loads nothing into memory; that is llama/adapted-context.ts.

import { randomBytes } from 'node:crypto';
import { type Stats, unwatchFile, watchFile } from 'node:fs';
import { mkdir, readdir, readFile, realpath, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { readGgufFileInfo } from 'node-llama-cpp';
import { z } from 'zod';
import { fileSha256 } from '../runtime/hash.ts';
import { EngineError } from './engine.ts';
import type { EngineLog } from './llama/load-model.ts';

export interface Adapter {
  readonly name: string;
  readonly version: string;
  /** Absolute path of the .gguf file. */
  readonly file: string;
  readonly sha256: string;
  readonly source: 'champion' | 'shipped' | 'setting';
}

export interface AdapterOptions {
  readonly home: string;
  /** Folder of the characters; without it no adapter is shipped. */
  readonly npcs?: string;
  /** PARLEY_ADAPTER: empty, `none` or a .gguf file. */
  readonly setting: string;
  /** The file of the model that is loaded. */
  readonly model: string;
  readonly log?: EngineLog;
}

const pollMs = 500;

const sha256 = z.string().regex(/^[0-9a-f]{64}$/, 'must be 64 hex digits');
const manifestForm = z.object({
  name: z.string().regex(/^[\w.-]{1,64}$/, 'must be 1 to 64 letters, digits, ., _ or -'),
  version: z.union([z.string().regex(/^[\w.-]{1,64}$/), z.int()]).transform(String),
  file: z.string().min(1),
  sha256,
  base: z.object({ file: z.string(), sha256 }),
});
type Manifest = z.infer<typeof manifestForm>;

/** `oakfell-3`: an adapter in logs, metrics and the name of the model. */
export function labelOf({ name, version }: Adapter): string {
  return `${name}-${version}`;
}

export class Adapters {
  readonly #options: AdapterOptions;
  readonly #champion: string;
  #base: Promise<string> | undefined;

  constructor(options: AdapterOptions) {
    this.#options = options;
    this.#champion = resolve(options.home, 'adapters', 'champion.json');
  }

  /** Whether the champion and the shipped adapter count: PARLEY_ADAPTER says nothing else. */
  get follows(): boolean {
    return this.#options.setting === '';
  }

  /** The adapter of PARLEY_ADAPTER, or none. Throws EngineError `unavailable` for one that cannot be used here. */
  async named(): Promise<Adapter | undefined> {
    const { setting } = this.#options;
    if (setting === '' || setting === 'none') return undefined;
    const file = resolve(setting);
    const advice = 'Set PARLEY_ADAPTER to a .gguf file of this model, to `none`, or leave it empty.';
    const hash = await fileSha256(file).catch((error: unknown) => refuse(file, fileFault(error), advice));
    const { name, base } = await readMetadata(file, advice);
    if (base === undefined) {
      this.#options.log?.warn({ file }, 'the adapter does not say which model it was made for');
    } else await this.#mustBeBase(file, base);
    return { name, version: hash.slice(0, 8), file, sha256: hash, source: 'setting' };
  }

  /** The promoted adapter, or none. Throws EngineError `unavailable` for one that cannot be used here. */
  async champion(): Promise<Adapter | undefined> {
    const text = await readIfThere(this.#champion);
    if (text === undefined) return undefined;
    const manifest = parseManifest(text, this.#champion);
    return this.#checked(manifest, resolve(dirname(this.#champion), manifest.file), 'champion');
  }

  /** The adapter beside the characters that was made for this model, or none. Throws like `champion`. */
  async shipped(): Promise<Adapter | undefined> {
    if (this.#options.npcs === undefined) return undefined;
    const folder = resolve(this.#options.npcs, 'adapters');
    const names = await readdir(folder).catch(() => []);
    for (const name of names.filter((n) => n.endsWith('.json')).sort()) {
      const file = join(folder, name);
      const manifest = parseManifest(await readFile(file, 'utf8'), file);
      // One for each model may lie there.
      if (manifest.base.sha256 !== (await this.#baseHash())) continue;
      return this.#checked(manifest, join(folder, manifest.file), 'shipped');
    }
    return undefined;
  }

  /** Calls back within seconds of every change of the champion, until the function that is returned is called. */
  watch(onChange: () => void): () => void {
    if (!this.follows) return () => {};
    // Polled, since the folder may not be there yet and may lie on a network file system.
    const changed = (now: Stats, before: Stats) => {
      if (now.mtimeMs !== before.mtimeMs || now.ino !== before.ino || now.size !== before.size) onChange();
    };
    watchFile(this.#champion, { interval: pollMs, persistent: false }, changed);
    return () => unwatchFile(this.#champion, changed);
  }

  async #checked(manifest: Manifest, file: string, source: Adapter['source']): Promise<Adapter> {
    await this.#mustBeBase(`${manifest.name}-${manifest.version}`, manifest.base.sha256, manifest.base.file);
    const again = 'Promote it again (npm run promote), or go back to the one before (npm run rollback).';
    const hash = await fileSha256(file).catch((error: unknown) => refuse(file, fileFault(error), again));
    if (hash !== manifest.sha256) {
      refuse(file, `is not the file of its manifest (SHA-256 ${hash}, not ${manifest.sha256})`, again);
    }
    return { name: manifest.name, version: manifest.version, file, sha256: hash, source };
  }

  async #mustBeBase(what: string, wanted: string, wantedFile = 'another model'): Promise<void> {
    const loaded = await this.#baseHash();
    if (loaded === wanted) return;
    refuse(
      what,
      `was made for ${basename(wantedFile)} (SHA-256 ${wanted.slice(0, 12)}…), not for ${basename(this.#options.model)} (${loaded.slice(0, 12)}…), which is loaded`,
      'Load that model (PARLEY_MODEL), or set PARLEY_ADAPTER to an adapter of this one or to `none`.',
    );
  }

  /** The hash of the model, computed at most once and only where an adapter asks for it. */
  #baseHash(): Promise<string> {
    this.#base ??= keptHashOf(this.#options.model, join(this.#options.home, 'cache', 'hashes.json'));
    return this.#base;
  }
}

function refuse(what: string, why: string, advice: string): never {
  throw new EngineError('unavailable', `The adapter ${what} ${why}. ${advice}`);
}

function fileFault(error: unknown): string {
  const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
  return missing ? 'is not there' : `cannot be read (${(error as Error).message})`;
}

function parseManifest(text: string, file: string): Manifest {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return refuse(file, 'has a manifest that is no JSON', 'Promote it again (npm run promote).');
  }
  const parsed = manifestForm.safeParse(value);
  if (parsed.success) return parsed.data;
  const faults = parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; ');
  return refuse(file, `has a manifest with faults (${faults})`, 'Promote it again (npm run promote).');
}

/** What an adapter file says of itself. */
async function readMetadata(
  file: string,
  advice: string,
): Promise<{ name: string; base: string | undefined }> {
  const plain = basename(file).replace(/\.gguf$/i, '');
  try {
    const { metadata } = await readGgufFileInfo(file, { readTensorInfo: false, logWarnings: false });
    const { general, parley } = metadata as unknown as {
      general?: { type?: unknown };
      parley?: { base?: { sha256?: unknown } };
    };
    if (general?.type !== 'adapter') refuse(file, 'is no LoRA adapter', advice);
    // Written by training/parley_training/export.py.
    const base = parley?.base?.sha256;
    return { name: plain, base: typeof base === 'string' ? base : undefined };
  } catch (error) {
    if (error instanceof EngineError) throw error;
    return refuse(file, 'is no GGUF file', advice);
  }
}

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    return refuse(file, fileFault(error), 'Give this process the right to read it.');
  }
}

/** Like `fileSha256`, remembered by size and time: a model may have gigabytes. */
async function keptHashOf(file: string, cache: string): Promise<string> {
  const { size, mtimeMs } = await stat(file);
  const key = `${await realpath(file)} ${size} ${mtimeMs}`;
  const kept: Record<string, string> = await readFile(cache, 'utf8')
    .then(JSON.parse)
    .catch(() => ({}));
  if (typeof kept?.[key] === 'string') return kept[key];
  const hash = await fileSha256(file);
  // Only a help: where it cannot be written, or another process writes at the same time, it is computed again.
  const temporary = `${cache}.${randomBytes(6).toString('hex')}.tmp`;
  await mkdir(dirname(cache), { recursive: true })
    .then(() => writeFile(temporary, JSON.stringify({ ...kept, [key]: hash }, null, 1)))
    .then(() => rename(temporary, cache))
    .catch(() => rm(temporary, { force: true }).catch(() => {}));
  return hash;
}
