// As much work as Parley has in a frame, with nothing of Parley in it: numbers in as many arrays as the controller keeps. How
// often that takes too long says what the machine adds to any work of that length.

/** Of 8 bytes, one for each character: about what a tick goes through. */
const arrayCount = 40;

export class PlainWork {
  readonly #arrays: readonly Float64Array[];
  /** Characters that a frame's work goes through; fractions, so that it is one from the start. */
  #count = 500.5;

  constructor(characters: number) {
    this.#arrays = Array.from({ length: arrayCount }, (_, k) => new Float64Array(characters).fill(k + 0.5));
  }

  /** Once: as much as the arrays and the setting say. */
  run(): void {
    const { length } = this.#arrays[0]!;
    for (let left = this.#count; left > 0; left -= length) {
      const end = Math.min(left, length);
      for (const numbers of this.#arrays)
        for (let i = 0; i < end; i++) numbers[i] = Math.sqrt(numbers[i]! * numbers[i]! + 1e-9);
    }
  }

  /** It took `ms` as a rule; from now on it is to take `wantedMs`. */
  fit(ms: number, wantedMs: number): void {
    if (ms > 0 && wantedMs > 0) this.#count = Math.max(1, (this.#count * wantedMs) / ms);
  }
}
