// Houses seen from the front and a little from above: a wall with door and windows, and the roof over it. A second picture of
// each holds what shines at night. Where they stand is in village/layout.ts.

import * as colours from './palette.ts';
import { type Colour, mix, Pixels, seeded } from './pixels.ts';

export interface HouseStyle {
  width: number;
  /** Height of the wall in front. */
  wall: number;
  /** Height of the roof as it is seen. */
  roof: number;
  walls: 'plaster' | 'stone' | 'wood';
  tiles: 'tile' | 'slate' | 'thatch' | 'moss' | 'plum';
  /** Middle of the door, from the left. */
  door: number;
  /** Left edges of the windows. */
  windows: readonly number[];
  /** A second row of windows above. */
  upper?: readonly number[];
  chimney?: number;
  sign?: 'anvil' | 'mug' | 'bread' | 'scales' | 'star' | 'fish';
  awning?: Colour;
  /** An open hall with a fire in it instead of a wall. */
  forge?: boolean;
  seed?: number;
}

export interface House {
  day: Pixels;
  night: Pixels;
  /** Where smoke rises, from the top left. */
  smoke?: { x: number; y: number };
}

const { tile, slate, thatch, moss, plum } = colours;
const roofs = { tile, slate, thatch, moss, plum };
const eaves = 4;
const above = 12;

/** Draws a house. Its picture stands with its lower edge on the ground. */
export function house(style: HouseStyle): House {
  const { width, wall, roof } = style;
  const day = new Pixels(width + 2 * eaves, above + roof + wall);
  const night = new Pixels(day.width, day.height);
  const random = seeded(style.seed ?? width * 31 + wall);
  const left = eaves;
  const top = above + roof;
  drawWall(day, style, left, top, random);
  for (const x of style.windows) drawWindow(day, night, left + x, top + wall - 20);
  for (const x of style.upper ?? []) drawWindow(day, night, left + x, top + 5);
  if (style.forge) drawHall(day, night, left, top, style);
  else drawDoor(day, night, left + style.door, top + wall);
  drawRoof(day, style, random);
  let smoke: House['smoke'];
  if (style.chimney !== undefined) {
    smoke = { x: left + style.chimney, y: 2 };
    drawChimney(day, smoke.x, above + Math.round(roof * 0.55));
  }
  if (style.awning !== undefined) drawAwning(day, left + style.door - 15, top + wall - 22, 30, style.awning);
  if (style.sign) drawSign(day, left + style.door + 11, top + wall - 24, style.sign);
  day.outline(colours.ink);
  return { day, night, smoke };
}

function drawWall(p: Pixels, style: HouseStyle, left: number, top: number, random: () => number): void {
  const { width, wall } = style;
  const ramp = { plaster: colours.plaster, stone: colours.stone, wood: colours.wood }[style.walls];
  p.box(left, top, width, wall, ramp[2]);
  if (style.walls === 'stone') {
    for (let y = 0; y < wall; y += 5) {
      let x = (y % 2) * 4 - Math.floor(random() * 4);
      while (x < width) {
        const long = 6 + Math.floor(random() * 5);
        const shade = ramp[1 + Math.floor(random() * 3)]!;
        for (let i = Math.max(0, x); i < Math.min(width, x + long - 1); i++)
          for (let j = 0; j < 4 && y + j < wall; j++) p.set(left + i, top + y + j, mix(ramp[2], shade, 0.6));
        for (let j = 0; j < 5 && y + j < wall; j++)
          if (x + long - 1 >= 0 && x + long - 1 < width) p.set(left + x + long - 1, top + y + j, ramp[1]);
        x += long;
      }
      p.box(left, Math.min(top + y + 4, top + wall - 1), width, 1, ramp[1]);
    }
  } else if (style.walls === 'wood') {
    for (let y = 0; y < wall; y += 4) {
      p.box(left, top + y + 3, width, 1, ramp[1]);
      p.box(left, top + y, width, 1, mix(ramp[2], ramp[3], 0.4));
    }
  } else {
    for (let i = 0; i < width * 2; i++)
      p.set(
        left + Math.floor(random() * width),
        top + Math.floor(random() * wall),
        mix(ramp[2], ramp[1], 0.5),
      );
    const beam = colours.timber;
    const post = (x: number) => {
      p.box(left + x, top, 3, wall, beam[2]);
      p.box(left + x + 2, top, 1, wall, beam[1]);
    };
    const bays = Math.max(2, Math.round(width / 26));
    for (let i = 0; i <= bays; i++) post(Math.round(((width - 3) * i) / bays));
    if (style.upper) {
      p.box(left, top + 18, width, 3, beam[2]);
      p.box(left, top + 20, width, 1, beam[1]);
    }
    p.line(left + 3, top + wall - 6, left + 12, top + 3, beam[1]);
    p.line(left + width - 4, top + wall - 6, left + width - 13, top + 3, beam[1]);
  }
  p.box(left, top + wall - 5, width, 5, colours.stone[1]);
  for (let x = 0; x < width; x += 7) {
    p.box(left + x, top + wall - 5, 6, 2, colours.stone[2]);
    p.box(left + x, top + wall - 5, 5, 1, colours.stone[3]);
  }
  // The eaves throw a shadow on the wall.
  for (let x = 0; x < width; x++)
    for (let y = 0; y < 4; y++) p.blend(left + x, top + y, colours.shadow, 0.5 - y * 0.1);
}

