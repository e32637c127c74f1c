// A small picture made of whole pixels, and what is drawn on it: boxes, ellipses, lines, outlines. All art of the village
// is drawn with it at start. It knows nothing of the browser but the canvas that it turns into.

/** A colour as 0xRRGGBB. */
export type Colour = number;

/** A sequence that looks random and is the same for the same seed: every visit sees the same village. */
export function seeded(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A number that belongs to a text, for looks that follow from a name. */
export function hashOf(text: string): number {
  let hash = 2166136261;
  for (const letter of text) hash = Math.imul(hash ^ letter.codePointAt(0)!, 16777619);
  return hash >>> 0;
}

/** Smooth noise from 0 to 1 over the plane. */
export function noise(x: number, y: number, seed = 0): number {
  const x0 = Math.floor(x);
  const y0 = Math.floor(y);
  const smooth = (t: number) => t * t * (3 - 2 * t);
  const u = smooth(x - x0);
  const v = smooth(y - y0);
  const top = corner(x0, y0, seed) * (1 - u) + corner(x0 + 1, y0, seed) * u;
  const bottom = corner(x0, y0 + 1, seed) * (1 - u) + corner(x0 + 1, y0 + 1, seed) * u;
  return top * (1 - v) + bottom * v;
}

function corner(x: number, y: number, seed: number): number {
  let h = Math.imul(x, 374761393) + Math.imul(y, 668265263) + Math.imul(seed, 1442695041);
  h = Math.imul(h ^ (h >>> 13), 1274126177);
  return ((h ^ (h >>> 16)) >>> 0) / 2 ** 32;
}

/** `a` with `share` of `b` in it. */
export function mix(a: Colour, b: Colour, share: number): Colour {
  const part = (shift: number) =>
    Math.round(((a >> shift) & 255) * (1 - share) + ((b >> shift) & 255) * share) << shift;
  return part(16) | part(8) | part(0);
}

export class Pixels {
  readonly width: number;
  readonly height: number;
  /** Little-endian RGBA, as a canvas has it. */
  readonly data: Uint32Array<ArrayBuffer>;

  constructor(width: number, height: number) {
    this.width = width;
    this.height = height;
    this.data = new Uint32Array(width * height);
  }

  set(x: number, y: number, colour: Colour, alpha = 255): void {
    if (x < 0 || y < 0 || x >= this.width || y >= this.height) return;
    const bgr = ((colour & 255) << 16) | (colour & 0xff00) | (colour >> 16);
    this.data[(y | 0) * this.width + (x | 0)] = ((alpha << 24) | bgr) >>> 0;
  }

  clear(x: number, y: number): void {
    if (x >= 0 && y >= 0 && x < this.width && y < this.height) this.data[y * this.width + x] = 0;
  }

  /** The colour at a place, or undefined where nothing is. */
  get(x: number, y: number): Colour | undefined {
    if (x < 0 || y < 0 || x >= this.width || y >= this.height) return undefined;
    const value = this.data[y * this.width + x]!;
    return value >>> 24 === 0 ? undefined : ((value & 255) << 16) | (value & 0xff00) | ((value >>> 16) & 255);
  }

  box(x: number, y: number, width: number, height: number, colour: Colour, alpha = 255): void {
    for (let j = y; j < y + height; j++) for (let i = x; i < x + width; i++) this.set(i, j, colour, alpha);
  }

  ellipse(cx: number, cy: number, rx: number, ry: number, colour: Colour, alpha = 255): void {
    for (let y = Math.floor(cy - ry); y <= cy + ry; y++)
      for (let x = Math.floor(cx - rx); x <= cx + rx; x++)
        if (((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 <= 1) this.set(x, y, colour, alpha);
  }

  line(x0: number, y0: number, x1: number, y1: number, colour: Colour): void {
    const steps = Math.max(Math.abs(x1 - x0), Math.abs(y1 - y0), 1);
    for (let i = 0; i <= steps; i++)
      this.set(Math.round(x0 + ((x1 - x0) * i) / steps), Math.round(y0 + ((y1 - y0) * i) / steps), colour);
  }

  /** Rows of letters, each a colour of the key; anything else is left as it is. */
  rows(x: number, y: number, rows: readonly string[], key: Readonly<Record<string, Colour>>): void {
    rows.forEach((row, j) => {
      [...row].forEach((letter, i) => {
        if (letter in key) this.set(x + i, y + j, key[letter]!);
      });
    });
  }

  /** Mixes a colour into what is there, as light or shadow does. */
  blend(x: number, y: number, colour: Colour, share: number): void {
    const under = this.get(x, y);
    if (under !== undefined) this.set(x, y, mix(under, colour, share));
  }

  /** A dark line around everything. */
  outline(colour: Colour): this {
    const solid = this.data.map((value) => value >>> 24);
    const at = (x: number, y: number) =>
      x >= 0 && y >= 0 && x < this.width && y < this.height && solid[y * this.width + x]! > 0;
    for (let y = 0; y < this.height; y++)
      for (let x = 0; x < this.width; x++)
        if (!at(x, y) && (at(x - 1, y) || at(x + 1, y) || at(x, y - 1) || at(x, y + 1)))
          this.set(x, y, colour);
    return this;
  }

  /** Draws another picture over this one. */
  stamp(other: Pixels, x: number, y: number, { mirror = false } = {}): void {
    for (let j = 0; j < other.height; j++)
      for (let i = 0; i < other.width; i++) {
        const colour = other.get(mirror ? other.width - 1 - i : i, j);
        if (colour !== undefined) this.set(x + i, y + j, colour);
      }
  }

  canvas(): HTMLCanvasElement {
    const canvas = document.createElement('canvas');
    canvas.width = this.width;
    canvas.height = this.height;
    const image = new ImageData(new Uint8ClampedArray(this.data.buffer), this.width, this.height);
    canvas.getContext('2d')!.putImageData(image, 0, 0);
    return canvas;
  }
}
