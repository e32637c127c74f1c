// What grows and what lies under the feet: trees, bushes, and the picture of the whole ground with its paths, square and
// river. Light comes from the upper left.

import * as colours from './palette.ts';
import { mix, noise, Pixels, seeded } from './pixels.ts';

interface Blob {
  x: number;
  y: number;
  r: number;
}

/** Leaves: round masses, light where the sun is, dark below. */
function foliage(p: Pixels, blobs: readonly Blob[], ramp: colours.Ramp, seed: number): void {
  const random = seeded(seed);
  for (const { x, y, r } of blobs)
    for (let j = Math.floor(y - r); j <= y + r; j++)
      for (let i = Math.floor(x - r); i <= x + r; i++) {
        const dx = (i - x) / r;
        const dy = (j - y) / r;
        const far = dx * dx + dy * dy;
        if (far > 1 || (far > 0.82 && random() < 0.4)) continue;
        const light = -(dx * 0.6 + dy) + (noise(i / 2.5, j / 2.5, seed) - 0.5) * 1.1;
        p.set(i, j, light > 0.62 ? ramp[3] : light > -0.1 ? ramp[2] : light > -0.75 ? ramp[1] : ramp[0]);
      }
}

function trunk(p: Pixels, x: number, y: number, width: number, height: number): void {
  p.box(x, y, width, height, colours.wood[1]);
  p.box(x, y, 1, height, colours.wood[2]);
  p.box(x + width - 1, y, 1, height, colours.wood[0]);
  p.box(x - 1, y + height - 2, width + 2, 2, colours.wood[1]);
}

/** A broad-leaved tree; `big` for the oak that the village is called after. */
export function tree(seed: number, ramp: colours.Ramp = colours.leaf, big = false): Pixels {
  const random = seeded(seed);
  const size = big ? 1.75 : 0.9 + random() * 0.25;
  const width = Math.round(40 * size);
  const height = Math.round(48 * size);
  const p = new Pixels(width + 4, height + 2);
  const cx = width / 2 + 1;
  trunk(
    p,
    Math.round(cx - 3 * size),
    Math.round(height * 0.6),
    Math.round(6 * size),
    Math.round(height * 0.4),
  );
  const blobs: Blob[] = [
    { x: cx - 9 * size, y: 25 * size, r: 9.5 * size },
    { x: cx + 9 * size, y: 25 * size, r: 9.5 * size },
    { x: cx, y: 28 * size, r: 10 * size },
    { x: cx - 5 * size, y: 15 * size, r: 10 * size },
    { x: cx + 6 * size, y: 16 * size, r: 9 * size },
    { x: cx, y: 19 * size, r: 10 * size },
  ];
  for (const blob of blobs) {
    blob.x += (random() - 0.5) * 3;
    blob.y += (random() - 0.5) * 2;
  }
  foliage(p, blobs, ramp, seed);
  return p.outline(mix(ramp[0], colours.ink, 0.5));
}

export function pineTree(seed: number): Pixels {
  const p = new Pixels(30, 52);
  const random = seeded(seed);
  trunk(p, 13, 42, 4, 9);
  for (const [top, bottom, half] of [
    [26, 44, 13],
    [14, 32, 10.5],
    [2, 20, 7.5],
  ] as const)
    for (let y = top; y < bottom; y++) {
      const wide = ((y - top) / (bottom - top)) * half + 1;
      for (let x = Math.ceil(15 - wide); x < 15 + wide; x++) {
        const light = (15 - x) / half - (y - top) / (bottom - top) + 0.5 + (random() - 0.5) * 0.6;
        p.set(
          x,
          y,
          light > 0.55
            ? colours.pine[3]
            : light > 0
              ? colours.pine[2]
              : light > -0.5
                ? colours.pine[1]
                : colours.pine[0],
        );
      }
    }
  return p.outline(mix(colours.pine[0], colours.ink, 0.5));
}

export function bush(seed: number): Pixels {
  const p = new Pixels(24, 17);
  foliage(
    p,
    [
      { x: 7, y: 10, r: 5.5 },
      { x: 16, y: 10, r: 5.5 },
      { x: 12, y: 8, r: 6.5 },
    ],
    colours.leaf,
    seed,
  );
  const random = seeded(seed);
  const flower = colours.flowers[seed % colours.flowers.length]!;
  for (let i = 0; i < 7; i++) {
    const x = 4 + Math.floor(random() * 16);
    const y = 4 + Math.floor(random() * 9);
    if (p.get(x, y) !== undefined) p.set(x, y, flower);
  }
  return p.outline(mix(colours.leaf[0], colours.ink, 0.5));
}

export interface GroundPlan {
  width: number;
  height: number;
  /** Beaten paths: points, and half the width. */
  paths: readonly { points: readonly (readonly [number, number])[]; half: number }[];
  squares: readonly { x: number; y: number; rx: number; ry: number }[];
  fields: readonly { x: number; y: number; width: number; height: number }[];
  /** The edge of the river at an x; below it is water. */
  shore: (x: number) => number;
  /** Shadows that do not move. */
  shadows: readonly { x: number; y: number; rx: number; ry: number }[];
}

/** The picture of the ground. */
export function ground(plan: GroundPlan): Pixels {
  const { width, height } = plan;
  const p = new Pixels(width, height);
  for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) p.set(x, y, groundAt(plan, x, y));
  grow(p, plan);
  for (const { x, y, rx, ry } of plan.shadows)
    for (let j = Math.floor(-ry); j <= ry; j++)
      for (let i = Math.floor(-rx); i <= rx; i++)
        if ((i / rx) ** 2 + (j / ry) ** 2 <= 1)
          p.blend(Math.round(x + i), Math.round(y + j), colours.shadow, 0.34);
  return p;
}

