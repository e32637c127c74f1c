// What the game's backend has told about its world: facts of a player, of a character, and of the world, in Redis.
// Workers read them for prompts. Who writes them is gateway/state-door.ts; the form of a record is agreed on here.

import type { Redis } from './redis.ts';
import type { Keys } from './subjects.ts';

export type StateScope = 'player' | 'npc' | 'world';
/** The one id that the scope `world` has. */
export const worldId = 'all';

export type StateValue = string | number | boolean;
export type StateFacts = Readonly<Record<string, StateValue>>;

/** The fields of the Redis hash at `keys.state(scope, id)`. */
export const stateFields = { version: 'version', facts: 'facts' } as const;

/**
 * The facts that hold for a conversation, merged: where names meet, the player's go before the character's, and these
 * before the world's. Rejects when Redis cannot be reached; a record that cannot be read counts as none.
 */
export async function readState(
  redis: Redis,
  keys: Pick<Keys, 'state'>,
  { player, npc }: { player: string; npc: string },
): Promise<StateFacts> {
  // Three commands in one tick: one way to Redis and back.
  const records = await Promise.all(
    [keys.state('world', worldId), keys.state('npc', npc), keys.state('player', player)].map((key) =>
      redis.hget(key, stateFields.facts),
    ),
  );
  const facts: Record<string, StateValue> = Object.create(null);
  for (const record of records) {
    for (const [name, value] of Object.entries(parse(record))) {
      if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean')
        facts[name] = value;
    }
  }
  return facts;
}

function parse(record: string | null): object {
  if (record === null) return {};
  try {
    const facts: unknown = JSON.parse(record);
    return typeof facts === 'object' && facts !== null && !Array.isArray(facts) ? facts : {};
  } catch {
    return {};
  }
}