function drawWindow(day: Pixels, night: Pixels, x: number, y: number): void {
  const { day: pane, shine, night: lit } = colours.glass;
  day.box(x - 1, y - 1, 11, 11, colours.timber[1]);
  day.box(x, y, 9, 9, pane);
  day.line(x + 1, y + 5, x + 4, y + 2, shine);
  day.line(x + 6, y + 7, x + 7, y + 6, shine);
  day.box(x + 4, y, 1, 9, colours.timber[2]);
  day.box(x, y + 4, 9, 1, colours.timber[2]);
  day.box(x - 2, y + 10, 13, 1, colours.wood[3]);
  for (let i = 0; i < 11; i += 2) {
    day.set(x - 1 + i, y + 11, colours.leaf[2]);
    day.set(x + i, y + 10, colours.flowers[(x + i) % 3]!);
  }
  for (const [i, j] of [
    [0, 0],
    [5, 0],
    [0, 5],
    [5, 5],
  ] as const)
    night.box(x + i, y + j, 4, 4, mix(lit, colours.ember[2], (i + j) / 30));
}

function drawDoor(day: Pixels, night: Pixels, middle: number, ground: number): void {
  const x = middle - 6;
  const y = ground - 18;
  day.box(x - 1, y, 14, 18, colours.timber[0]);
  day.box(x, y + 1, 12, 17, colours.wood[2]);
  day.box(x + 1, y - 1, 10, 1, colours.timber[0]);
  for (let i = 0; i < 12; i += 4) day.box(x + i + 3, y + 1, 1, 17, colours.wood[1]);
  day.box(x, y + 5, 12, 1, colours.iron[1]);
  day.box(x, y + 13, 12, 1, colours.iron[1]);
  day.box(x + 9, y + 10, 2, 2, colours.gold[2]);
  day.box(x - 2, ground - 2, 16, 2, colours.stone[3]);
  // A lantern beside the door.
  day.box(x + 14, y + 3, 3, 4, colours.iron[1]);
  day.set(x + 15, y + 5, colours.gold[2]);
  night.box(x + 14, y + 4, 3, 3, colours.glass.night);
}

