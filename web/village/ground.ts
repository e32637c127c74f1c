// Where one can walk in the village, and the way from here to there round houses and trees. The player's taps and the
// characters' controller both ask here; everything is in memory and a question allocates nothing once its goal is known.

import * as layout from './layout.ts';
import { trees } from './trees.ts';

const cell = 8;
const columns = Math.ceil(layout.width / cell);
const rows = Math.ceil(layout.height / cell);
const unreached = 0xffff;
/** How many goals are remembered. The places of the village and what the player taps on fit in. */
const goalsKept = 48;

export class Ground {
  readonly #blocked = new Uint8Array(columns * rows);
  /** Steps to the goal from each cell, by the goal's cell; the oldest goal goes first. */
  readonly #fields = new Map<number, Uint16Array>();
  readonly #queue = new Uint32Array(columns * rows);

  constructor() {
    const { houses, props, footprints, gatePlace, gateWay, wallY, pierPlace } = layout;
    for (const { x, y, style } of houses)
      this.#block(
        x - style.width / 2 - 2,
        y - style.wall - style.roof * 0.45,
        style.width + 4,
        style.wall + style.roof * 0.45,
      );
    for (const { x, y, style } of props) {
      const [half, depth] = footprints[style];
      this.#block(x - half, y - depth, half * 2, depth);
    }
    for (const { x, y, style } of trees) {
      const half = style === 'oak' ? 9 : 5;
      this.#block(x - half, y - half - 2, half * 2, half + 3);
    }
    for (const { x, y } of layout.lanterns) this.#block(x - 2, y - 3, 4, 3);
    this.#block(0, wallY - 16, gateWay.left, 16);
    this.#block(gateWay.right, wallY - 16, layout.width - gateWay.right, 16);
    this.#block(0, 0, layout.width, gatePlace.y - 92);
    const onPier = (x: number, y: number) => Math.abs(x - pierPlace.x) < 14 && y < pierPlace.y - 8;
    for (let row = 0; row < rows; row++)
      for (let column = 0; column < columns; column++) {
        const x = column * cell + cell / 2;
        const y = row * cell + cell / 2;
        const edge = x < 10 || x > layout.width - 10;
        if (edge || (y > layout.shore(x) - 3 && !onPier(x, y))) this.#blocked[row * columns + column] = 1;
      }
  }

  /** Finds the ways to a place before they are asked for. */
  learn(x: number, y: number): void {
    const goal = this.#nearestFree(x, y);
    if (goal >= 0) this.#fieldTo(goal);
  }

  isFree(x: number, y: number): boolean {
    const column = Math.floor(x / cell);
    const row = Math.floor(y / cell);
    if (column < 0 || row < 0 || column >= columns || row >= rows) return false;
    return this.#blocked[row * columns + column] === 0;
  }

  /** Where to walk next, straight ahead; written into `out`. False: there is no way. */
  next(fromX: number, fromY: number, toX: number, toY: number, out: { x: number; y: number }): boolean {
    if (this.#sees(fromX, fromY, toX, toY)) {
      out.x = toX;
      out.y = toY;
      return true;
    }
    const goal = this.#nearestFree(toX, toY);
    let at = this.#nearestFree(fromX, fromY);
    if (goal < 0 || at < 0) return false;
    const field = this.#fieldTo(goal);
    if (field[at] === unreached) return false;
    // The farthest step of the way that can be reached in a straight line.
    out.x = centreX(at);
    out.y = centreY(at);
    for (let step = 0; step < 14 && field[at]! > 0; step++) {
      at = this.#downhill(field, at);
      if (!this.#sees(fromX, fromY, centreX(at), centreY(at))) break;
      out.x = centreX(at);
      out.y = centreY(at);
    }
    return true;
  }

  #block(x: number, y: number, wide: number, deep: number): void {
    for (let row = Math.floor(y / cell); row < (y + deep) / cell; row++)
      for (let column = Math.floor(x / cell); column < (x + wide) / cell; column++)
        if (row >= 0 && column >= 0 && row < rows && column < columns)
          this.#blocked[row * columns + column] = 1;
  }

  #sees(fromX: number, fromY: number, toX: number, toY: number): boolean {
    const steps = Math.ceil(Math.max(Math.abs(toX - fromX), Math.abs(toY - fromY)) / 4);
    for (let i = 1; i <= steps; i++)
      if (!this.isFree(fromX + ((toX - fromX) * i) / steps, fromY + ((toY - fromY) * i) / steps))
        return false;
    return true;
  }

  /** Number of the free cell that is nearest to a point, or -1. */
  #nearestFree(x: number, y: number): number {
    const column = Math.floor(x / cell);
    const row = Math.floor(y / cell);
    let best = -1;
    let nearest = Number.POSITIVE_INFINITY;
    for (let radius = 0; radius < 12 && best < 0; radius++)
      for (let r = row - radius; r <= row + radius; r++)
        for (let c = column - radius; c <= column + radius; c++) {
          if (r < 0 || c < 0 || r >= rows || c >= columns || this.#blocked[r * columns + c] === 1) continue;
          const far = (c - column) ** 2 + (r - row) ** 2;
          if (far >= nearest) continue;
          nearest = far;
          best = r * columns + c;
        }
    return best;
  }

  #fieldTo(goal: number): Uint16Array {
    const known = this.#fields.get(goal);
    if (known) return known;
    let field: Uint16Array;
    if (this.#fields.size >= goalsKept) {
      const [oldest, reused] = this.#fields.entries().next().value!;
      this.#fields.delete(oldest);
      field = reused;
    } else field = new Uint16Array(columns * rows);
    field.fill(unreached);
    field[goal] = 0;
    const queue = this.#queue;
    const blocked = this.#blocked;
    queue[0] = goal;
    let tail = 1;
    for (let head = 0; head < tail; head++) {
      const at = queue[head]!;
      const steps = field[at]! + 1;
      // The columns at both edges are blocked, so a step to the side never comes out in another row.
      for (let side = 0; side < 4; side++) {
        const next = side === 0 ? at - 1 : side === 1 ? at + 1 : side === 2 ? at - columns : at + columns;
        if (next < 0 || next >= field.length || field[next] !== unreached || blocked[next] === 1) continue;
        field[next] = steps;
        queue[tail++] = next;
      }
    }
    this.#fields.set(goal, field);
    return field;
  }

  /** The neighbour that is nearer to the goal; a diagonal one where both sides of it are free. */
  #downhill(field: Uint16Array, at: number): number {
    const column = at % columns;
    let best = at;
    for (let dr = -1; dr <= 1; dr++)
      for (let dc = -1; dc <= 1; dc++) {
        const next = at + dr * columns + dc;
        if (column + dc < 0 || column + dc >= columns || next < 0 || next >= field.length) continue;
        if (dr !== 0 && dc !== 0 && (this.#blocked[at + dc] === 1 || this.#blocked[at + dr * columns] === 1))
          continue;
        if (field[next]! < field[best]!) best = next;
      }
    return best;
  }
}

const centreX = (at: number) => (at % columns) * cell + cell / 2;
const centreY = (at: number) => Math.floor(at / columns) * cell + cell / 2;
