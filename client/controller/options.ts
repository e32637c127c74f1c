// What a game says to the controller: when it is made, when a character is added, when something happens.

import type { CacheOptions } from './cache.ts';
import type { PolicyName } from './codes.ts';
import type { Mind } from './mind.ts';
import type { AskingOptions } from './scheduler.ts';
import type { Ground } from './surroundings.ts';
import type { VerbSpecs } from './verbs.ts';

export interface ControllerOptions {
  /** Characters at most; 1,024. The arrays are made for so many at once. */
  capacity?: number;
  /** Who decides for characters in view. Without one they live by their habits alone. */
  mind?: Mind | null;
  /** The game's verbs with their arguments; the common ones if nothing is said. */
  verbs?: VerbSpecs;
  /** Answers that are used again; `false` asks the mind each time. */
  cache?: CacheOptions | false;
  /** Whom to ask how often. */
  asking?: AskingOptions;
  /** Milliseconds of a frame in which questions may be started; 0.25. */
  budgetMs?: number;
  /**
   * Milliseconds after which a tick leaves the rest of the characters to the next frame, which moves them first and by the whole
   * time. Without it all are moved in each frame, and the same calls give the same lives.
   */
  tickMs?: number;
  /** The same seed and the same calls give the same lives. */
  seed?: number;
  /** How many of the game's units make a metre, from which all distances and speeds are made; 1. */
  metre?: number;
  /** The game's ground: where one can stand, and ways around what is in the way. */
  ground?: Ground;
  /** How often each character decides anew, a second; 8. */
  decideHz?: number;
}

/** What characters do of their own accord, if not told otherwise. */
export const habits = ['idle', 'look', 'walk', 'follow', 'chatter'] as const satisfies PolicyName[];
export type Habit = (typeof habits)[number];

export interface CharacterOptions {
  /** Its id at the edge. Without one it is never asked about. */
  npc?: string;
  x: number;
  y: number;
  /** Where it belongs and wanders around; where it starts if nothing is said. */
  home?: { x: number; y: number };
  /** What it likes best; `idle`. */
  policy?: Habit;
  /** Walking speed in units a second; 1.4 metres. It runs 2.2 times as fast. */
  speed?: number;
  /** Whose turn to ask comes first: 2 counts as waiting twice as long. 1. */
  importance?: number;
  heading?: number;
  /** Characters of one role share cached answers; its `npc` if nothing is said. */
  role?: string;
  /** 0 to 1, by the seed if nothing is said. */
  boldness?: number;
  sociability?: number;
}

export interface PerceptionOptions {
  x: number;
  y: number;
  /** 0 to 1; 1. */
  strength?: number;
}
