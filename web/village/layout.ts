// Oakfell on the map: where houses, trees, lanterns and paths are, which places have names, and who lives where. Numbers
// are pixels of the art; things stand with their lower edge at y. Drawing them is scene.ts, walking round them ground.ts.

import type { HouseStyle } from '../art/buildings.ts';
import type { GroundPlan } from '../art/nature.ts';
import { noise } from '../art/pixels.ts';

export const width = 960;
export const height = 704;
/** Pixels of the art that make a metre. */
export const metre = 16;

export const start = { x: 480, y: 408 };

/** Places by the names that characters use. Keepers stand there, `go_to` leads there. */
export const places: Readonly<Record<string, { x: number; y: number; cover?: boolean }>> = {
  forge: { x: 272, y: 338 },
  inn: { x: 722, y: 336, cover: true },
  'north gate': { x: 504, y: 184 },
  bakery: { x: 342, y: 480 },
  market: { x: 552, y: 380 },
  ferry: { x: 548, y: 566 },
  well: { x: 452, y: 366 },
  bell: { x: 420, y: 214 },
  square: { x: 500, y: 392 },
  oak: { x: 612, y: 326 },
  'herb garden': { x: 664, y: 482, cover: true },
  field: { x: 190, y: 560 },
  shore: { x: 380, y: 586 },
};

/** Other words for a place. */
export const alsoCalled: Readonly<Record<string, string>> = {
  gate: 'north gate',
  tavern: 'inn',
  river: 'ferry',
  shop: 'market',
  tree: 'oak',
  smithy: 'forge',
};

/** Who belongs where. */
export const residents: Readonly<Record<string, string>> = {
  mira: 'forge',
  rosa: 'inn',
  bram: 'north gate',
  tobin: 'bakery',
  edda: 'well',
  yorick: 'ferry',
};
/** For everybody else, in this order. */
export const spare = ['market', 'herb garden', 'oak', 'bell', 'square', 'field', 'shore'];

export interface Placed<T> {
  readonly x: number;
  readonly y: number;
  readonly style: T;
}

export const houses: readonly Placed<HouseStyle>[] = [
  {
    x: 232,
    y: 314,
    style: {
      ...{ width: 96, wall: 38, roof: 42, walls: 'stone', tiles: 'slate', door: 66, windows: [] },
      ...{ chimney: 26, forge: true, sign: 'anvil' },
    },
  },
  {
    x: 740,
    y: 316,
    style: {
      ...{ width: 128, wall: 54, roof: 44, walls: 'plaster', tiles: 'tile', door: 52 },
      ...{ windows: [10, 28, 82, 104], upper: [12, 34, 58, 82, 104], chimney: 104, sign: 'mug' },
    },
  },
  {
    x: 318,
    y: 462,
    style: {
      ...{ width: 78, wall: 34, roof: 34, walls: 'plaster', tiles: 'thatch', door: 46 },
      ...{ windows: [6, 20], chimney: 16, sign: 'bread', awning: 0xc9763d },
    },
  },
  {
    x: 664,
    y: 462,
    style: {
      ...{ width: 74, wall: 34, roof: 34, walls: 'stone', tiles: 'moss', door: 22 },
      ...{ windows: [58], chimney: 60, sign: 'star' },
    },
  },
  {
    x: 336,
    y: 236,
    style: {
      ...{ width: 70, wall: 32, roof: 34, walls: 'plaster', tiles: 'plum', door: 34, windows: [8, 52] },
      chimney: 58,
    },
  },
  {
    x: 640,
    y: 228,
    style: {
      ...{ width: 74, wall: 32, roof: 36, walls: 'wood', tiles: 'tile', door: 24, windows: [42, 58] },
      chimney: 14,
    },
  },
  {
    x: 98,
    y: 292,
    style: { width: 66, wall: 32, roof: 32, walls: 'plaster', tiles: 'thatch', door: 46, windows: [8, 22] },
  },
  {
    x: 870,
    y: 296,
    style: {
      ...{ width: 68, wall: 32, roof: 34, walls: 'plaster', tiles: 'slate', door: 20, windows: [40, 54] },
      chimney: 54,
    },
  },
  {
    x: 118,
    y: 470,
    style: {
      ...{ width: 70, wall: 32, roof: 34, walls: 'wood', tiles: 'moss', door: 36, windows: [8, 52] },
      chimney: 12,
    },
  },
  {
    x: 846,
    y: 486,
    style: { width: 74, wall: 34, roof: 34, walls: 'plaster', tiles: 'tile', door: 40, windows: [8, 58] },
  },
  {
    x: 452,
    y: 560,
    style: {
      ...{ width: 60, wall: 30, roof: 30, walls: 'wood', tiles: 'thatch', door: 38, windows: [10] },
      sign: 'fish',
    },
  },
];

export const gatePlace = { x: 480, y: 152 };
/** How wide the way through the gate is. */
export const gateWay = { left: 456, right: 504 };
export const wallY = 150;

export type PropKind =
  | 'well'
  | 'stall-red'
  | 'stall-blue'
  | 'stall-green'
  | 'anvil'
  | 'barrel'
  | 'crate'
  | 'bell'
  | 'hay'
  | 'fence'
  | 'bush0'
  | 'bush1'
  | 'bush2';

