// The small things of the village: well, stalls, lanterns, barrels, the ferry, animals. Each is one picture that stands with
// its lower edge on the ground.

import * as colours from './palette.ts';
import { type Colour, mix, Pixels, seeded } from './pixels.ts';

export function well(): Pixels {
  const p = new Pixels(36, 44);
  for (const x of [5, 28]) {
    p.box(x, 12, 3, 22, colours.timber[2]);
    p.box(x + 2, 12, 1, 22, colours.timber[0]);
  }
  for (let y = 0; y < 12; y++) {
    const inset = Math.round((11 - y) * 0.5);
    for (let x = 1 + inset; x < 35 - inset; x++)
      p.set(
        x,
        2 + y,
        y % 4 === 3 ? colours.tile[1] : (x + (y >> 2) * 3) % 6 ? colours.tile[2] : colours.tile[1],
      );
  }
  p.box(7, 2, 22, 1, colours.tile[3]);
  p.box(7, 17, 22, 2, colours.wood[1]);
  p.box(17, 18, 1, 8, colours.thatch[2]);
  p.box(15, 24, 6, 5, colours.wood[2]);
  p.box(15, 26, 6, 1, colours.iron[1]);
  p.ellipse(17.5, 32, 14, 5, colours.stone[3]);
  p.ellipse(17.5, 32, 11, 3.4, 0x24364a);
  for (let x = 3; x < 33; x++)
    for (let y = 33; y < 43; y++) {
      if (p.get(x, y) !== undefined && y < 36) continue;
      if (((x - 17.5) / 14.5) ** 2 + ((y - 36) / 7) ** 2 > 1 && y > 36) continue;
      const brick = (x + (Math.floor(y / 3) % 2) * 3) % 7 === 0 || y % 3 === 2;
      p.set(x, y, brick ? colours.stone[1] : x < 12 ? colours.stone[3] : colours.stone[2]);
    }
  return p.outline(colours.ink);
}

export function stall(colour: Colour, wares: 'fruit' | 'cloth' | 'bread' | 'fish'): Pixels {
  const p = new Pixels(46, 42);
  for (const x of [3, 40]) p.box(x, 10, 3, 31, colours.timber[2]);
  p.box(3, 26, 40, 10, colours.wood[2]);
  p.box(3, 26, 40, 2, colours.wood[3]);
  for (let x = 10; x < 40; x += 8) p.box(x, 28, 1, 8, colours.wood[1]);
  const heaps: Record<typeof wares, readonly Colour[]> = {
    fruit: [0xc9463d, 0xe0a43a, 0x7fa84a],
    cloth: [0x7a5f93, 0x4b6a7d, 0xb4553b],
    bread: [0xc8893f, 0xdba75c, 0xb0722f],
    fish: [0x8aa3b5, 0xa8bdc8, 0x70899c],
  };
  heaps[wares].forEach((heap, i) => {
    const x = 6 + i * 12;
    if (wares === 'cloth') {
      p.box(x, 21, 10, 6, heap);
      p.box(x, 21, 10, 1, mix(heap, 0xffffff, 0.3));
      p.box(x, 24, 10, 1, mix(heap, colours.shadow, 0.3));
    } else {
      p.box(x, 24, 10, 3, colours.wood[1]);
      for (let j = 0; j < 6; j++) {
        const cx = x + 2 + (j % 3) * 3;
        const cy = j < 3 ? 23 : 21;
        p.ellipse(cx, cy, 1.6, 1.6, heap);
        p.set(cx - 1, cy - 1, mix(heap, 0xffffff, 0.4));
      }
    }
  });
  for (let x = 0; x < 46; x++)
    for (let y = 0; y < 14; y++) {
      const stripe = Math.floor(x / 6) % 2 === 0 ? colour : 0xf1e8d6;
      if (y === 13 && x % 6 !== 2 && x % 6 !== 3) continue;
      p.set(
        x,
        1 + y,
        y > 9 ? mix(stripe, colours.shadow, 0.2) : y < 2 ? mix(stripe, 0xffffff, 0.25) : stripe,
      );
    }
  return p.outline(colours.ink);
}

/** A lantern on a post; the second picture is what shines. */
export function lantern(): { day: Pixels; night: Pixels } {
  const day = new Pixels(11, 32);
  const night = new Pixels(11, 32);
  day.box(4, 11, 3, 20, colours.timber[2]);
  day.box(6, 11, 1, 20, colours.timber[0]);
  day.box(3, 29, 5, 2, colours.stone[1]);
  day.box(2, 3, 7, 8, colours.iron[1]);
  day.box(3, 4, 5, 6, 0xd9b46a);
  day.box(5, 4, 1, 6, colours.iron[1]);
  day.box(3, 1, 5, 2, colours.iron[2]);
  night.box(3, 4, 2, 6, colours.ember[3]);
  night.box(6, 4, 2, 6, colours.ember[3]);
  return { day: day.outline(colours.ink), night };
}

export function anvil(): Pixels {
  const p = new Pixels(22, 18);
  p.box(6, 10, 10, 7, colours.wood[1]);
  p.box(6, 10, 3, 7, colours.wood[2]);
  p.box(4, 3, 15, 4, colours.iron[2]);
  p.box(1, 4, 4, 2, colours.iron[2]);
  p.box(4, 3, 15, 1, colours.iron[3]);
  p.box(8, 7, 7, 3, colours.iron[1]);
  return p.outline(colours.ink);
}

