// The people: a sheet of small figures for each look, four directions, standing and walking, and a few gestures. What a
// look is follows from the character's trade or, for those that nobody dressed, from the name.

import * as colours from './palette.ts';
import { type Colour, hashOf, mix, Pixels } from './pixels.ts';

export type Hat = 'none' | 'helm' | 'kerchief' | 'straw' | 'hood' | 'cap' | 'baker';

export interface Look {
  skin: Colour;
  hair: Colour;
  hairStyle: 'short' | 'long' | 'bun' | 'bald';
  shirt: Colour;
  legs: Colour;
  skirt?: boolean;
  apron?: Colour;
  beard?: boolean;
  hat?: Hat;
  hatColour?: Colour;
  cloak?: Colour;
}

const skins = [0xf0c49c, 0xe2ab7e, 0xc98d5f, 0x9a6540, 0x75492e];
const hairs = [0x3b2a24, 0x6b4024, 0xa2622c, 0xd8ab55, 0x8d8a8a, 0x1f1b22];
const cloths = [0x7d4b4b, 0x4b6a7d, 0x6f7d4b, 0x7a5f93, 0xa97b3f, 0x4f7f6d, 0x8a4a63, 0x5a5f80];

export const frameWidth = 18;
export const frameHeight = 26;
export const directions = ['down', 'up', 'left', 'right'] as const;
export type Direction = (typeof directions)[number];
/** Columns of the sheet: standing, two steps, and for `down` arms up and a bow. */
export const poses = ['stand', 'stepA', 'stepB', 'cheer', 'bow'] as const;
export type Pose = (typeof poses)[number];

/** A look that is always the same for the same name. */
export function lookOf(name: string): Look {
  const hash = hashOf(name);
  const pick = <T>(from: readonly T[], shift: number): T => from[(hash >>> shift) % from.length]!;
  return {
    skin: pick(skins, 3),
    hair: pick(hairs, 7),
    hairStyle: pick(['short', 'long', 'bun', 'short'] as const, 11),
    shirt: pick(cloths, 14),
    legs: mix(pick(cloths, 19), 0x33272b, 0.45),
    skirt: (hash & 1) === 1,
    beard: (hash & 6) === 2,
    hat: pick(['none', 'cap', 'none', 'straw', 'kerchief'] as const, 23),
    hatColour: pick(cloths, 25),
  };
}

/** All frames of a look: a row a direction, a column a pose. */
export function personSheet(look: Look): Pixels {
  const sheet = new Pixels(frameWidth * poses.length, frameHeight * directions.length);
  directions.forEach((direction, row) => {
    poses.forEach((pose, column) => {
      const side = direction === 'left' || direction === 'right';
      const figure = new Pixels(frameWidth, frameHeight);
      if (side) drawSide(figure, look, pose);
      else drawFront(figure, look, pose, direction === 'up');
      figure.outline(colours.ink);
      sheet.stamp(figure, column * frameWidth, row * frameHeight, { mirror: direction === 'right' });
    });
  });
  return sheet;
}

