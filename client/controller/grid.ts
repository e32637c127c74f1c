// Who is near whom: a hashed grid of cells with linked lists in typed arrays. A character is moved between cells when
// it decides, not each frame, so positions in it are up to an eighth of a second old.

export class Grid {
  readonly #cell: number;
  readonly #mask: number;
  readonly #heads: Int32Array;
  readonly #next: Int32Array;
  readonly #prev: Int32Array;
  readonly #at: Int32Array;

  constructor(capacity: number, cell: number) {
    let buckets = 64;
    while (buckets < capacity * 2) buckets *= 2;
    this.#cell = cell;
    this.#mask = buckets - 1;
    this.#heads = new Int32Array(buckets).fill(-1);
    this.#next = new Int32Array(capacity).fill(-1);
    this.#prev = new Int32Array(capacity).fill(-1);
    this.#at = new Int32Array(capacity).fill(-1);
  }

  put(i: number, x: number, y: number): void {
    const bucket = this.#bucket(Math.floor(x / this.#cell), Math.floor(y / this.#cell));
    if (bucket === this.#at[i]) return;
    this.remove(i);
    const head = this.#heads[bucket]!;
    this.#next[i] = head;
    this.#prev[i] = -1;
    if (head >= 0) this.#prev[head] = i;
    this.#heads[bucket] = i;
    this.#at[i] = bucket;
  }

  remove(i: number): void {
    const bucket = this.#at[i]!;
    if (bucket < 0) return;
    const next = this.#next[i]!;
    const prev = this.#prev[i]!;
    if (prev >= 0) this.#next[prev] = next;
    else this.#heads[bucket] = next;
    if (next >= 0) this.#prev[next] = prev;
    this.#at[i] = -1;
  }

  /**
   * Writes those in the nine cells around the point into `out` and returns how many; at most as many as it holds.
   * Two cells may share a bucket: then somebody far away is among them, or somebody is there twice.
   */
  around(x: number, y: number, out: Int32Array): number {
    const column = Math.floor(x / this.#cell);
    const row = Math.floor(y / this.#cell);
    let count = 0;
    for (let c = column - 1; c <= column + 1; c++)
      for (let r = row - 1; r <= row + 1; r++)
        for (let i = this.#heads[this.#bucket(c, r)]!; i >= 0; i = this.#next[i]!) {
          if (count === out.length) return count;
          out[count++] = i;
        }
    return count;
  }

  #bucket(column: number, row: number): number {
    return (Math.imul(column, 73856093) ^ Math.imul(row, 19349663)) & this.#mask;
  }
}
