// The characters as data: one YAML file each, checked when read, read again when a file changes. Gateways use
// the names, topics and authored lines, workers the rest. What a model is told is put together in tiers/prompt.ts.

import { createHash } from 'node:crypto';
import { watch } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { basename, extname, join } from 'node:path';
import { parseDocument } from 'yaml';
import { z } from 'zod';
import { ParleyError } from '../runtime/errors.ts';
import { actSchema, faultsOfActs } from './acts.ts';
import { countSchema } from './counts.ts';
import type { SpokenOf } from './spoken-of.ts';
import { type Game, gameFile, gameFileName, gameOf, type Verb } from './verbs.ts';
import { wareSchema } from './wares.ts';

const line = (most: number) => z.string().trim().min(1).max(most);
const id = z
  .string()
  .max(64)
  .regex(/^[a-z0-9][a-z0-9_-]*$/, 'must be lower-case letters, digits, - and _');

const characterFile = z.strictObject({
  /** Must be the name of the file. */
  id,
  /** As players read it. */
  name: line(80),
  /** What routing may spend on this character. */
  importance: z.enum(['low', 'normal', 'high']).default('normal'),
  /** Who the character is, in the second person: "You are Mira, …". A small model needs it short. */
  persona: line(4_000),
  /** What the character knows, in its own words: "My brother Tam is missing." `about`: words that bring it to mind. */
  facts: z
    .array(z.strictObject({ fact: line(500), about: z.array(line(40)).max(32).default([]) }))
    .max(64)
    .default([]),
  /** How many facts that fit the player's words are repeated beside them. A small model needs one, a large one none. */
  reminders: z.number().int().min(0).max(4).default(0),
  /** The fact that is repeated when none fits. */
  otherwise: line(500).optional(),
  /** Said to questions that are unlike anything in its exchanges: that it does not know. Without any it says what is nearest. */
  refusals: z.array(line(500)).max(32).default([]),
  /** How the character speaks, and what it never does. */
  rules: z.array(line(500)).max(32).default([]),
  /** Topic to the words that the player says by choosing it. */
  topics: z.record(id, line(500)).default({}),
  /** Exchanges that show the tone; they are part of every prompt. */
  examples: z
    .array(z.strictObject({ player: line(500), npc: line(1_000) }))
    .max(16)
    .default([]),
  /** What has a price: sums of gold are reckoned with it (tiers/sums/gold.ts), since small models cannot. */
  wares: z.array(wareSchema).max(32).default([]),
  /** What the character has counted; how many are left or how many more there are is reckoned (tiers/sums/). */
  counts: z.array(countSchema).max(16).default([]),
  /** What the character may do. */
  acts: z.array(actSchema).max(32).default([]),
  /**
   * Among how many of those that the words bring into question the model chooses: the first in the order of the file. A
   * small model needs few, a large one may have `all`, whether brought into question or not, and do nothing as well.
   */
  choices: z.union([z.literal('all'), z.number().int().min(1).max(32)]).default(3),
  /** What the character says when no model can answer. */
  fallback: z
    .array(line(500))
    .min(2, 'needs at least two lines, so that the character does not repeat itself')
    .max(64),
  sampling: z
    .strictObject({
      temperature: z.number().min(0).max(2).default(0.3),
      /** Longest answer when the player asks for no other length. */
      maxTokens: z.number().int().min(1).max(4_096).default(80),
      topP: z.number().gt(0).max(1).optional(),
      topK: z.number().int().min(1).max(1_000).optional(),
      minP: z.number().min(0).max(1).optional(),
      repeatPenalty: z.number().min(1).max(2).optional(),
      stop: z.array(z.string().min(1).max(40)).max(8).optional(),
    })
    .prefault({}),
  /** The tiers that may answer for this character, best first. */
  tiers: z
    .array(z.enum(['gold', 'silver']))
    .min(1)
    .default(['gold']),
});

export type Character = Readonly<z.output<typeof characterFile>> & {
  /** Changes with any change of the file's content. */
  readonly hash: string;
  /** Of the game: whom and what there is to speak of, but for itself. */
  readonly spokenOf: readonly SpokenOf[];
};

export interface Characters {
  readonly characters: ReadonlyMap<string, Character>;
  /** What they can do, by name. */
  readonly verbs: ReadonlyMap<string, Verb>;
  /** What all of them share. */
  readonly game: Game;
  /** Changes with any change of any character or of the game. */
  readonly version: string;
}

/** All faults of all files in one message. */
export class CharacterError extends Error {
  readonly faults: readonly string[];

  constructor(faults: readonly string[], options?: { cause?: unknown }) {
    super(
      `The characters have ${faults.length === 1 ? 'a fault' : `${faults.length} faults`}:\n${faults.map((f) => `  - ${f}`).join('\n')}`,
      options,
    );
    this.name = 'CharacterError';
    this.faults = faults;
  }
}