function drawFront(p: Pixels, look: Look, pose: Pose, back: boolean): void {
  const dark = (colour: Colour) => mix(colour, colours.shadow, 0.3);
  const light = (colour: Colour) => mix(colour, 0xfff2d0, 0.22);
  const stepping = pose === 'stepA' || pose === 'stepB';
  const up = stepping ? 1 : 0;
  const bowed = pose === 'bow' ? 2 : 0;
  const top = 3 - up + bowed;
  const body = 12 - up + Math.min(bowed, 1);
  // Legs, and boots.
  const [left, right] = pose === 'stepA' ? [3, 5] : pose === 'stepB' ? [5, 3] : [5, 5];
  p.box(6, 19, 3, left, look.legs);
  p.box(9, 19, 3, right, dark(look.legs));
  p.box(6, 18 + left, 3, 1, colours.timber[0]);
  p.box(9, 18 + right, 3, 1, colours.timber[0]);
  if (look.cloak) p.box(4, body, 10, 9, dark(look.cloak));
  // Arms.
  const sleeve = dark(look.shirt);
  if (pose === 'cheer') {
    p.box(3, body - 5, 2, 6, sleeve);
    p.box(13, body - 5, 2, 6, sleeve);
    p.box(3, body - 6, 2, 2, look.skin);
    p.box(13, body - 6, 2, 2, look.skin);
  } else {
    const swing = pose === 'stepA' ? 1 : pose === 'stepB' ? -1 : 0;
    p.box(3, body + Math.max(0, -swing), 2, 5, sleeve);
    p.box(13, body + Math.max(0, swing), 2, 5, sleeve);
    p.box(3, body + 5 - Math.max(0, swing), 2, 1, look.skin);
    p.box(13, body + 5 - Math.max(0, -swing), 2, 1, look.skin);
  }
  // Trunk, or a dress down to the ankles.
  p.box(5, body, 8, 7, look.shirt);
  p.box(5, body, 1, 7, light(look.shirt));
  p.box(12, body, 1, 7, dark(look.shirt));
  if (look.skirt) {
    p.box(5, body + 6, 8, 4, look.legs);
    p.box(4, body + 8, 10, 3, look.legs);
    p.box(12, body + 6, 1, 5, dark(look.legs));
  } else p.box(5, body + 6, 8, 1, colours.timber[1]);
  if (look.apron && !back) {
    p.box(6, body + 2, 6, look.skirt ? 8 : 7, look.apron);
    p.box(6, body + 2, 1, 7, light(look.apron));
  }
  if (look.cloak && back) p.box(4, body, 10, 10, look.cloak);
  // Head.
  p.box(5, top, 8, 8, look.skin);
  p.box(12, top + 1, 1, 7, dark(look.skin));
  drawHair(p, look, top, back);
  if (!back) {
    p.box(7, top + 4, 1, 2, colours.ink);
    p.box(10, top + 4, 1, 2, colours.ink);
    p.set(6, top + 6, mix(look.skin, 0xd8605a, 0.4));
    p.set(11, top + 6, mix(look.skin, 0xd8605a, 0.4));
    if (look.beard) {
      p.box(5, top + 6, 8, 3, look.hair);
      p.box(8, top + 6, 2, 1, dark(look.skin));
    }
  }
  drawHat(p, look, top, back ? 'back' : 'front');
}

function drawHair(p: Pixels, look: Look, top: number, back: boolean): void {
  if (look.hairStyle === 'bald') return;
  const lit = mix(look.hair, 0xfff2d0, 0.25);
  if (back) p.box(5, top - 1, 8, look.hairStyle === 'long' ? 11 : 8, look.hair);
  else {
    p.box(5, top - 1, 8, 3, look.hair);
    p.set(5, top + 2, look.hair);
    p.set(12, top + 2, look.hair);
    if (look.hairStyle === 'long') {
      p.box(4, top + 1, 1, 9, look.hair);
      p.box(13, top + 1, 1, 9, look.hair);
    } else {
      p.box(5, top + 2, 1, 2, look.hair);
      p.box(12, top + 2, 1, 2, look.hair);
    }
  }
  p.box(6, top - 1, 4, 1, lit);
  if (look.hairStyle === 'bun') p.box(7, top - 3, 4, 2, look.hair);
}

