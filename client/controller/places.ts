// The places of a village by name: where `go_to` leads, where there is cover, and what a character is near to.

/** More than any village has names for: a cache key has room for so many. */
const most = 62;

export class Places {
  readonly names: string[] = [];
  readonly x: number[] = [];
  readonly y: number[] = [];
  readonly cover: boolean[] = [];
  readonly #byName = new Map<string, number>();

  /** Sets a place, or moves it. Throws RangeError for a point that is none, or too many places. */
  set(name: string, x: number, y: number, cover: boolean): void {
    const key = plain(name);
    if (!key || key.length > 40) throw new RangeError('place: a name has 1 to 40 characters');
    if (!Number.isFinite(x) || !Number.isFinite(y)) throw new RangeError(`place ${key}: is at no point`);
    let k = this.#byName.get(key);
    if (k === undefined) {
      k = this.names.length;
      if (k === most) throw new RangeError(`place: there are ${most} already`);
      this.#byName.set(key, k);
      this.names.push(key);
    }
    this.x[k] = x;
    this.y[k] = y;
    this.cover[k] = cover;
  }

  /** Number of the place that somebody calls so ("the Forge"); −1: there is none. */
  find(name: string): number {
    return this.#byName.get(plain(name)) ?? -1;
  }

  /** Number of the nearest place within a distance; −1: none is. */
  nearest(x: number, y: number, within: number, coverOnly = false): number {
    let best = -1;
    let best2 = within * within;
    for (let k = 0; k < this.names.length; k++) {
      if (coverOnly && !this.cover[k]) continue;
      const dx = this.x[k]! - x;
      const dy = this.y[k]! - y;
      const d2 = dx * dx + dy * dy;
      if (d2 > best2) continue;
      best = k;
      best2 = d2;
    }
    return best;
  }
}

/** As models write names: "the North_Gate" is the north gate. */
export function plain(name: string): string {
  return name
    .toLowerCase()
    .replace(/[_\s]+/g, ' ')
    .replace(/^ ?(?:the |to the |to )/, '')
    .trim();
}
