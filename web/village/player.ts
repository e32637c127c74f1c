// The player in the village: walks by keys or to where was tapped, and stops at what cannot be walked through.

import type { Figure } from './figure.ts';
import type { Ground } from './ground.ts';
import { metre } from './layout.ts';

const metresPerSecond = 5.2;
/** A tap that leads nowhere is given up after so long without a step. */
const stuckMs = 600;

const keys: Readonly<Record<string, readonly [number, number]>> = {
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  KeyW: [0, -1],
  KeyS: [0, 1],
  KeyA: [-1, 0],
  KeyD: [1, 0],
};

export class Player {
  readonly figure: Figure;
  readonly #ground: Ground;
  readonly #held = new Set<string>();
  readonly #next = { x: 0, y: 0 };
  #goal: { at: Readonly<{ x: number; y: number }>; near: number; reached: () => void } | undefined;
  #stuckMs = 0;

  constructor(figure: Figure, ground: Ground) {
    this.figure = figure;
    this.#ground = ground;
  }

  /** Whether it walks by itself. */
  get walks(): boolean {
    return this.#goal !== undefined;
  }

  /** A key went down. Whether it is one for walking. */
  press(code: string): boolean {
    if (!Object.hasOwn(keys, code)) return false;
    this.#held.add(code);
    this.#goal = undefined;
    return true;
  }

  release(code: string): void {
    this.#held.delete(code);
  }

  /** The page lost the keyboard: no key counts as held. */
  releaseAll(): void {
    this.#held.clear();
  }

  /**
   * Walks there by itself, also when the point moves; `reached` is called when it is as near as that, and not at all if
   * another way is taken.
   */
  follow(at: Readonly<{ x: number; y: number }>, near: number, reached: () => void): void {
    this.#goal = { at, near, reached };
    this.#stuckMs = 0;
  }

  update(dtMs: number): void {
    const { figure } = this;
    const step = (metresPerSecond * metre * dtMs) / 1_000;
    let dx = 0;
    let dy = 0;
    for (const code of this.#held) {
      dx += keys[code]![0];
      dy += keys[code]![1];
    }
    const goal = this.#goal;
    if (dx === 0 && dy === 0 && goal) {
      if (Math.hypot(goal.at.x - figure.x, goal.at.y - figure.y) <= goal.near) {
        this.#goal = undefined;
        goal.reached();
      } else if (this.#ground.next(figure.x, figure.y, goal.at.x, goal.at.y, this.#next)) {
        dx = this.#next.x - figure.x;
        dy = this.#next.y - figure.y;
      } else this.#goal = undefined;
    }
    const length = Math.hypot(dx, dy);
    let moved = 0;
    if (length > 0.01) {
      const stride = goal ? Math.min(step, length) : step;
      moved = this.#move((dx / length) * stride, (dy / length) * stride);
      figure.face(Math.atan2(dy, dx));
    }
    this.#stuckMs = moved > step * 0.05 ? 0 : this.#stuckMs + dtMs;
    if (this.#goal && this.#stuckMs > stuckMs) this.#goal = undefined;
    figure.draw(dtMs, moved);
  }

  /** Goes so far, along the wall if it has to. Returns how far it came. */
  #move(dx: number, dy: number): number {
    const { figure } = this;
    const { x, y } = figure;
    // Somebody who was put into a wall may walk out of it.
    const free = (toX: number, toY: number) => this.#ground.isFree(toX, toY) || !this.#ground.isFree(x, y);
    if (free(x + dx, y + dy)) {
      figure.x += dx;
      figure.y += dy;
    } else if (free(x + dx, y)) figure.x += dx;
    else if (free(x, y + dy)) figure.y += dy;
    return Math.hypot(figure.x - x, figure.y - y);
  }
}