function drawSide(p: Pixels, look: Look, pose: Pose): void {
  const dark = (colour: Colour) => mix(colour, colours.shadow, 0.3);
  const light = (colour: Colour) => mix(colour, 0xfff2d0, 0.22);
  const stepping = pose === 'stepA' || pose === 'stepB';
  const up = stepping ? 1 : 0;
  const top = 3 - up + (pose === 'bow' ? 1 : 0);
  const body = 12 - up;
  const boot = colours.timber[0];
  if (stepping) {
    const [front, rear] = pose === 'stepA' ? [look.legs, dark(look.legs)] : [dark(look.legs), look.legs];
    p.box(5, 19, 3, 4, front);
    p.box(10, 19, 3, 3, rear);
    p.box(4, 23, 4, 1, boot);
    p.box(11, 22, 3, 1, boot);
  } else {
    p.box(7, 19, 4, 4, look.legs);
    p.box(6, 23, 5, 1, boot);
  }
  p.box(6, body, 7, 7, look.shirt);
  p.box(6, body, 1, 7, light(look.shirt));
  p.box(11, body, 2, 7, dark(look.shirt));
  if (look.skirt) {
    p.box(6, body + 6, 7, 3, look.legs);
    p.box(5, body + 8, 9, 3, look.legs);
  } else p.box(6, body + 6, 7, 1, colours.timber[1]);
  if (look.apron) p.box(5, body + 2, 3, look.skirt ? 8 : 7, look.apron);
  if (look.cloak) p.box(10, body, 4, 10, look.cloak);
  if (pose === 'cheer') {
    p.box(8, body - 5, 2, 6, dark(look.shirt));
    p.box(8, body - 6, 2, 2, look.skin);
  } else {
    const reach = pose === 'stepA' ? -2 : pose === 'stepB' ? 1 : 0;
    p.box(8 + Math.trunc(reach / 2), body + 1, 2, 3, dark(look.shirt));
    p.box(8 + reach, body + 3, 2, 2, dark(look.shirt));
    p.box(8 + reach, body + 5, 2, 1, look.skin);
  }
  p.box(5, top, 8, 8, look.skin);
  p.set(4, top + 5, look.skin);
  if (look.hairStyle !== 'bald') {
    p.box(5, top - 1, 8, 3, look.hair);
    p.box(9, top + 1, 4, look.hairStyle === 'long' ? 10 : 6, look.hair);
    p.box(6, top - 1, 4, 1, mix(look.hair, 0xfff2d0, 0.25));
    if (look.hairStyle === 'bun') p.box(11, top - 3, 4, 3, look.hair);
  }
  p.box(6, top + 4, 1, 2, colours.ink);
  p.set(7, top + 6, mix(look.skin, 0xd8605a, 0.4));
  if (look.beard) p.box(5, top + 6, 5, 3, look.hair);
  drawHat(p, look, top, 'side');
}

function drawHat(p: Pixels, look: Look, top: number, view: 'front' | 'back' | 'side'): void {
  const colour = look.hatColour ?? colours.tile[2];
  const light = mix(colour, 0xfff2d0, 0.25);
  const dark = mix(colour, colours.shadow, 0.3);
  switch (look.hat) {
    case 'helm':
      p.box(5, top - 2, 8, 5, colours.iron[2]);
      p.box(6, top - 2, 3, 1, colours.iron[3]);
      p.box(4, top + 2, 10, 1, colours.iron[1]);
      p.box(8, top - 3, 2, 1, colours.tile[2]);
      if (view === 'front') p.box(8, top + 3, 2, 3, colours.iron[1]);
      break;
    case 'kerchief':
      p.box(5, top - 1, 8, 3, colour);
      p.box(6, top - 1, 4, 1, light);
      if (view === 'back') p.box(6, top + 2, 6, 4, dark);
      if (view === 'side') p.box(10, top + 1, 4, 4, dark);
      break;
    case 'straw':
      p.box(2, top + 1, 14, 2, colours.thatch[2]);
      p.box(2, top + 2, 14, 1, colours.thatch[1]);
      p.box(5, top - 2, 8, 3, colours.thatch[3]);
      p.box(5, top, 8, 1, colours.tile[1]);
      break;
    case 'hood':
      p.box(4, top - 2, 10, 4, colour);
      p.box(4, top, 2, 8, colour);
      p.box(12, top, 2, 8, dark);
      if (view === 'back') p.box(4, top - 1, 10, 9, colour);
      if (view === 'side') p.box(9, top, 5, 8, dark);
      break;
    case 'cap':
      p.box(5, top - 2, 8, 3, colour);
      p.box(6, top - 2, 3, 1, light);
      if (view !== 'back') p.box(view === 'side' ? 3 : 5, top + 1, view === 'side' ? 5 : 8, 1, dark);
      break;
    case 'baker':
      p.box(5, top - 1, 8, 2, 0xe9e2d4);
      p.box(4, top - 4, 10, 3, 0xf6f1e6);
      p.box(5, top - 5, 8, 1, 0xf6f1e6);
      p.box(12, top - 4, 2, 3, 0xd3cab8);
      break;
  }
}
