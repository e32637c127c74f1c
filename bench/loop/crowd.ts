// The bodies of the baseline: as many characters as the controller would have, strolling by the simplest rule there is,
// so that both arms draw the same number of characters. And the drawing, which is the game's own work in a frame.

import { type Random, randomly } from '../../tests/chaos/strikes.ts';

/** Metres on a side. */
export const side = 200;

/** What the drawing reads. */
export interface Bodies {
  readonly x: ArrayLike<number>;
  readonly y: ArrayLike<number>;
  readonly heading: ArrayLike<number>;
}

export class Crowd implements Bodies {
  readonly x: Float64Array;
  readonly y: Float64Array;
  readonly heading: Float64Array;

  constructor(count: number, seed: number) {
    const random: Random = randomly(seed);
    this.x = Float64Array.from({ length: count }, () => random() * side);
    this.y = Float64Array.from({ length: count }, () => random() * side);
    this.heading = Float64Array.from({ length: count }, () => random() * 2 * Math.PI);
  }

  step(dtMs: number): void {
    const length = (1.2 * dtMs) / 1_000;
    for (let i = 0; i < this.x.length; i++) {
      this.x[i] = (this.x[i]! + Math.cos(this.heading[i]!) * length + side) % side;
      this.y[i] = (this.y[i]! + Math.sin(this.heading[i]!) * length + side) % side;
    }
  }
}

const vertices = new Float32Array(4 * 2 * 4_096);

/** Puts a turned square for each body into a buffer, as a renderer would. Returns a sum, so that nothing is left out. */
export function draw(bodies: Bodies, count: number, playerX: number, playerY: number): number {
  let seen = 0;
  for (let i = 0; i < count; i++) {
    const dx = bodies.x[i]! - playerX;
    const dy = bodies.y[i]! - playerY;
    if (dx * dx + dy * dy > 60 * 60) continue;
    const cos = Math.cos(bodies.heading[i]!);
    const sin = Math.sin(bodies.heading[i]!);
    for (let corner = 0; corner < 4; corner++) {
      const cx = corner & 1 ? 0.5 : -0.5;
      const cy = corner & 2 ? 0.5 : -0.5;
      vertices[seen * 8 + corner * 2] = dx + cx * cos - cy * sin;
      vertices[seen * 8 + corner * 2 + 1] = dy + cx * sin + cy * cos;
    }
    if (++seen === 4_096) break;
  }
  return seen;
}
