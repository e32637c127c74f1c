// The characters of a running process: read at start, which fails if one is broken, and kept up to date while
// files change. A broken edit is logged and counted, and the last good set stays.

import type { Counter, Gauge } from 'prom-client';
import type { Log } from '../runtime/log.ts';
import { type Character, loadCharacters, watchCharacters } from './characters.ts';
import type { Game, Verb } from './verbs.ts';

export interface OpenCharacters {
  /** The set as it is now. */
  readonly current: () => ReadonlyMap<string, Character>;
  /** What they can do, as it is now. */
  readonly verbs: () => ReadonlyMap<string, Verb>;
  /** What all of them share, as it is now. */
  readonly game: () => Game;
  readonly stop: () => void;
}

/** Rejects with CharacterError when the folder has faults. `onChange` hears of each later set. */
export async function openCharacters(
  folder: string,
  {
    log,
    metrics,
    onChange,
  }: {
    log: Log;
    metrics: { characters: Gauge; characterFaults: Counter };
    onChange?: (characters: ReadonlyMap<string, Character>) => void;
  },
): Promise<OpenCharacters> {
  const loaded = await loadCharacters(folder);
  const { version } = loaded;
  let { characters, game } = loaded;
  metrics.characters.set(characters.size);
  const stop = watchCharacters(folder, {
    version,
    onChange(now) {
      characters = now.characters;
      game = now.game;
      metrics.characters.set(characters.size);
      log.info({ characters: [...characters.keys()], version: now.version }, 'characters read again');
      onChange?.(characters);
    },
    onFault(error) {
      metrics.characterFaults.inc();
      log.error({ err: error }, 'a broken character file; the last good set stays');
    },
  });
  return { current: () => characters, verbs: () => game.verbs, game: () => game, stop };
}
