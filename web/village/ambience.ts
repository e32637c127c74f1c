// What makes the village live without anybody: light of day and lamps, smoke, glints on the water, hens. Nothing of it
// matters to the game; with reduced motion it stands still.

import type * as Phaser from 'phaser';
import { seeded } from '../art/pixels.ts';
import { hourSeconds, lightAt } from './daylight.ts';
import type { Ground } from './ground.ts';
import * as layout from './layout.ts';

const duskDepth = 5_000;
const additive = 1;
const multiply = 2;
/** Pixels of the art for each pixel of the picture of light, which is soft anyway. */
const coarse = 2;

interface Drift {
  image: Phaser.GameObjects.Image;
  x: number;
  y: number;
  age: number;
  life: number;
}

interface Hen {
  image: Phaser.GameObjects.Image;
  homeX: number;
  homeY: number;
  x: number;
  y: number;
  toX: number;
  toY: number;
  waitMs: number;
}

export class Ambience {
  /** Hours of the village's day. */
  hour: number;
  readonly #scene: Phaser.Scene;
  readonly #still: boolean;
  /** What the whole picture is multiplied with: the colour of the hour, and warm light around the lamps. */
  readonly #dusk: Phaser.GameObjects.Image;
  readonly #light: Phaser.Textures.CanvasTexture;
  readonly #beam: CanvasImageSource;
  readonly #lamps: { x: number; y: number; radius: number; phase: number }[] = [];
  readonly #shining: { image: Phaser.GameObjects.Image; strength: number; phase: number }[] = [];
  readonly #smoke: Drift[] = [];
  readonly #glints: Drift[] = [];
  readonly #hens: Hen[] = [];
  readonly #ferry: Phaser.GameObjects.Image;
  readonly #ground: Ground;
  readonly #random = seeded(99);
  #seconds = 0;
  #filledWith = -1;

  constructor(
    scene: Phaser.Scene,
    {
      ground,
      smoke,
      hour,
      still,
    }: { ground: Ground; smoke: ({ x: number; y: number } | undefined)[]; hour: number; still: boolean },
  ) {
    this.#scene = scene;
    this.#ground = ground;
    this.#still = still;
    this.hour = hour;
    this.#light = scene.textures.createCanvas('light', 16, 16)!;
    this.#beam = beam();
    this.#dusk = scene.add
      // One of its pixels beyond each edge, so that rounding leaves no seam.
      .image(-coarse, -coarse, 'light')
      .setOrigin(0)
      .setScale(coarse)
      .setScrollFactor(0)
      .setDepth(duskDepth)
      .setBlendMode(multiply);
    layout.houses.forEach(({ x, y, style }, i) => {
      this.#shine(scene.add.image(x, y + 1, `house${i}-night`).setOrigin(0.5, 1), 1);
      this.#lamps.push({ x, y: y - 8, radius: style.forge ? 88 : 56, phase: style.forge ? i + 1 : 0 });
      if (style.forge) this.#shine(scene.add.image(x - 22, y - 10, 'glow').setBlendMode(additive), 0.9, 2.3);
      const from = smoke[i];
      if (from) this.#rise(x - style.width / 2 - 4 + from.x, y - 12 - style.roof - style.wall + from.y);
    });
    const { gatePlace, lanterns } = layout;
    this.#shine(scene.add.image(gatePlace.x, gatePlace.y + 1, 'gate-night').setOrigin(0.5, 1), 1);
    for (const { x, y } of lanterns) {
      this.#shine(scene.add.image(x, y + 1, 'lantern-night').setOrigin(0.5, 1), 1);
      this.#shine(scene.add.image(x, y - 23, 'glow-small').setBlendMode(additive), 0.6, x);
      this.#lamps.push({ x, y: y - 6, radius: 74, phase: x });
    }
    for (let i = 0; i < 40; i++) this.#glitter(i);
    for (let i = 0; i < 5; i++) this.#keepHen(i);
    scene.add.image(layout.pierPlace.x, layout.pierPlace.y, 'pier').setOrigin(0.5, 1).setDepth(1);
    this.#ferry = scene.add
      .image(layout.ferryPlace.x, layout.ferryPlace.y, 'ferry')
      .setOrigin(0.5, 1)
      .setDepth(2);
  }