/** Half the width and the depth of what one cannot walk through. */
export const footprints: Readonly<Record<PropKind, readonly [number, number]>> = {
  well: [16, 14],
  'stall-red': [21, 14],
  'stall-blue': [21, 14],
  'stall-green': [21, 14],
  anvil: [9, 7],
  barrel: [7, 7],
  crate: [8, 7],
  bell: [12, 5],
  hay: [14, 10],
  fence: [9, 4],
  bush0: [10, 6],
  bush1: [10, 6],
  bush2: [10, 6],
};

const fences: Placed<PropKind>[] = [];
for (let x = 40; x < 190; x += 16) if (x < 136 || x > 160) fences.push({ x, y: 538, style: 'fence' });
for (let x = 776; x < 920; x += 16) if (x < 830 || x > 850) fences.push({ x, y: 546, style: 'fence' });

export const props: readonly Placed<PropKind>[] = [
  ...fences,
  { x: 480, y: 352, style: 'well' },
  { x: 402, y: 330, style: 'stall-red' },
  { x: 566, y: 366, style: 'stall-blue' },
  { x: 416, y: 418, style: 'stall-green' },
  { x: 292, y: 332, style: 'anvil' },
  { x: 178, y: 322, style: 'barrel' },
  { x: 192, y: 326, style: 'crate' },
  { x: 672, y: 326, style: 'barrel' },
  { x: 660, y: 322, style: 'barrel' },
  { x: 812, y: 324, style: 'crate' },
  { x: 368, y: 470, style: 'crate' },
  { x: 272, y: 470, style: 'barrel' },
  { x: 430, y: 208, style: 'bell' },
  { x: 520, y: 568, style: 'crate' },
  { x: 506, y: 574, style: 'barrel' },
  { x: 222, y: 560, style: 'hay' },
  { x: 252, y: 574, style: 'hay' },
  { x: 706, y: 470, style: 'bush1' },
  { x: 622, y: 466, style: 'bush2' },
  { x: 296, y: 242, style: 'bush0' },
  { x: 380, y: 240, style: 'bush1' },
  { x: 600, y: 234, style: 'bush2' },
  { x: 684, y: 234, style: 'bush0' },
  { x: 820, y: 322, style: 'bush1' },
  { x: 64, y: 300, style: 'bush2' },
  { x: 140, y: 302, style: 'bush0' },
  { x: 910, y: 304, style: 'bush0' },
  { x: 76, y: 478, style: 'bush1' },
  { x: 802, y: 494, style: 'bush2' },
  { x: 892, y: 496, style: 'bush0' },
  { x: 414, y: 564, style: 'bush1' },
];

export const lanterns: readonly { x: number; y: number }[] = [
  { x: 446, y: 186 },
  { x: 516, y: 250 },
  { x: 366, y: 352 },
  { x: 586, y: 344 },
  { x: 392, y: 396 },
  { x: 548, y: 430 },
  { x: 308, y: 352 },
  { x: 684, y: 352 },
  { x: 384, y: 486 },
  { x: 612, y: 486 },
  { x: 516, y: 548 },
  { x: 586, y: 580 },
];

export type TreeKind = 'oak' | 'leafy0' | 'leafy1' | 'leafy2' | 'autumn' | 'pine0' | 'pine1';

export const oak: Placed<TreeKind> = { x: 612, y: 306, style: 'oak' };

export const paths: GroundPlan['paths'] = [
  {
    points: [
      [480, -10],
      [480, 300],
    ],
    half: 13,
  },
  {
    points: [
      [480, 400],
      [512, 480],
      [560, 540],
      [560, 610],
    ],
    half: 11,
  },
  {
    points: [
      [480, 350],
      [300, 344],
      [180, 350],
      [110, 380],
      [-10, 392],
    ],
    half: 11,
  },
  {
    points: [
      [480, 350],
      [660, 346],
      [780, 352],
      [850, 384],
      [970, 388],
    ],
    half: 11,
  },
  {
    points: [
      [430, 400],
      [350, 486],
      [230, 510],
      [130, 500],
    ],
    half: 8,
  },
  {
    points: [
      [535, 405],
      [640, 490],
      [760, 514],
      [850, 508],
    ],
    half: 8,
  },
  {
    points: [
      [480, 246],
      [400, 252],
      [320, 250],
    ],
    half: 6,
  },
  {
    points: [
      [480, 246],
      [560, 246],
      [630, 242],
    ],
    half: 6,
  },
  {
    points: [
      [110, 380],
      [112, 300],
    ],
    half: 6,
  },
  {
    points: [
      [850, 384],
      [856, 304],
    ],
    half: 6,
  },
  {
    points: [
      [230, 510],
      [190, 560],
    ],
    half: 6,
  },
];

export const squares: GroundPlan['squares'] = [{ x: 484, y: 364, rx: 122, ry: 70 }];
export const fields: GroundPlan['fields'] = [
  { x: 34, y: 544, width: 130, height: 44 },
  { x: 774, y: 552, width: 72, height: 32 },
];

export function shore(x: number): number {
  return 612 + Math.sin(x / 90) * 7 + Math.sin(x / 37 + 1) * 3 + (noise(x / 14, 0, 21) - 0.5) * 5;
}

export const pierPlace = { x: 562, y: 648 };
export const ferryPlace = { x: 622, y: 664 };
