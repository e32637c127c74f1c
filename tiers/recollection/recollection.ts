// What the characters of a worker recall by meaning: the encoder, and a bank for each character that has exchanges. Banks are
// made in the background and again when the characters change; until then, and where there is no encoder, characters
// recall by the words of their files (recall.ts).

import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { LRUCache } from 'lru-cache';
import type { StateFacts } from '../../bus/state.ts';
import type { Character } from '../../npcs/characters.ts';
import { readExchanges } from '../../npcs/read-exchanges.ts';
import type { Log } from '../../runtime/log.ts';
import { Bank, type Memory, memoriesOf } from './bank.ts';
import { type Encoder, openEncoder, type Vector } from './encoder.ts';
import { keyOf, readVectors, type Vectors } from './vectors.ts';

/** What one character recalls at words that were prepared; undefined where nothing written holds now. */
export type Recall = (said: {
  readonly words: string;
  /** The same with a name in the place of "he" or "it" (by-name.ts), where something was spoken of. */
  readonly named?: string | undefined;
  /** What the words take (`nameOf`), or that they take nothing (tiers/takes). */
  readonly takes?: string | undefined;
  readonly declines?: boolean | undefined;
  /** What was said and answered last before them (`exchangeText`). */
  readonly before: string | undefined;
  /** What the game tells, and which of it these words bring up. */
  readonly told: StateFacts;
  readonly asked: readonly string[];
}) => string | undefined;

export interface RecollectionOptions {
  /** Folder of the characters. */
  readonly npcs: string;
  /** PARLEY_RECALL: empty for the encoder beside the characters, `none`, or a .gguf file. */
  readonly setting: string;
  readonly log?: Pick<Log, 'info' | 'warn'>;
  /** Told of each look into a bank: whether something near was found, a refusal was told, or nothing holds now. */
  readonly onRecall?: (result: 'near' | 'refused' | 'nothing') => void;
  /** What was written in the very words of a question is not recalled: for what is learnt from. */
  readonly withoutOwn?: boolean;
}

/** Where the encoder and its vectors lie, in the folder of the characters. */
const recallFolder = 'recall';

/** Words with what was recalled at them, over all conversations. */
const keptRecalls = 4_096;

export class Recollection {
  readonly #options: RecollectionOptions;
  readonly #encoder: Encoder;
  #banks: ReadonlyMap<string, Bank> = new Map();
  /** Of every wording in the banks: players who say the same, by a topic mostly, need no encoder. */
  #written: ReadonlyMap<string, Vector> = new Map();
  readonly #recalled = new LRUCache<string, { readonly found: string | undefined }>({ max: keptRecalls });
  #version = 0;

  private constructor(options: RecollectionOptions, encoder: Encoder) {
    this.#options = options;
    this.#encoder = encoder;
  }

  /** Undefined where there is no encoder. Rejects with an Error for a file that is none. */
  static async open(options: RecollectionOptions): Promise<Recollection | undefined> {
    const file = await encoderFile(options);
    return file === undefined ? undefined : new Recollection(options, await openEncoder(file));
  }

  /** One that has learnt these characters, for what can wait for it. */
  static async learnt(
    options: RecollectionOptions,
    characters: ReadonlyMap<string, Character>,
  ): Promise<Recollection | undefined> {
    const recollection = await Recollection.open(options);
    await recollection?.learn(characters);
    return recollection;
  }

