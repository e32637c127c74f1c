// How much is tried and from which seed. FUZZ_SEED=… repeats a run; FUZZ_RUNS=… is the number of cases of most
// properties, so that `FUZZ_RUNS=200000 npx vitest run tests/fuzz` goes on for an hour.

import fc from 'fast-check';

export const runs = wholeNumber('FUZZ_RUNS', 1_000);
export const seed = wholeNumber('FUZZ_SEED', Math.floor(Math.random() * 0x7fffffff));
/** Nobody waits for a test that hangs, and a long run has its time. */
export const timeoutMs = 120_000 + runs * 60;

let tried = 0;

/** Cases that were tried so far. */
export const casesTried = () => tried;

/** Holds a property to `count` cases. Throws with the smallest case that breaks it, and how to have it again. */
export function hold<T>(property: fc.IProperty<T>, count = runs): void {
  fc.assert(property, { numRuns: count, seed });
  tried += count;
}

/** As `hold`, for cases that meet a server: a failure is reported as it came, since the server has moved on. */
export async function holdAgainstServer<T>(
  property: fc.IAsyncProperty<T>,
  count: number,
  casesEach: number,
): Promise<void> {
  await fc.assert(property, { numRuns: count, seed, endOnFailure: true });
  tried += count * casesEach;
}

function wholeNumber(name: string, fallback: number): number {
  const value = Number(process.env[name] || fallback);
  if (!Number.isSafeInteger(value) || value < 0) throw new Error(`${name} must be a whole number`);
  return value;
}
