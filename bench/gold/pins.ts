// Hit rate against pin budget: the same crowd (crowd.ts) on llama engines with more and more KV sequences, with pins and
// without. Draws the curve as SVG and as text.

import type { Arms } from './arms.ts';
import { type CrowdResult, playCrowd } from './crowd.ts';

const characters = 12;
const players = 8;

export interface BudgetPoint {
  /** Part of the characters for which leases may hold the cache. */
  readonly share: number;
  readonly pinned: CrowdResult;
  readonly unpinned: CrowdResult;
}

/** One point for each number of sequences. Sequences beyond the budget are for who speaks without a lease. */
export async function hitRates(
  arms: Arms,
  sequences: readonly number[],
  sentences: number,
): Promise<BudgetPoint[]> {
  const points: BudgetPoint[] = [];
  for (const count of sequences) {
    const play = async (pins: boolean) => {
      const engine = await arms.anotherLlama({ sequences: count, concurrency: 1, contextTokens: 512 });
      try {
        return await playCrowd(engine, { characters, players, sentences, pins });
      } finally {
        await engine.close();
      }
    };
    const pinned = await play(true);
    points.push({ share: pinned.budget / characters, pinned, unpinned: await play(false) });
  }
  return points;
}

/** The hit rate with a budget of half of the characters, between the points on either side of it. */
export function atHalf(points: readonly BudgetPoint[]): number {
  const above = points.findIndex(({ share }) => share >= 0.5);
  const high = points[above] ?? points.at(-1)!;
  const low = points[above - 1] ?? high;
  if (high.share === low.share) return high.pinned.hitRate;
  const part = (0.5 - low.share) / (high.share - low.share);
  return low.pinned.hitRate + Math.min(1, part) * (high.pinned.hitRate - low.pinned.hitRate);
}

/** Bars for a terminal. */
export function asText(points: readonly BudgetPoint[]): string {
  const bar = (rate: number) => '#'.repeat(Math.round(rate * 40)).padEnd(40, '.');
  const line = (share: number, name: string, { hitRate, evicted, refused }: CrowdResult) =>
    `${(100 * share).toFixed(0).padStart(5)} % ${name.padEnd(8)} ${bar(hitRate)} ${(100 * hitRate).toFixed(0).padStart(3)} %` +
    `  evicted ${evicted.leased} leased, ${evicted.unleased} unleased; ${refused} refused`;
  return points
    .flatMap(({ share, pinned, unpinned }) => [line(share, 'pins', pinned), line(share, 'no pins', unpinned)])
    .join('\n');
}

const frame = { width: 640, height: 360, left: 60, right: 20, top: 40, bottom: 50 };

/** The curve: part of the characters that leases may hold, and part of the sentences whose prefix was in memory. */
export function asSvg(points: readonly BudgetPoint[]): string {
  const widest = Math.max(1, ...points.map(({ share }) => share));
  const x = (share: number) => frame.left + (share / widest) * (frame.width - frame.left - frame.right);
  const y = (rate: number) => frame.height - frame.bottom - rate * (frame.height - frame.top - frame.bottom);
  const curve = (rate: (point: BudgetPoint) => number, colour: string) => {
    const at = points.map((point) => [x(point.share).toFixed(1), y(rate(point)).toFixed(1)]);
    const dots = at.map(([cx, cy]) => `<circle cx="${cx}" cy="${cy}" r="4" fill="${colour}"/>`).join('');
    const line = at.map((pair) => pair.join(',')).join(' ');
    return `<polyline points="${line}" fill="none" stroke="${colour}" stroke-width="2"/>${dots}`;
  };
  const text = (at: [number, number], words: string, more = '') =>
    `<text x="${at[0].toFixed(1)}" y="${at[1].toFixed(1)}" ${more}>${words}</text>`;
  const rates = [0, 0.2, 0.4, 0.6, 0.8, 1].map(
    (rate) =>
      `<line x1="${frame.left}" x2="${frame.width - frame.right}" y1="${y(rate)}" y2="${y(rate)}" stroke="#ddd"/>` +
      text([frame.left - 8, y(rate) + 4], `${100 * rate} %`, 'text-anchor="end"'),
  );
  const shares = points.map(({ share }) =>
    text(
      [x(share), frame.height - frame.bottom + 18],
      `${Math.round(100 * share)} %`,
      'text-anchor="middle"',
    ),
  );
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${frame.width} ${frame.height}" font-family="sans-serif" font-size="12">`,
    `<rect width="${frame.width}" height="${frame.height}" fill="white"/>`,
    text([frame.left, 22], 'Prefix in memory when a player speaks, by pin budget', 'font-size="15"'),
    ...rates,
    ...shares,
    text([frame.width / 2, frame.height - 10], 'characters that leases may hold', 'text-anchor="middle"'),
    curve(({ unpinned }) => unpinned.hitRate, '#c05621'),
    curve(({ pinned }) => pinned.hitRate, '#2b6cb0'),
    text([frame.width - 150, y(0.12)], 'with pins', 'fill="#2b6cb0"'),
    text([frame.width - 150, y(0.05)], 'without', 'fill="#c05621"'),
    '</svg>',
    '',
  ].join('\n');
}
