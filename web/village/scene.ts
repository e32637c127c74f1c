// The village on the screen: builds it from the layout, lets the camera follow the player, and calls in each frame those who
// move. Nothing here waits for a network; who speaks and acts is villagers.ts, what the player does is player.ts.

import * as Phaser from 'phaser';
import type { Icon } from '../art/icons.ts';
import { lookOf } from '../art/people.ts';
import { Ambience } from './ambience.ts';
import { Figure, tall } from './figure.ts';
import { Ground } from './ground.ts';
import * as layout from './layout.ts';
import { addPerson, addTextures } from './textures.ts';
import { trees } from './trees.ts';

export interface SceneOptions {
  /** Hour of the day at the start. */
  hour: number;
  /** No smoke, no shaking, no flying: the player asked for reduced motion. */
  still: boolean;
  /** Everything is there. */
  onReady(scene: VillageScene): void;
}

/** Longer frames are cut, so that nobody leaps through a wall after the tab was hidden. */
const longestFrameMs = 100;

export class VillageScene extends Phaser.Scene {
  readonly ground = new Ground();
  ambience!: Ambience;
  /** Once a frame, before it is drawn: the clock, the time to move by, and how long the frame really was. */
  onFrame: (nowMs: number, dtMs: number, frameMs: number) => void = () => {};
  readonly #options: SceneOptions;
  #lastAt: number | undefined;
  #cameraX = layout.start.x;
  #cameraY = layout.start.y;

  constructor(options: SceneOptions) {
    super('village');
    this.#options = options;
  }

  create(): void {
    // Phaser asks the browser for its blend modes before the browser can know; every one of today has this.
    const { renderer } = this.game;
    if (renderer instanceof Phaser.Renderer.Canvas.CanvasRenderer)
      renderer.blendModes[Phaser.BlendModes.MULTIPLY] = 'multiply';
    const smoke = addTextures(this.textures);
    this.add.image(0, 0, 'ground').setOrigin(0);
    const stand = (key: string, x: number, y: number, depth = y) =>
      this.add
        .image(x, y + 1, key)
        .setOrigin(0.5, 1)
        .setDepth(depth);
    for (let x = 8; x < layout.width; x += 16)
      if (Math.abs(x - layout.gatePlace.x) > 52) stand('palisade', x, layout.wallY);
    stand('gate', layout.gatePlace.x, layout.gatePlace.y);
    layout.houses.forEach(({ x, y }, i) => {
      stand(`house${i}`, x, y);
    });
    for (const { x, y, style } of [...layout.props, ...trees]) stand(style, x, y);
    for (const { x, y } of layout.lanterns) stand('lantern', x, y);
    const { hour, still } = this.#options;
    this.ambience = new Ambience(this, { ground: this.ground, smoke, hour, still });
    this.cameras.main.setRoundPixels(true).setBackgroundColor(0x2f5a3a);
    this.#options.onReady(this);
  }

