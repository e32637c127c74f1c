// Prefills the personas in the background, so that the first player who speaks to a character does not wait for
// it. Gives way to live streams; the engine keeps what it made on disk for the next start.

import type { Character } from '../npcs/characters.ts';
import type { Config } from '../runtime/config.ts';
import type { Log } from '../runtime/log.ts';
import type { Engine } from './engine.ts';
import { prefixPrompt } from './prompt.ts';

/** Warms one character after the other. Never rejects: a character that cannot be warmed is warmed by its first player. */
export async function warmCharacters(
  engine: Engine,
  characters: ReadonlyMap<string, Character>,
  { contextTokens }: Pick<Config, 'contextTokens'>,
  log: Log,
  signal: AbortSignal,
): Promise<void> {
  const startedAt = performance.now();
  for (const character of characters.values()) {
    if (signal.aborted) return;
    try {
      await engine.warm(prefixPrompt(character, contextTokens), signal);
    } catch (error) {
      if (!signal.aborted) log.warn({ err: error, npc: character.id }, 'a character could not be warmed');
    }
  }
  log.info(
    { characters: characters.size, ms: Math.round(performance.now() - startedAt) },
    'characters are warm',
  );
}
