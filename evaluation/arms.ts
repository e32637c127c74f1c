// What is compared: arms. An arm is the model that `npm start` runs with one LoRA adapter, or with none. Says which
// file that is, by its hash, and what else an answer depends on, so that an answer is never taken for another's.

import { existsSync } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import type { Characters } from '../npcs/characters.ts';
import type { Config } from '../runtime/config.ts';
import { repository } from '../scripts/stack/servers.ts';
import { type Adapter, Adapters } from '../tiers/adapters.ts';
import { defaultModelFile } from '../tiers/llama/load-model.ts';
import { hashOf } from './questions.ts';

export interface AdapterFile {
  /** Its name, without its folder. */
  readonly file: string;
  readonly sha256: string;
  readonly bytes: number;
  readonly name: string;
  readonly version: string;
  /** Hash of the data that it was trained on. */
  readonly data?: string;
}

export interface Arm {
  readonly name: string;
  /** Absent: the model alone. */
  readonly adapter?: AdapterFile;
  /** Where the adapter is; '' without one. */
  readonly path: string;
}

/**
 * The arms by their names on the command line: `base`, `shipped`, `champion`, or NAME=FILE.gguf. Without any: the
 * base, and the shipped adapter where there is one. Throws an Error that says what is wrong with a word, also for an
 * adapter that was made for another model.
 */
export async function armsOf(words: readonly string[], config: Config): Promise<Arm[]> {
  const usual = async () => ((await adaptersOf(config).shipped()) ? ['base', 'shipped'] : ['base']);
  const arms: Arm[] = [];
  for (const word of words.length > 0 ? words : await usual()) {
    const [name = '', ...rest] = word.split('=');
    if (!/^[a-z0-9][a-z0-9_-]{0,39}$/.test(name))
      throw new Error(`--arm ${word}: a name is lower-case letters, digits, - and _`);
    if (arms.some((arm) => arm.name === name)) throw new Error(`--arm ${name} stands there twice`);
    arms.push(await armOf(name, rest.join('='), config));
  }
  return arms;
}

async function armOf(name: string, given: string, config: Config): Promise<Arm> {
  if (name === 'base' && given === '') return { name, path: '' };
  if (name === 'base') throw new Error('--arm base is the model alone; give an adapter another name');
  const adapter = await findAdapter(name, given, config);
  const path = adapter.file;
  const { size: bytes } = await stat(path);
  const { sha256, version } = adapter;
  const data = await dataOf(path);
  return {
    name,
    path,
    adapter: { file: basename(path), sha256, bytes, name: adapter.name, version, ...(data && { data }) },
  };
}

async function findAdapter(name: string, given: string, config: Config): Promise<Adapter> {
  if (given !== '') return (await adaptersOf(config, resolve(given)).named())!;
  const adapters = adaptersOf(config);
  if (name === 'shipped')
    return (await adapters.shipped()) ?? fault('--arm shipped: none lies in npcs/adapters for this model');
  if (name === 'champion')
    return (
      (await adapters.champion()) ?? fault('--arm champion: none was promoted yet; npm run promote makes one')
    );
  return fault(`--arm ${name}: say which file, as in --arm ${name}=FILE.gguf`);
}

/** As a worker finds them (tiers/adapters.ts). */
function adaptersOf(config: Config, setting = ''): Adapters {
  const { home, npcs } = config;
  return new Adapters({ home, npcs, setting, model: modelOf(config) });
}

function modelOf({ model, home }: Pick<Config, 'model' | 'home'>): string {
  return model || join(home, 'cache', 'models', defaultModelFile);
}

function fault(message: string): never {
  throw new Error(message);
}

/** The hash of the data that an adapter was trained on, where its manifest has it. */
async function dataOf(adapter: string): Promise<string | undefined> {
  const file = adapter.replace(/\.gguf$/, '.json');
  if (file === adapter || !existsSync(file)) return undefined;
  const { data } = JSON.parse(await readFile(file, 'utf8')) as { data?: unknown };
  const hash = typeof data === 'object' && data !== null && 'sha256' in data ? data.sha256 : data;
  return typeof hash === 'string' ? hash : undefined;
}

/** What the answers of every arm depend on, beside the adapter and the question. */
export interface Setting {
  /** The model's file, its name and size. */
  readonly model: string;
  /** Of npcs/*.yaml. */
  readonly characters: string;
  /** Of npcs/exchanges, which adapters are trained on. */
  readonly exchanges: string;
  /** Of the code that makes prompts, answers and acts. */
  readonly code: string;
}

/** What is sent to the model and what is made of its answer. Caches, queues and engines of other tiers change no answer. */
const answering = [
  ...['prompt', 'recall', 'agreement', 'decide', 'answer', 'clean-text'].map((name) => `tiers/${name}.ts`),
  ...['chat-template', 'generation', 'grammars', 'text-stream'].map((name) => `tiers/llama/${name}.ts`),
  ...['characters', 'acts', 'verbs'].map((name) => `npcs/${name}.ts`),
];
const read = (file: string) => readFile(join(repository, file), 'utf8');

/** Rejects when a file of `answering` is not there: it was renamed, and the list must follow. */
export async function settingOf(config: Config, characters: Characters): Promise<Setting> {
  const model = modelOf(config);
  const size = existsSync(model) ? (await stat(model)).size : 0;
  return {
    model: `${basename(model)} (${size} bytes)`,
    characters: characters.version,
    exchanges: await hashOfFiles(join(repository, 'npcs', 'exchanges'), /\.jsonl$/),
    code: hashOf(JSON.stringify(await Promise.all(answering.map(read)))),
  };
}

/** Of the names and contents of the files of a folder whose path inside it matches; of nothing where it is not there. */
async function hashOfFiles(folder: string, matching: RegExp): Promise<string> {
  const names = existsSync(folder) ? await readdir(folder, { recursive: true }) : [];
  const files = names.filter((name) => matching.test(name)).sort();
  const contents = await Promise.all(files.map((name) => readFile(join(folder, name), 'utf8')));
  return hashOf(JSON.stringify(files.map((name, i) => [name, contents[i]])));
}