function drawHall(day: Pixels, night: Pixels, left: number, top: number, { width, wall }: HouseStyle): void {
  const x = left + 8;
  const wide = width - 16;
  day.box(x, top + 4, wide, wall - 4, 0x2f2426);
  for (let i = 0; i < wide; i++) for (let j = 0; j < 5; j++) day.set(x + i, top + wall - 1 - j, 0x4a3a35);
  // The hearth, its fire, and tools on the wall.
  const hx = x + 6;
  day.box(hx, top + 12, 22, wall - 14, colours.stone[1]);
  day.box(hx + 1, top + 12, 20, 2, colours.stone[3]);
  day.box(hx + 3, top + 18, 16, wall - 22, 0x2a1a18);
  for (const p of [day, night]) {
    p.ellipse(hx + 11, top + wall - 7, 7, 5, colours.ember[1]);
    p.ellipse(hx + 11, top + wall - 6, 5, 4, colours.ember[2]);
    p.ellipse(hx + 11, top + wall - 5, 3, 2, colours.ember[3]);
  }
  const tx = x + wide - 22;
  day.box(tx, top + 8, 20, 1, colours.wood[2]);
  for (let i = 0; i < 4; i++) {
    day.box(tx + 2 + i * 5, top + 9, 1, 8, colours.iron[3]);
    day.box(tx + 1 + i * 5, top + (i % 2 ? 16 : 9), 3, 2, colours.iron[2]);
  }
  for (const post of [x - 3, x + wide]) {
    day.box(post, top, 4, wall, colours.timber[2]);
    day.box(post + 3, top, 1, wall, colours.timber[0]);
  }
}

function drawRoof(p: Pixels, style: HouseStyle, random: () => number): void {
  const ramp = roofs[style.tiles];
  const width = style.width + 2 * eaves;
  const { roof } = style;
  const straw = style.tiles === 'thatch';
  for (let y = 0; y < roof; y++) {
    // Hipped: narrower towards the ridge.
    const inset = Math.round(((roof - 1 - y) / roof) * 7);
    const row = Math.floor(y / 4);
    for (let x = inset; x < width - inset; x++) {
      const at = (x + (row % 2) * 3) % 6;
      let colour: Colour = mix(ramp[2], ramp[3], 0.35 - (y / roof) * 0.5 > 0 ? 0.35 - (y / roof) * 0.5 : 0);
      if (straw) colour = random() < 0.25 ? ramp[1] : random() < 0.3 ? ramp[3] : ramp[2];
      else if (y % 4 === 3) colour = ramp[1];
      else if (at === 0) colour = mix(ramp[1], ramp[2], 0.4);
      else if (y % 4 === 0 && at < 4) colour = mix(colour, ramp[3], 0.5);
      if (!straw && random() < 0.02) colour = mix(colour, ramp[0], 0.35);
      if (straw && y % 9 === 8) colour = ramp[0];
      if (x < inset + 2) colour = mix(colour, ramp[3], 0.5);
      if (x >= width - inset - 3) colour = mix(colour, ramp[0], 0.45);
      p.set(x, above + y, colour);
    }
  }
  p.box(7, above, width - 14, 2, ramp[3]);
  p.box(7, above + 2, width - 14, 1, ramp[1]);
  p.box(0, above + roof - 1, width, 2, ramp[0]);
}

function drawChimney(p: Pixels, x: number, bottom: number): void {
  p.box(x - 4, 5, 9, bottom - 5, colours.stone[2]);
  p.box(x + 2, 5, 3, bottom - 5, colours.stone[1]);
  for (let y = 8; y < bottom; y += 4) p.box(x - 4, y, 9, 1, colours.stone[1]);
  p.box(x - 5, 3, 11, 3, colours.stone[3]);
  p.box(x - 3, 3, 7, 1, colours.ink);
}

function drawAwning(p: Pixels, x: number, y: number, width: number, colour: Colour): void {
  for (let i = 0; i < width; i++)
    for (let j = 0; j < 8; j++) {
      const stripe = Math.floor(i / 5) % 2 === 0 ? colour : 0xf1e8d6;
      p.set(x + i, y + j, j > 5 ? mix(stripe, colours.shadow, 0.25) : stripe);
    }
  for (let i = 0; i < width; i++) if (i % 5 !== 2) p.clear(x + i, y + 7);
}