  update(dtMs: number): void {
    const seconds = dtMs / 1_000;
    this.#seconds += seconds;
    this.hour += seconds / hourSeconds;
    this.#lightUp();
    if (this.#still) return;
    this.#ferry.y = layout.ferryPlace.y + Math.round(Math.sin(this.#seconds * 1.3) * 1.2);
    for (const puff of this.#smoke) {
      puff.age += seconds;
      if (puff.age > puff.life) puff.age -= puff.life;
      const t = puff.age / puff.life;
      puff.image.setPosition(
        Math.round(puff.x + t * 13 + Math.sin(puff.age * 1.7 + puff.y) * 2),
        Math.round(puff.y - t * 34),
      );
      puff.image.setScale(0.5 + t * 0.9).setAlpha(0.75 * (1 - t) * Math.min(1, t * 6));
    }
    for (const glint of this.#glints) {
      glint.age += seconds;
      if (glint.age > glint.life) {
        glint.age = 0;
        this.#moveGlint(glint);
      }
      const t = glint.age / glint.life;
      glint.image.setAlpha(Math.sin(t * Math.PI) * 0.85);
      glint.image.x = Math.round(glint.x + t * 6);
    }
    for (const hen of this.#hens) this.#stroll(hen, dtMs);
  }

  #shine(image: Phaser.GameObjects.Image, strength: number, phase = 0): void {
    this.#shining.push({ image: image.setDepth(duskDepth + 1).setVisible(false), strength, phase });
  }

  #lightUp(): void {
    const { colour, lamps } = lightAt(this.hour);
    const lit = lamps > 0.02;
    this.#dusk.setVisible(colour !== 0xffffff);
    if (this.#dusk.visible) this.#paint(colour, lit ? lamps : 0);
    for (const { image, strength, phase } of this.#shining) {
      image.setVisible(lit);
      if (lit) image.setAlpha(Math.min(1, lamps * strength * this.#flicker(phase)));
    }
  }

  #paint(colour: number, lamps: number): void {
    const { scrollX, scrollY } = this.#scene.cameras.main;
    const width = Math.ceil(this.#scene.scale.width / coarse) + 2;
    const height = Math.ceil(this.#scene.scale.height / coarse) + 2;
    const resized = this.#light.width !== width || this.#light.height !== height;
    if (resized) {
      this.#light.setSize(width, height);
      this.#dusk.setSizeToFrame();
    } else if (lamps === 0 && colour === this.#filledWith) return;
    this.#filledWith = lamps === 0 ? colour : -1;
    const { context } = this.#light;
    context.globalCompositeOperation = 'source-over';
    context.globalAlpha = 1;
    context.fillStyle = `#${colour.toString(16).padStart(6, '0')}`;
    context.fillRect(0, 0, width, height);
    context.globalCompositeOperation = 'lighter';
    for (const { x, y, radius, phase } of this.#lamps) {
      const left = (x - scrollX - radius) / coarse + 1;
      const top = (y - scrollY - radius * 0.75) / coarse + 1;
      const wide = (radius * 2) / coarse;
      if (left > width || top > height || left + wide < 0 || top + wide < 0) continue;
      context.globalAlpha = Math.min(1, lamps * 0.95 * this.#flicker(phase));
      context.drawImage(this.#beam, Math.round(left), Math.round(top), wide, wide * 0.75);
    }
    this.#light.refresh();
  }

  #flicker(phase: number): number {
    return this.#still || phase === 0 ? 1 : 0.94 + 0.06 * Math.sin(this.#seconds * 7 + phase);
  }

  #rise(x: number, y: number): void {
    for (let i = 0; i < 4; i++) {
      const image = this.#scene.add.image(x, y, 'puff').setDepth(4_000);
      image.setAlpha(this.#still && i === 0 ? 0.5 : 0);
      this.#smoke.push({ image, x, y, age: i * 1.1, life: 4.4 });
    }
  }

  #glitter(i: number): void {
    const image = this.#scene.add.image(0, 0, 'glint').setDepth(0.5);
    const glint = { image, x: 0, y: 0, age: (i % 8) * 0.4, life: 2 + this.#random() * 2 };
    this.#moveGlint(glint);
    image.setAlpha(this.#still ? 0.5 : 0);
    this.#glints.push(glint);
  }

  #moveGlint(glint: Drift): void {
    glint.x = Math.round(this.#random() * layout.width);
    const shore = layout.shore(glint.x) + 10;
    glint.y = Math.round(shore + this.#random() * (layout.height - shore - 4));
    glint.image.setPosition(glint.x, glint.y);
  }

  #keepHen(i: number): void {
    const homeX = 196 + (i % 3) * 22;
    const homeY = 536 + Math.floor(i / 3) * 14;
    const image = this.#scene.add
      .image(homeX, homeY, `hen${i % 2}`, 'up')
      .setOrigin(0.5, 1)
      .setDepth(homeY);
    this.#hens.push({ image, homeX, homeY, x: homeX, y: homeY, toX: homeX, toY: homeY, waitMs: i * 700 });
  }

  #stroll(hen: Hen, dtMs: number): void {
    hen.waitMs -= dtMs;
    const dx = hen.toX - hen.x;
    const dy = hen.toY - hen.y;
    const far = Math.hypot(dx, dy);
    if (far > 1) {
      const step = Math.min(far, (dtMs / 1_000) * 16);
      hen.x += (dx / far) * step;
      hen.y += (dy / far) * step;
      hen.image.setFrame('up').setFlipX(dx < 0);
      hen.image.setPosition(Math.round(hen.x), Math.round(hen.y)).setDepth(hen.y);
    } else if (hen.waitMs > 0) hen.image.setFrame(Math.floor(hen.waitMs / 260) % 3 === 0 ? 'peck' : 'up');
    else {
      const x = hen.homeX + (this.#random() - 0.5) * 46;
      const y = hen.homeY + (this.#random() - 0.5) * 26;
      hen.waitMs = 1_200 + this.#random() * 3_000;
      if (this.#ground.isFree(x, y)) {
        hen.toX = x;
        hen.toY = y;
      }
    }
  }
}

/** Warm light that fades to nothing at the edge. */
function beam(): HTMLCanvasElement {
  const canvas = document.createElement('canvas');
  canvas.width = canvas.height = 96;
  const context = canvas.getContext('2d')!;
  const light = context.createRadialGradient(48, 48, 0, 48, 48, 48);
  light.addColorStop(0, 'rgb(255 206 130 / 95%)');
  light.addColorStop(0.35, 'rgb(255 184 104 / 55%)');
  light.addColorStop(0.7, 'rgb(230 140 84 / 18%)');
  light.addColorStop(1, 'rgb(200 110 80 / 0%)');
  context.fillStyle = light;
  context.fillRect(0, 0, 96, 96);
  return canvas;
}