  /** Makes the banks of these characters; the ones there are stay in use meanwhile. Never rejects. */
  async learn(characters: ReadonlyMap<string, Character>): Promise<void> {
    const { npcs, log } = this.#options;
    const version = ++this.#version;
    const startedAt = performance.now();
    try {
      const { all, faults } = await readExchanges(npcs, characters);
      for (const fault of faults) log?.warn({ fault }, 'an exchange that nobody will recall');
      const memories = new Map<string, readonly Memory[]>();
      for (const character of characters.values()) {
        memories.set(character.id, memoriesOf(all, character));
        // Streams go on meanwhile.
        await setImmediate();
      }
      const texts = textsOf([...memories.values()].flat());
      const shipped = await readVectors(vectorsFile(npcs), this.#encoder);
      const { vectors, made } = await this.#vectorsOf(texts, (text) => shipped.get(keyOf(text)));
      const vectorOf = (text: string) => vectors.get(text)!;
      const banks = new Map<string, Bank>();
      for (const [id, own] of memories) {
        if (own.length > 0) banks.set(id, new Bank(own, vectorOf, characters.get(id)!.refusals));
        await setImmediate();
      }
      if (version !== this.#version) return;
      this.#recalled.clear();
      this.#written = vectors;
      this.#banks = banks;
      const ms = Math.round(performance.now() - startedAt);
      log?.info({ wordings: texts.size, encoded: made, ms }, 'characters recall what was written for them');
    } catch (error) {
      // Closed meanwhile, or told of newer characters.
      if (version !== this.#version) return;
      log?.warn({ err: error }, 'the exchanges could not be learnt; characters recall what they did before');
    }
  }

  /**
   * How a character recalls at these texts: all that the player said, and each exchange (`exchangeText`). Undefined where it
   * has no exchanges. Rejects when the encoder fails.
   */
  async of(npc: string, texts: readonly string[]): Promise<Recall | undefined> {
    const bank = this.#banks.get(npc);
    if (!bank) return undefined;
    const { vectors } = await this.#vectorsOf(new Set(texts), (text) => this.#written.get(text));
    return (said) => {
      const vector = vectors.get(said.words);
      if (!vector) return undefined;
      // Every turn of a conversation is looked up again for each prompt; a bank is read from end to end for it.
      const key = JSON.stringify([npc, said]);
      const known = this.#recalled.get(key);
      if (known) return known.found;
      const before = said.before === undefined ? undefined : vectors.get(said.before);
      const named = said.named === undefined ? undefined : vectors.get(said.named);
      const found = bank.recall({ ...said, vector, named, before }, !this.#options.withoutOwn);
      this.#recalled.set(key, { found });
      this.#options.onRecall?.(found === undefined ? 'nothing' : bank.refuses(found) ? 'refused' : 'near');
      return found;
    };
  }

  /** The vectors of all that can be recalled, to be kept in a file. */
  async allVectors(characters: ReadonlyMap<string, Character>): Promise<{ vectors: Vectors; made: number }> {
    const { npcs } = this.#options;
    const { all } = await readExchanges(npcs, characters);
    const texts = textsOf([...characters.values()].flatMap((character) => memoriesOf(all, character)));
    const shipped = await readVectors(vectorsFile(npcs), this.#encoder);
    const { vectors, made } = await this.#vectorsOf(texts, (text) => shipped.get(keyOf(text)));
    return { vectors: new Map([...vectors].map(([text, vector]) => [keyOf(text), vector])), made };
  }

  get encoder(): Pick<Encoder, 'sha256' | 'dimensions'> {
    return this.#encoder;
  }

  close(): Promise<void> {
    this.#version++;
    return this.#encoder.close();
  }

  async #vectorsOf(
    texts: ReadonlySet<string>,
    known: (text: string) => Vector | undefined,
  ): Promise<{ vectors: Map<string, Vector>; made: number }> {
    const vectors = new Map<string, Vector>();
    let made = 0;
    for (const text of texts) {
      const found = known(text);
      if (!found) made++;
      vectors.set(text, found ?? (await this.#encoder.encode(text)));
    }
    return { vectors, made };
  }
}

/** Where the vectors of the wordings lie. */
export function vectorsFile(npcs: string): string {
  return join(npcs, recallFolder, 'vectors.bin');
}

function textsOf(memories: readonly Memory[]): ReadonlySet<string> {
  return new Set(memories.flatMap(({ words, before }) => (before === undefined ? [words] : [words, before])));
}

async function encoderFile({ npcs, setting }: RecollectionOptions): Promise<string | undefined> {
  if (setting === 'none') return undefined;
  if (setting !== '') return setting;
  const file = join(npcs, recallFolder, 'encoder.gguf');
  return access(file).then(
    () => file,
    () => undefined,
  );
}