function drawSign(p: Pixels, x: number, y: number, kind: NonNullable<HouseStyle['sign']>): void {
  p.box(x, y, 14, 1, colours.iron[1]);
  p.box(x + 2, y + 1, 12, 11, colours.wood[0]);
  p.box(x + 3, y + 2, 10, 9, colours.wood[3]);
  const i = colours.iron[0];
  const g = colours.gold[1];
  const w = 0xf6f1e6;
  const pictures = {
    anvil: ['........', 'iiiiii..', '.iiiiiii', '...ii...', '..iiii..', '.iiiiii.'],
    mug: ['.wwww...', 'gggggg..', 'ggggg.g.', 'ggggg.g.', 'gggggg..', 'ggggg...'],
    bread: ['........', '.ggggg..', 'gwgwgwg.', 'ggggggg.', '.ggggg..', '........'],
    scales: ['...i....', '.iiiii..', '.i.i.i..', 'iiiiiii.', '...i....', '..iii...'],
    star: ['...g....', '..ggg...', 'ggggggg.', '.ggggg..', '.gg.gg..', '........'],
    fish: ['........', '.iii..i.', 'iwiiiii.', 'iiiiiii.', '.iii..i.', '........'],
  };
  p.rows(x + 4, y + 3, pictures[kind], { i, g, w });
}

/** The gate: two towers of stone, an arch of beams between them, and the wall that goes on to both sides. */
export function gate(): House {
  const day = new Pixels(112, 84);
  const night = new Pixels(112, 84);
  const random = seeded(7);
  for (const x of [2, 80]) {
    drawWall(day, { ...gateWall, width: 30 }, x, 22, random);
    day.box(x - 2, 16, 34, 8, colours.stone[2]);
    day.box(x - 2, 16, 34, 2, colours.stone[3]);
    for (let i = 0; i < 34; i += 9) day.box(x - 2 + i, 10, 6, 7, colours.stone[2]);
    day.box(x + 11, 36, 8, 12, colours.ink);
    day.box(x + 12, 36, 6, 1, colours.stone[0]);
    night.box(x + 12, 40, 6, 8, colours.glass.night);
  }
  // Beams, and a banner with an oak leaf.
  day.box(30, 22, 52, 8, colours.timber[2]);
  day.box(30, 22, 52, 2, colours.timber[3]);
  day.box(30, 29, 52, 1, colours.timber[0]);
  for (let x = 34; x < 80; x += 9) day.box(x, 14, 4, 9, colours.timber[1]);
  day.box(48, 28, 16, 18, colours.tile[1]);
  day.box(48, 28, 2, 18, colours.tile[2]);
  for (let i = 0; i < 8; i++) day.box(48 + i, 46 + Math.min(i, 4), 16 - 2 * i, 1, colours.tile[1]);
  day.rows(
    52,
    32,
    ['...g....', '..ggg...', '.ggggg..', '..ggg...', '.ggggg..', 'ggggggg.', '...g....', '...g....'],
    { g: colours.gold[2] },
  );
  day.outline(colours.ink);
  return { day, night };
}

const gateWall: HouseStyle = {
  width: 30,
  wall: 62,
  roof: 0,
  walls: 'stone',
  tiles: 'slate',
  door: 0,
  windows: [],
};

/** A piece of the palisade, 16 pixels wide. */
export function palisade(): Pixels {
  const p = new Pixels(18, 36);
  for (let i = 0; i < 3; i++) {
    const x = 1 + i * 5 + (i > 0 ? 1 : 0);
    const tall = i % 2 ? 3 : 5;
    p.box(x, tall, 5, 32 - tall, colours.wood[2]);
    p.box(x, tall, 1, 32 - tall, colours.wood[3]);
    p.box(x + 4, tall, 1, 32 - tall, colours.wood[1]);
    p.box(x + 1, tall - 1, 3, 1, colours.wood[3]);
    p.set(x + 2, tall - 2, colours.wood[3]);
  }
  p.box(0, 14, 18, 3, colours.timber[2]);
  p.box(0, 24, 18, 3, colours.timber[1]);
  return p.outline(colours.ink);
}
