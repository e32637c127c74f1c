// What the bench compares: a number of characters that one call moves by one frame.

export interface Arm {
  /** One frame of all characters; both in milliseconds. */
  tick(nowMs: number, dtMs: number): void;
}

/** How often a character decides, in all arms. */
export const decideHz = 8;

/** Numbers from 0 up to 1, the same for the same seed. */
export function randomOf(seed: number): () => number {
  let s = seed | 1;
  return () => {
    s ^= s << 13;
    s ^= s >>> 17;
    s ^= s << 5;
    return (s >>> 0) / 0x1_0000_0000;
  };
}