export function barrel(): Pixels {
  const p = new Pixels(15, 19);
  p.box(2, 2, 11, 15, colours.wood[2]);
  p.box(1, 5, 13, 9, colours.wood[2]);
  p.box(3, 2, 2, 15, colours.wood[3]);
  p.box(11, 4, 2, 11, colours.wood[1]);
  p.box(1, 5, 13, 1, colours.iron[1]);
  p.box(1, 13, 13, 1, colours.iron[1]);
  p.ellipse(7, 3, 5, 2, colours.wood[1]);
  return p.outline(colours.ink);
}

export function crate(): Pixels {
  const p = new Pixels(18, 17);
  p.box(1, 1, 16, 15, colours.wood[2]);
  p.box(1, 1, 16, 4, colours.wood[3]);
  p.box(1, 5, 16, 1, colours.wood[0]);
  p.line(2, 7, 15, 14, colours.wood[1]);
  p.line(2, 14, 15, 7, colours.wood[1]);
  p.box(1, 6, 2, 10, colours.wood[1]);
  p.box(15, 6, 2, 10, colours.wood[1]);
  return p.outline(colours.ink);
}

export function bellPost(): Pixels {
  const p = new Pixels(30, 46);
  for (const x of [3, 24]) {
    p.box(x, 8, 3, 37, colours.timber[2]);
    p.box(x + 2, 8, 1, 37, colours.timber[0]);
  }
  p.box(1, 6, 28, 4, colours.timber[2]);
  p.box(1, 6, 28, 1, colours.timber[3]);
  for (let y = 0; y < 5; y++) p.box(4 - y + 4, 1 + y, 14 + 2 * y, 1, colours.slate[2]);
  p.box(11, 11, 8, 8, colours.gold[2]);
  p.box(12, 10, 6, 1, colours.gold[1]);
  p.box(10, 18, 10, 3, colours.gold[1]);
  p.box(12, 11, 2, 7, colours.gold[3]);
  p.box(14, 21, 2, 2, colours.iron[0]);
  p.box(14, 23, 1, 9, colours.thatch[2]);
  return p.outline(colours.ink);
}

export function haystack(): Pixels {
  const p = new Pixels(30, 26);
  const random = seeded(5);
  for (let y = 0; y < 24; y++)
    for (let x = 0; x < 28; x++)
      if (((x - 14) / 13.5) ** 2 + ((y - 22) / 21) ** 2 <= 1)
        p.set(x + 1, y + 1, colours.thatch[random() < 0.3 ? 1 : random() < 0.4 ? 3 : 2]!);
  return p.outline(colours.thatch[0]);
}

export function fence(): Pixels {
  const p = new Pixels(18, 17);
  p.box(1, 5, 16, 2, colours.wood[2]);
  p.box(1, 10, 16, 2, colours.wood[2]);
  for (const x of [2, 12]) {
    p.box(x, 2, 3, 14, colours.wood[3]);
    p.box(x + 2, 2, 1, 14, colours.wood[1]);
  }
  return p.outline(colours.ink);
}

/** The landing stage, from the shore out into the water. */
export function pier(): Pixels {
  const p = new Pixels(40, 66);
  for (let y = 0; y < 60; y++) {
    const plank = y % 6;
    for (let x = 2; x < 38; x++)
      p.set(x, y, plank === 5 ? colours.wood[0] : plank === 0 ? colours.wood[3] : colours.wood[2]);
    if (plank < 5) {
      p.set(5, y, colours.wood[1]);
      p.set(34, y, colours.wood[1]);
    }
  }
  for (const y of [8, 32, 52])
    for (const x of [0, 36]) {
      p.box(x, y - 4, 4, 14, colours.timber[2]);
      p.box(x, y - 5, 4, 2, colours.timber[3]);
    }
  return p.outline(colours.ink);
}

export function ferry(): Pixels {
  const p = new Pixels(74, 44);
  for (let y = 14; y < 42; y++) {
    const inset = Math.round(((y - 28) / 14) ** 2 * 9);
    for (let x = 1 + inset; x < 73 - inset; x++) {
      const rim = y < 18 || y > 37 || x < 6 + inset || x > 67 - inset;
      p.set(x, y, rim ? colours.wood[y > 37 ? 0 : 1] : y % 5 === 4 ? colours.wood[1] : colours.wood[3]);
    }
  }
  p.box(6, 16, 62, 1, colours.wood[3]);
  p.box(34, 1, 3, 22, colours.timber[2]);
  p.box(37, 2, 14, 9, colours.plaster[2]);
  p.box(37, 9, 14, 2, colours.plaster[1]);
  p.box(37, 5, 14, 2, colours.tile[2]);
  p.box(12, 24, 10, 8, colours.wood[2]);
  p.box(12, 24, 10, 2, colours.wood[3]);
  return p.outline(colours.ink);
}

/** Two pictures of a hen: upright, and pecking. */
export function hen(colour: Colour): Pixels {
  const p = new Pixels(28, 13);
  for (const [at, peck] of [
    [0, 0],
    [14, 3],
  ] as const) {
    p.ellipse(at + 6, 7, 4, 3, colour);
    p.ellipse(at + 6, 8, 3, 2, mix(colour, colours.shadow, 0.2));
    p.box(at + 1, 4, 2, 3, mix(colour, 0xffffff, 0.3));
    p.box(at + 9, 3 + peck, 3, 4, colour);
    p.box(at + 9, 2 + peck, 2, 1, 0xc9463d);
    p.set(at + 12, 5 + peck, colours.gold[2]);
    p.set(at + 10, 4 + peck, colours.ink);
    p.box(at + 5, 10, 1, 2, colours.gold[1]);
    p.box(at + 8, 10, 1, 2, colours.gold[1]);
  }
  return p;
}