/** Reads all characters of a folder. Throws CharacterError with every fault: file, place in it, reason. */
export async function loadCharacters(folder: string): Promise<Characters> {
  let names: string[];
  try {
    names = (await readdir(folder)).filter((name) => /\.ya?ml$/i.test(name) && name !== gameFileName).sort();
  } catch (cause) {
    throw new CharacterError([`${folder}: cannot be read (${(cause as Error).message})`], { cause });
  }
  const faults: string[] = [];
  const game = await readGame(join(folder, gameFileName), faults);
  const characters = new Map<string, Character>();
  for (const name of names) {
    const file = join(folder, name);
    try {
      const character = parseCharacter(await readFile(file, 'utf8'), file, game, faults);
      if (character) characters.set(character.id, character);
    } catch (error) {
      faults.push(`${file}: cannot be read (${(error as Error).message})`);
    }
  }
  if (names.length === 0) faults.push(`${folder}: holds no .yaml file, so nobody could be spoken to`);
  if (faults.length > 0) throw new CharacterError(faults);
  const version = createHash('sha256');
  for (const character of characters.values()) version.update(character.hash);
  version.update(JSON.stringify([[...game.verbs], [...game.state], game.denials, game.spokenOf]));
  return { characters, verbs: game.verbs, game, version: version.digest('hex').slice(0, 16) };
}

/** The game's own file; a game need not have one. */
async function readGame(file: string, faults: string[]): Promise<Game> {
  let content: string;
  try {
    content = await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT')
      faults.push(`${file}: cannot be read (${(error as Error).message})`);
    return gameOf();
  }
  return gameOf(parseYaml(content, file, gameFile, faults));
}

function parseYaml<T>(content: string, file: string, schema: z.ZodType<T>, faults: string[]): T | undefined {
  const document = parseDocument(content);
  if (document.errors.length > 0) {
    // The parser's message goes on with a drawing of the place; its first line has the reason and the line number.
    faults.push(...document.errors.map((e) => `${file}: ${e.message.split('\n')[0]!.replace(/:$/, '')}`));
    return undefined;
  }
  const parsed = schema.safeParse(document.toJS({ maxAliasCount: 16 }));
  if (parsed.success) return parsed.data;
  faults.push(...parsed.error.issues.map((i) => `${file}: ${i.path.join('.') || 'the file'}: ${i.message}`));
  return undefined;
}

function parseCharacter(content: string, file: string, game: Game, faults: string[]): Character | undefined {
  const data = parseYaml(content, file, characterFile, faults);
  if (!data) return undefined;
  if (`${data.id}.yaml` !== basename(file)) {
    const should =
      extname(file) === '.yaml' ? basename(file, '.yaml') : `${data.id} in a file ${data.id}.yaml`;
    faults.push(`${file}: id: must be ${should}, as the file is named; it is ${data.id}`);
    return undefined;
  }
  faults.push(...faultsOfActs(data.acts, game.verbs).map((fault) => `${file}: ${fault}`));
  const hash = createHash('sha256').update(JSON.stringify(data)).digest('hex').slice(0, 16);
  const spokenOf = game.spokenOf.filter((one) => one.name !== data.name);
  return deepFreeze({ ...data, hash, spokenOf });
}

export interface CharacterWatch {
  /** Of the set that is in force: a change since it was loaded is heard of at once. Without it, what is read first counts. */
  readonly version?: string;
  /** The new set; only called when something really changed. */
  readonly onChange: (characters: Characters) => void;
  /** A broken edit: the last good set stays in force. */
  readonly onFault: (error: Error) => void;
}

/** An editor writes a file in several steps; they are taken as one. */
const settleMs = 100;

/** Reads the folder again whenever a file in it changes. Returns the function that stops watching. */
export function watchCharacters(folder: string, { version, onChange, onFault }: CharacterWatch): () => void {
  let current = version;
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;
  let reading: Promise<void> = Promise.resolve();
  const read = async () => {
    try {
      const now = await loadCharacters(folder);
      const changed = current !== undefined && now.version !== current;
      current = now.version;
      if (changed && !stopped) onChange(now);
    } catch (error) {
      if (!stopped) onFault(error as Error);
    }
  };
  const readSoon = () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      // One after the other: an older reading must not overtake a newer one.
      reading = reading.then(read);
    }, settleMs);
  };
  const watcher = watch(folder, readSoon);
  watcher.on('error', (error) => {
    if (!stopped) onFault(error);
  });
  readSoon();
  return () => {
    stopped = true;
    clearTimeout(timer);
    watcher.close();
  };
}

/** One of the character's own lines, the same for the same seed. */
export function authoredLine(character: Pick<Character, 'fallback'>, seed: string): string {
  const digest = createHash('sha256').update(seed).digest();
  return character.fallback[digest.readUInt32BE(0) % character.fallback.length]!;
}

/** The words of a request: its text, or what choosing its topic says. Throws ParleyError `unknown_topic`. */
export function wordsOf(
  character: Pick<Character, 'id' | 'topics'>,
  request: { text?: string; topic?: string },
): string {
  if (request.text !== undefined) return request.text;
  const words = Object.hasOwn(character.topics, request.topic ?? '')
    ? character.topics[request.topic!]
    : undefined;
  if (words === undefined)
    throw new ParleyError('unknown_topic', `${character.id} has no topic ${JSON.stringify(request.topic)}`);
  return words;
}

function deepFreeze<T extends object>(value: T): T {
  for (const inner of Object.values(value)) {
    if (typeof inner === 'object' && inner !== null) deepFreeze(inner);
  }
  return Object.freeze(value);
}
