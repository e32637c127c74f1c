// What all characters share: the time, the player, the places, and what the game says of its ground. One object that
// the parts of the controller read; it decides nothing.

import type { Grid } from './grid.ts';
import type { Places } from './places.ts';

export interface Point {
  x: number;
  y: number;
}

/**
 * The game's ground. All of it is optional; without it everything is open field. Called a few times a second for each
 * character that moves, from within `tick`: it must return at once and should allocate nothing.
 */
export interface Ground {
  /** Whether a character can stand there. */
  isFree?(x: number, y: number): boolean;
  /** Where to walk next, straight ahead, on the way from here to there. Writes into `out`; false: there is no way. */
  next?(fromX: number, fromY: number, toX: number, toY: number, out: Point): boolean;
}

export interface Surroundings {
  nowMs: number;
  /** Hours of the day, 0 to 24. */
  hour: number;
  playerX: number;
  playerY: number;
  hasPlayer: boolean;
  /** How many of the game's units make a metre. */
  readonly metre: number;
  readonly grid: Grid;
  readonly places: Places;
  readonly ground: Ground;
  /** Room for answers of the grid and the ground, so that asking them makes nothing. */
  readonly neighbours: Int32Array;
  readonly point: Point;
}
