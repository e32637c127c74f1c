// Somebody as they are seen: the sprite with its shadow, the way it faces, its steps, and the balloon over its head. Where it
// is and what it does is decided elsewhere.

import type * as Phaser from 'phaser';
import type { Icon } from '../art/icons.ts';
import type { Direction, Pose } from '../art/people.ts';

/** Pixels of the art from the feet to the crown. */
export const tall = 24;
const stepPixels = 9;
const balloonMs = 2_200;
export const balloonDepth = 9_000;

export class Figure {
  x: number;
  y: number;
  direction: Direction = 'down';
  readonly sprite: Phaser.GameObjects.Image;
  readonly #shadow: Phaser.GameObjects.Image;
  readonly #balloon: Phaser.GameObjects.Image;
  #balloonLeftMs = 0;
  #walked = 0;
  #gesture: Pose | undefined;
  #gestureLeftMs = 0;
  #frame = '';

  constructor(scene: Phaser.Scene, texture: string, x: number, y: number) {
    this.x = x;
    this.y = y;
    this.#shadow = scene.add.image(x, y, 'shadow').setOrigin(0.5, 0.6);
    this.sprite = scene.add.image(x, y, texture, 'down-stand').setOrigin(0.5, 1);
    this.#balloon = scene.add
      .image(x, y, 'balloon-think')
      .setOrigin(0.5, 1)
      .setDepth(balloonDepth)
      .setVisible(false);
  }

  /** Shows a small picture over the head; `undefined` takes it away. */
  balloon(icon: Icon | undefined, ms = balloonMs): void {
    this.#balloonLeftMs = icon ? ms : 0;
    this.#balloon.setVisible(icon !== undefined);
    if (icon) this.#balloon.setTexture(`balloon-${icon}`);
  }

  /** Talks with a neighbour: a balloon, unless there is something else over its head. */
  chat(): void {
    if (this.#balloonLeftMs <= 0) this.balloon('chatter', 900);
  }

  /** Arms up, or a bow, for a moment. */
  gesture(pose: Pose, ms = 900): void {
    this.#gesture = pose;
    this.#gestureLeftMs = ms;
  }

  /** Looks along an angle, where 0 is to the right and a quarter turn is down. */
  face(angle: number): void {
    const x = Math.cos(angle);
    const y = Math.sin(angle);
    // Once it looks to a side it keeps doing so on the diagonal, so that it does not flicker.
    const sideways = this.direction === 'left' || this.direction === 'right';
    if (Math.abs(x) * (sideways ? 1.25 : 0.8) > Math.abs(y)) this.direction = x < 0 ? 'left' : 'right';
    else this.direction = y < 0 ? 'up' : 'down';
  }

  /** Draws it at its place, having moved so far in this frame. */
  draw(dtMs: number, moved: number, pose: Pose = 'stand'): void {
    if (moved > 0.05) {
      this.#walked += moved;
      pose = ['stepA', 'stand', 'stepB', 'stand'][Math.floor(this.#walked / stepPixels) % 4] as Pose;
    } else if (this.#gestureLeftMs > 0) {
      this.#gestureLeftMs -= dtMs;
      pose = this.#gesture!;
    }
    const wanted = `${this.direction}-${pose}`;
    if (wanted !== this.#frame) {
      this.#frame = wanted;
      this.sprite.setFrame(wanted, false, false);
    }
    const x = Math.round(this.x);
    const y = Math.round(this.y);
    this.sprite.setPosition(x, y + 2);
    if (this.sprite.depth !== y) this.sprite.setDepth(y);
    this.#shadow.setPosition(x, y + 1);
    if (this.#shadow.depth !== y - 1) this.#shadow.setDepth(y - 1);
    if (this.#balloonLeftMs > 0) {
      this.#balloonLeftMs -= dtMs;
      if (this.#balloonLeftMs <= 0) this.#balloon.setVisible(false);
      this.#balloon.setPosition(x, y - tall - 7);
    }
  }
}
