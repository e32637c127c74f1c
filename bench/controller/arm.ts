// What the bench compares: a number of characters that one call moves by one frame.

export interface Arm {
  /** One frame of all characters; both in milliseconds. */
  tick(nowMs: number, dtMs: number): void;
}

/** How often a character decides, in all arms. */
export const decideHz = 8;
