// Where trees stand: a wood beyond the wall, along the edges, and single ones in the village. Planted by chance that is always
// the same, wherever they stand in nobody's way and hide nothing.

import { fromSegment } from '../art/nature.ts';
import { seeded } from '../art/pixels.ts';
import * as layout from './layout.ts';

const { fields, houses, lanterns, oak, paths, places, props, squares, width } = layout;

/** Whether trees may stand there: not on paths, before doors or on the water. */
function isMeadow(x: number, y: number): boolean {
  if (y > layout.shore(x) - 22) return false;
  for (const { points, half } of paths)
    for (let i = 1; i < points.length; i++)
      if (fromSegment(x, y, points[i - 1]!, points[i]!) < half + 12) return false;
  if (squares.some((s) => Math.hypot((x - s.x) / s.rx, (y - s.y) / s.ry) < 1.3)) return false;
  if (fields.some((f) => x > f.x - 14 && x < f.x + f.width + 14 && y > f.y - 10 && y < f.y + f.height + 24))
    return false;
  return !houses.some(
    (h) =>
      Math.abs(x - h.x) < h.style.width / 2 + 20 && y > h.y - h.style.wall - h.style.roof - 6 && y < h.y + 40,
  );
}

/** The trees: a wood beyond the wall and along the edges, and single ones in the village. */
export const trees: readonly layout.Placed<layout.TreeKind>[] = plant();

function plant(): layout.Placed<layout.TreeKind>[] {
  const random = seeded(2024);
  const planted: layout.Placed<layout.TreeKind>[] = [oak];
  const kinds: layout.TreeKind[] = ['leafy0', 'leafy1', 'leafy2', 'pine0', 'pine1', 'autumn'];
  const far = (x: number, y: number, d: number) =>
    planted.every((t) => Math.hypot(t.x - x, (t.y - y) * 1.4) > d);
  const put = (x: number, y: number, d: number, wild: boolean) => {
    if (!isMeadow(x, y) || !far(x, y, d)) return;
    const of = wild ? kinds : kinds.filter((k) => !k.startsWith('pine'));
    planted.push({ x, y, style: of[Math.floor(random() * of.length)]! });
  };
  for (let i = 0; i < 420; i++) put(Math.round(random() * width), Math.round(20 + random() * 96), 19, true);
  for (let i = 0; i < 260; i++) {
    const left = random() < 0.5;
    const depth = random() ** 1.6 * 70;
    put(Math.round(left ? depth : width - depth), Math.round(180 + random() * 430), 24, random() < 0.4);
  }
  for (let i = 0; i < 200; i++)
    put(Math.round(90 + random() * 780), Math.round(190 + random() * 400), 66, false);
  return planted.filter((tree) => tree === oak || !hides(tree));
}

/** Whether the crown of a tree would hide a place where somebody stands, or a thing. */
function hides({ x, y }: { x: number; y: number }): boolean {
  const behind = (p: { x: number; y: number }, wide: number, high: number) =>
    Math.abs(x - p.x) < wide && y - p.y > -12 && y - p.y < high;
  return (
    Object.values(places).some((p) => behind(p, 34, 58)) ||
    [...props, ...lanterns].some((p) => behind(p, 26, 44)) ||
    houses.some((h) => behind(h, h.style.width / 2 + 18, 50))
  );
}
