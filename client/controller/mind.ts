// What the controller asks: whoever decides for characters. client-mind.ts asks the language model through Parley; a
// game may bring its own, or none.

import type { Intent } from '../../bus/protocol.ts';

/** Where a mind puts what it found, now or later. Calls for a question that is over are counted and do nothing. */
export interface Answers {
  /** The character decides something. Any number of times before `done`. */
  act(index: number, generation: number, intent: Intent): void;
  /** There is nothing more to this answer. */
  done(index: number, generation: number): void;
  /**
   * There is no answer. `retry`: the same may be asked again, after `retryMs` if that is said; nobody is asked until
   * then. Without `retry` this character is left alone for a minute. `code` says why, for `stats.failures`.
   */
  failed(index: number, generation: number, retry: boolean, retryMs?: number, code?: string): void;
}

export interface Mind {
  /**
   * Asks what a character does in this situation. It is called in the game loop, so it starts the work and returns. Returns
   * false when it cannot be asked just now.
   */
  ask(
    index: number,
    npc: string,
    situation: string,
    generation: number,
    answers: Answers,
  ): boolean | undefined;
  /**
   * Called in place of `ask` where a mind has it: the situation as small numbers, of which `describe` makes words, and the
   * names of the places by number, which grow and do not change. For minds that live in another thread.
   */
  askFacts?(
    index: number,
    npc: string,
    facts: Uint8Array,
    places: readonly string[],
    generation: number,
    answers: Answers,
  ): boolean | undefined;
  /** Whether this character cannot be asked about just now, though others can: one of the same name is thinking. */
  isBusy?(index: number, npc: string): boolean;
  /** The answer to this question is not wanted any more. */
  cancel?(index: number, generation: number): void;
}

/** Asks several minds as one, each for its share of the characters: for a process that plays many players. */
export function sharedMind(minds: readonly Mind[]): Mind {
  if (minds.length === 0) throw new RangeError('sharedMind: needs a mind');
  const of = (index: number) => minds[index % minds.length]!;
  const asks: Pick<Mind, 'askFacts'> = minds.every((mind) => mind.askFacts)
    ? {
        askFacts: (index, npc, facts, places, generation, answers) =>
          of(index).askFacts!(index, npc, facts, places, generation, answers),
      }
    : {};
  return {
    ...asks,
    ask: (index, npc, situation, generation, answers) =>
      of(index).ask(index, npc, situation, generation, answers),
    isBusy: (index, npc) => of(index).isBusy?.(index, npc) ?? false,
    cancel: (index, generation) => of(index).cancel?.(index, generation),
  };
}
