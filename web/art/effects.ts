// What has no edge of its own: light, smoke, shadows, glints on the water, the trace of a blow.

import * as colours from './palette.ts';
import { type Colour, Pixels } from './pixels.ts';

/** A round light that fades outwards. */
export function glow(radius: number, colour: Colour): Pixels {
  const p = new Pixels(radius * 2, radius * 2);
  for (let y = 0; y < radius * 2; y++)
    for (let x = 0; x < radius * 2; x++) {
      const far = Math.hypot(x + 0.5 - radius, y + 0.5 - radius) / radius;
      if (far >= 1) continue;
      p.set(x, y, colour, Math.round((1 - far) ** 2 * 150));
    }
  return p;
}

export function puff(): Pixels {
  const p = new Pixels(10, 10);
  p.ellipse(4.5, 4.5, 4.2, 4.2, 0xe4ddd6, 150);
  p.ellipse(3.5, 3.5, 2.4, 2.4, 0xf6f1ec, 170);
  return p;
}

export function personShadow(): Pixels {
  const p = new Pixels(16, 7);
  p.ellipse(7.5, 3, 6.5, 2.6, colours.shadow, 92);
  return p;
}

/** A glint on the water. */
export function glint(): Pixels {
  const p = new Pixels(9, 2);
  p.box(1, 0, 7, 1, 0xd8eef2, 190);
  p.box(0, 1, 3, 1, 0xd8eef2, 110);
  return p;
}

export function slash(): Pixels {
  const p = new Pixels(22, 22);
  for (let a = -0.6; a < 1.9; a += 0.02) {
    const wide = Math.sin(((a + 0.6) / 2.5) * Math.PI) * 3.5;
    for (let r = 10 - wide; r < 10; r += 0.5)
      p.set(Math.round(10 + Math.cos(a) * r), Math.round(10 + Math.sin(a) * r), 0xfdf6dd, 230);
  }
  return p;
}