  override update(): void {
    // Phaser smooths its own delta; figures and movement want what really was.
    const now = performance.now();
    const frameMs = now - (this.#lastAt ?? now);
    this.#lastAt = now;
    const dtMs = Math.min(frameMs, longestFrameMs);
    this.onFrame(now, dtMs, frameMs);
    this.ambience.update(dtMs);
  }

  figure(name: string, x: number, y: number, look = lookOf(name)): Figure {
    const key = `person-${name}`;
    addPerson(this.textures, key, look);
    return new Figure(this, key, x, y);
  }

  /** The camera goes after this point. So many pixels of the page are covered on the right and below. */
  follow(x: number, y: number, dtMs: number, coveredRight = 0, coveredBelow = 0): void {
    const shiftX = coveredRight / this.scale.zoom;
    const shiftY = coveredBelow / this.scale.zoom;
    const ease = this.#options.still ? 1 : 1 - Math.exp(-dtMs / 140);
    this.#cameraX += (x - this.#cameraX) * ease;
    this.#cameraY += (y - 12 - this.#cameraY) * ease;
    const { width, height } = this.scale;
    const left = clamp(this.#cameraX - (width - shiftX) / 2, 0, layout.width - (width - shiftX));
    const top = clamp(this.#cameraY - (height - shiftY) / 2, 0, layout.height - (height - shiftY));
    this.cameras.main.setScroll(Math.round(left), Math.round(top));
  }

  /** Where a point of the village is on the page. */
  toScreen(x: number, y: number): { x: number; y: number } {
    const { scrollX, scrollY } = this.cameras.main;
    const { zoom } = this.scale;
    return { x: (x - scrollX) * zoom, y: (y - scrollY) * zoom };
  }

  toVillage(x: number, y: number): { x: number; y: number } {
    const { scrollX, scrollY } = this.cameras.main;
    const { zoom } = this.scale;
    return { x: x / zoom + scrollX, y: y / zoom + scrollY };
  }

  /** A thing flies from one to the other. */
  fly(icon: Icon, from: { x: number; y: number }, to: { x: number; y: number }, done: () => void): void {
    if (this.#options.still) {
      done();
      return;
    }
    const image = this.add.image(from.x, from.y - tall, `thing-${icon}`).setDepth(9_500);
    const flight = { t: 0 };
    this.tweens.add({
      targets: flight,
      t: 1,
      duration: 750,
      ease: 'Sine.easeInOut',
      onUpdate: () => {
        const { t } = flight;
        image.setPosition(
          Math.round(from.x + (to.x - from.x) * t),
          Math.round(from.y + (to.y - from.y) * t - tall * 0.7 - Math.sin(t * Math.PI) * 22),
        );
      },
      onComplete: () => {
        image.destroy();
        done();
      },
    });
  }

  /** A short effect at a point: a blow, or a ring that grows. */
  effect(kind: 'slash' | 'ring', x: number, y: number): void {
    if (kind === 'ring') {
      const ring = this.add.circle(x, y, 6).setStrokeStyle(1.5, 0xfff1c9, 0.9).setDepth(8_900);
      if (this.#options.still) this.time.delayedCall(500, () => ring.destroy());
      else
        this.tweens.add({
          targets: ring,
          scale: 8,
          alpha: 0,
          duration: 700,
          onComplete: () => ring.destroy(),
        });
      return;
    }
    const image = this.add.image(x, y - 12, 'slash').setDepth(8_900);
    this.tweens.add({
      targets: image,
      alpha: 0,
      duration: 380,
      onComplete: () => image.destroy(),
    });
    if (!this.#options.still) this.cameras.main.shake(160, 0.006);
  }

  /** A mark where the player was told to go. */
  mark(x: number, y: number): void {
    const ring = this.add.ellipse(x, y, 12, 6).setStrokeStyle(1, 0xfff6d8, 0.9).setDepth(2);
    this.time.delayedCall(450, () => ring.destroy());
  }
}

function clamp(value: number, low: number, high: number): number {
  // A screen larger than the village shows it in the middle.
  if (high < low) return (low + high) / 2;
  return value < low ? low : value > high ? high : value;
}

/** Starts Phaser in `parent` and keeps the picture as large as the page, in whole pixels of the art. */
export function openVillage(parent: HTMLElement, renderer: string | null, options: SceneOptions): void {
  const size = () => {
    const { clientWidth, clientHeight } = parent;
    // So that about 24 by 15 metres are seen, and each pixel of the art is a whole number of the screen's.
    const dots = Math.max(1, Math.round(window.devicePixelRatio));
    const wish = Math.max(clientWidth / 440, clientHeight / 300, 1.5);
    const zoom = Math.max(2, Math.round(Math.min(wish, clientWidth / 190) * dots) / dots);
    return { zoom, width: Math.ceil(clientWidth / zoom), height: Math.ceil(clientHeight / zoom) };
  };
  const { zoom, width, height } = size();
  const game = new Phaser.Game({
    type: rendererOf(renderer),
    parent,
    width,
    height,
    zoom,
    pixelArt: true,
    banner: false,
    backgroundColor: '#2f5a3a',
    audio: { noAudio: true },
    // The page hears keys and taps itself, so that its text fields keep theirs.
    input: { keyboard: false, mouse: false, touch: false, gamepad: false },
    scale: { mode: Phaser.Scale.NONE },
    scene: new VillageScene(options),
  });
  new ResizeObserver(() => {
    const now = size();
    game.scale.setZoom(now.zoom);
    game.scale.resize(now.width, now.height);
  }).observe(parent);
}

/** What was asked for (`webgl`, `canvas`), else what is faster here. */
function rendererOf(wish: string | null): number {
  if (wish === 'webgl') return Phaser.WEBGL;
  return wish === 'canvas' || !hasGraphics() ? Phaser.CANVAS : Phaser.AUTO;
}

/** Whether WebGL is done by hardware. Where a processor plays the part, drawing on a plain canvas is faster. */
function hasGraphics(): boolean {
  const options = { failIfMajorPerformanceCaveat: true };
  const context = document
    .createElement('canvas')
    .getContext('webgl', options) as WebGLRenderingContext | null;
  if (!context) return false;
  const named = context.getExtension('WEBGL_debug_renderer_info');
  const renderer = String(context.getParameter(named?.UNMASKED_RENDERER_WEBGL ?? context.RENDERER));
  context.getExtension('WEBGL_lose_context')?.loseContext();
  return !/swiftshader|llvmpipe|software|basic render/i.test(renderer);
}
