// Admission: decides, without leaving this process, whether a `say` may become a stream. It never waits: what
// cannot be served is refused with a reason that the client can act on.

import type { Say } from '../bus/protocol.ts';
import type { Character } from '../npcs/characters.ts';
import type { Config } from '../runtime/config.ts';
import type { ErrorName } from '../runtime/errors.ts';
import type { Session } from './session.ts';
import type { Stream } from './stream.ts';

/** `detail` names the field of a `bad_message`; the client may read it. */
export interface Refusal {
  readonly code: ErrorName;
  readonly detail?: string;
}

export type Admission =
  | { readonly admitted: true; readonly character: Character; readonly budgetMs: number }
  /** A known stream number: there is nothing to do and nothing to complain about. */
  | { readonly admitted: false; readonly repeat: true }
  | ({ readonly admitted: false; readonly repeat: false } & Refusal);

export type AdmitLimits = Pick<
  Config,
  'maxTextChars' | 'maxContextChars' | 'maxStreams' | 'maxTokens' | 'budgetMs'
>;

const refuse = (code: ErrorName, detail?: string): Admission => ({
  admitted: false,
  repeat: false,
  code,
  detail,
});

export function admit(
  say: Say,
  session: Session,
  characters: ReadonlyMap<string, Character>,
  limits: AdmitLimits,
): Admission {
  if (say.s <= session.lastStream) {
    return session.streams?.has(say.s) ? { admitted: false, repeat: true } : refuse('out_of_order');
  }
  const character = characters.get(say.npc);
  if (!character) return refuse('unknown_npc');
  if (say.topic !== undefined && !Object.hasOwn(character.topics, say.topic)) return refuse('unknown_topic');
  if (say.text !== undefined && say.text.trim() === '') return refuse('bad_message', 'text: is blank');
  if (say.mode === 'think' && !say.context?.trim())
    return refuse('bad_message', 'context: tells the situation');
  // Counted as a client counts: JavaScript's length, UTF-16 units, is the bound for every language.
  if ((say.text?.length ?? 0) > limits.maxTextChars) return refuse('text_too_long');
  if ((say.context?.length ?? 0) > limits.maxContextChars) return refuse('text_too_long');
  if ((say.maxTokens ?? 0) > limits.maxTokens) {
    return refuse('bad_message', `maxTokens: at most ${limits.maxTokens}`);
  }
  if (runningBeside(say, session) >= limits.maxStreams) return refuse('too_many_streams');
  return { admitted: true, character, budgetMs: Math.min(say.budgetMs ?? limits.budgetMs, limits.budgetMs) };
}

/**
 * Whether a `say` cancels what the same character says, or a think what it thinks: neither disturbs the other. What it
 * says of its own accord goes on.
 */
export function replaces(say: Say, { say: other, s }: Stream): boolean {
  return (
    say.mode !== 'alongside' &&
    (say.mode === 'think') === (other.mode === 'think') &&
    other.npc === say.npc &&
    s > 0
  );
}

/** Streams of the same sort that go on beside it. Counted apart, thinks never keep a player from speaking. */
function runningBeside(say: Say, session: Session): number {
  let count = 0;
  for (const stream of session.streams?.values() ?? []) {
    if (stream.ended || stream.thinks !== (say.mode === 'think')) continue;
    if (stream.cancelled || !replaces(say, stream)) count++;
  }
  return count;
}
