// Draws all art once and hands it to Phaser as textures. The drawing itself is in art/; here are only the names.

import type * as Phaser from 'phaser';
import { gate, house, palisade } from '../art/buildings.ts';
import { glint, glow, personShadow, puff, slash } from '../art/effects.ts';
import { balloon, icons, thing } from '../art/icons.ts';
import { bush, ground, pineTree, tree } from '../art/nature.ts';
import * as colours from '../art/palette.ts';
import { directions, frameHeight, frameWidth, type Look, personSheet, poses } from '../art/people.ts';
import type { Pixels } from '../art/pixels.ts';
import * as props from '../art/props.ts';
import * as layout from './layout.ts';
import { trees } from './trees.ts';

type Textures = Phaser.Textures.TextureManager;

/** Everything but the people. Returns where smoke rises from each house, or undefined. */
export function addTextures(textures: Textures): ({ x: number; y: number } | undefined)[] {
  const add = (key: string, pixels: Pixels) => textures.addCanvas(key, pixels.canvas());
  add('ground', ground(groundPlan()));
  const smoke = layout.houses.map(({ style }, i) => {
    const built = house(style);
    add(`house${i}`, built.day);
    add(`house${i}-night`, built.night);
    return built.smoke;
  });
  const built = gate();
  add('gate', built.day);
  add('gate-night', built.night);
  add('palisade', palisade());
  add('oak', tree(77, colours.leaf, true));
  for (let i = 0; i < 3; i++) {
    add(`leafy${i}`, tree(i + 1));
    add(`bush${i}`, bush(i + 1));
  }
  add('autumn', tree(5, colours.oak));
  for (let i = 0; i < 2; i++) add(`pine${i}`, pineTree(i + 1));
  add('well', props.well());
  add('stall-red', props.stall(0xb4483d, 'fruit'));
  add('stall-blue', props.stall(0x4b6f96, 'cloth'));
  add('stall-green', props.stall(0x5c8a55, 'bread'));
  add('anvil', props.anvil());
  add('barrel', props.barrel());
  add('crate', props.crate());
  add('bell', props.bellPost());
  add('hay', props.haystack());
  add('fence', props.fence());
  add('pier', props.pier());
  add('ferry', props.ferry());
  const light = props.lantern();
  add('lantern', light.day);
  add('lantern-night', light.night);
  for (const [key, colour] of [
    ['hen0', 0xf1ead8],
    ['hen1', 0xa9683c],
  ] as const) {
    const texture = add(key, props.hen(colour))!;
    texture.add('up', 0, 0, 0, 14, 13);
    texture.add('peck', 0, 14, 0, 14, 13);
  }
  for (const icon of icons) {
    add(`balloon-${icon}`, balloon(icon));
    add(`thing-${icon}`, thing(icon));
  }
  add('glow', glow(44, 0xffb45a));
  add('glow-small', glow(20, 0xffcf80));
  add('puff', puff());
  add('glint', glint());
  add('slash', slash());
  add('shadow', personShadow());
  return smoke;
}

/** The sheet of one person, with a frame for each direction and pose ("left-stepA"). */
export function addPerson(textures: Textures, key: string, look: Look): void {
  if (textures.exists(key)) return;
  const texture = textures.addCanvas(key, personSheet(look).canvas())!;
  directions.forEach((direction, row) => {
    poses.forEach((pose, column) => {
      texture.add(`${direction}-${pose}`, 0, column * frameWidth, row * frameHeight, frameWidth, frameHeight);
    });
  });
}

function groundPlan() {
  const { width, height, paths, squares, fields, shore } = layout;
  // Shadows fall to the lower right.
  const shadows = [
    ...trees.map(({ x, y, style }) =>
      style === 'oak' ? { x: x + 5, y: y - 1, rx: 30, ry: 11 } : { x: x + 2, y, rx: 14, ry: 6 },
    ),
    ...layout.houses.map(({ x, y, style }) => ({ x: x + 5, y: y - 4, rx: style.width / 2 + 6, ry: 9 })),
    ...layout.props
      .filter(({ style }) => style !== 'fence')
      .map(({ x, y, style }) => ({ x: x + 2, y: y - 1, rx: layout.footprints[style][0] + 2, ry: 5 })),
    ...layout.lanterns.map(({ x, y }) => ({ x: x + 4, y: y - 1, rx: 6, ry: 2 })),
    { x: 440, y: 152, rx: 30, ry: 8 },
    { x: 528, y: 152, rx: 30, ry: 8 },
  ];
  return { width, height, paths, squares, fields, shore, shadows };
}
