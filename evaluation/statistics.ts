// The little statistics that an evaluation needs: how sure a share is, and whether two arms that were asked the same
// questions differ by more than luck. Pure functions.

/** The normal quantile of a two-sided interval of 95 %. */
const z95 = 1.959963984540054;

export interface Share {
  readonly right: number;
  readonly of: number;
  /** 0 to 1; NaN of nothing. */
  readonly share: number;
  /** The interval of 95 %. */
  readonly low: number;
  readonly high: number;
}

/** A share with its Wilson score interval (E. B. Wilson, 1927), which is honest near 0 and 1 too. */
export function shareOf(right: number, of: number): Share {
  if (of === 0) return { right, of, share: Number.NaN, low: 0, high: 1 };
  const p = right / of;
  const z2 = z95 * z95;
  const middle = (p + z2 / (2 * of)) / (1 + z2 / of);
  const half = (z95 * Math.sqrt((p * (1 - p)) / of + z2 / (4 * of * of))) / (1 + z2 / of);
  return { right, of, share: p, low: Math.max(0, middle - half), high: Math.min(1, middle + half) };
}

export interface Paired {
  /** Questions that both were asked. */
  readonly of: number;
  /** Right in the second alone, and in the first alone. */
  readonly won: number;
  readonly lost: number;
  /** Share of the second less that of the first. */
  readonly difference: number;
  /** How likely a difference like this is by luck alone: McNemar's test, exact and two-sided. */
  readonly p: number;
}

/** Compares two arms by question: `pairs` holds [right in the first, right in the second]. */
export function comparePaired(pairs: readonly (readonly [boolean, boolean])[]): Paired {
  const won = pairs.filter(([before, after]) => !before && after).length;
  const lost = pairs.filter(([before, after]) => before && !after).length;
  const difference = pairs.length === 0 ? 0 : (won - lost) / pairs.length;
  return { of: pairs.length, won, lost, difference, p: signTest(won, lost) };
}

/** The exact two-sided binomial test of `a` against `b` with even odds. */
function signTest(a: number, b: number): number {
  const n = a + b;
  let logChoose = 0;
  let tail = 0;
  for (let k = 0; k <= Math.min(a, b); k++) {
    if (k > 0) logChoose += Math.log((n - k + 1) / k);
    tail += Math.exp(logChoose - n * Math.LN2);
  }
  return Math.min(1, 2 * tail);
}

/** The middle value; NaN of nothing. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  if (sorted.length === 0) return Number.NaN;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