function groundAt(plan: GroundPlan, x: number, y: number): number {
  const wobble = (noise(x / 7, y / 7, 3) - 0.5) * 6;
  const grain = noise(x * 0.9, y * 0.9, 9);
  const shore = plan.shore(x) - y;
  if (shore < 0) {
    if (shore > -3 + wobble / 6) return colours.foam;
    const deep = noise(x / 26, y / 6, 5);
    return shore < -10 ? colours.water[deep > 0.62 ? 2 : deep > 0.34 ? 1 : 0] : colours.water[2];
  }
  if (shore < 13 + wobble) return colours.sand[grain > 0.55 ? 1 : 0];
  for (const field of plan.fields) {
    const i = x - field.x;
    const j = y - field.y;
    if (i < 0 || j < 0 || i >= field.width || j >= field.height) continue;
    return j % 8 < 3 ? colours.soil[1] : colours.soil[0];
  }
  for (const square of plan.squares) {
    const inside = Math.hypot((x - square.x) / square.rx, (y - square.y) / square.ry);
    const edge = 1 + wobble / 150;
    if (inside < edge) return cobbleAt(x, y);
    if (inside < edge + 0.035) return colours.pathEdge;
  }
  let nearest = Number.POSITIVE_INFINITY;
  for (const { points, half } of plan.paths)
    for (let i = 1; i < points.length; i++)
      nearest = Math.min(nearest, fromSegment(x, y, points[i - 1]!, points[i]!) - half);
  if (nearest + wobble < 0) return colours.path[nearest + wobble > -2 ? 0 : grain > 0.7 ? 2 : 1];
  if (nearest + wobble < 1.5) return colours.pathEdge;
  const meadow = noise(x / 34, y / 34, 1) * 0.65 + noise(x / 9, y / 9, 2) * 0.35;
  const shade = Math.max(0, Math.min(3, Math.floor(meadow * 5 - 0.6 + (grain - 0.5) * 0.7)));
  return colours.grass[shade]!;
}

/** Round stones in rows that are set off from each other. */
function cobbleAt(x: number, y: number): number {
  const row = Math.floor(y / 6);
  const i = x + (row % 2) * 4 + Math.floor(noise(row * 7.3, 1, 4) * 3);
  const column = Math.floor(i / 8);
  const inX = i - column * 8;
  const inY = y - row * 6;
  if (inX === 7 || inY === 5) return colours.cobbleGap;
  const corner = (inX === 0 || inX === 6) && (inY === 0 || inY === 4);
  if (corner) return colours.cobbleGap;
  const shade = colours.cobble[Math.floor(noise(column * 5.1, row * 3.7, 6) * 3.99)]!;
  return inY === 0 || inX === 0
    ? mix(shade, 0xffffff, 0.12)
    : inY === 4
      ? mix(shade, colours.shadow, 0.14)
      : shade;
}

/** How far a point is from a stretch of a path. */
export function fromSegment(
  x: number,
  y: number,
  [ax, ay]: readonly [number, number],
  [bx, by]: readonly [number, number],
): number {
  const dx = bx - ax;
  const dy = by - ay;
  const t = Math.max(0, Math.min(1, ((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy || 1)));
  return Math.hypot(x - ax - t * dx, y - ay - t * dy);
}

/** Tufts of grass and flowers on the meadow, crops on the fields, pebbles on the paths. */
function grow(p: Pixels, plan: GroundPlan): void {
  const random = seeded(11);
  const meadow = (x: number, y: number) => {
    const colour = p.get(x, y);
    return colour !== undefined && (colours.grass as readonly number[]).includes(colour);
  };
  for (let i = 0; i < (p.width * p.height) / 170; i++) {
    const x = Math.floor(random() * p.width);
    const y = Math.floor(random() * p.height);
    const kind = random();
    if (!meadow(x, y) || !meadow(x, y - 3) || !meadow(x + 3, y)) continue;
    if (kind < 0.62) {
      const colour = kind < 0.34 ? colours.tuft.dark : colours.tuft.light;
      p.set(x, y, colour);
      p.set(x, y - 1, colour);
      p.set(x + 2, y, colour);
      p.set(x + 2, y - 1, colour);
      p.set(x + 1, y, colour);
      if (kind < 0.2) p.set(x + 1, y - 2, colour);
    } else if (kind < 0.72 && noise(x / 40, y / 40, 8) > 0.5) {
      const colour = colours.flowers[Math.floor(random() * colours.flowers.length)]!;
      p.set(x, y - 1, colour);
      p.set(x - 1, y, colour);
      p.set(x + 1, y, colour);
      p.set(x, y + 1, colours.tuft.dark);
      p.set(x, y, colours.flowers[0]);
    }
  }
  for (const field of plan.fields)
    for (let y = field.y + 3; y < field.y + field.height; y += 8)
      for (let x = field.x + 3; x < field.x + field.width - 3; x += 6) {
        const ripe = field.width > 80;
        const colour = ripe ? colours.thatch : colours.leaf;
        p.box(x + 1, y - 1, 1, 5, colour[1]);
        p.set(x, y, colour[2]);
        p.set(x + 2, y, colour[2]);
        p.box(x, y - 3, 3, 2, colour[3]);
      }
}
