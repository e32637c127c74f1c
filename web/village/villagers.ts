// Those who live in the village: puts each character at its place, lets the NPC controller decide and move, and shows what it
// says. Characters come from the edge; a few strollers have no name there and live by their habits alone.

import type { VerbSpecs } from '../../client/controller/index.ts';
import {
  animationNames,
  type Controller,
  createController,
  type Mind,
  policyNames,
} from '../../client/controller/index.ts';
import type { Look } from '../art/people.ts';
import { hashOf } from '../art/pixels.ts';
import type { Figure } from './figure.ts';
import * as layout from './layout.ts';
import { looks } from './looks.ts';
import type { VillageScene } from './scene.ts';

export interface Character {
  readonly id: string;
  readonly name: string;
  /** Topic to the words that the player says by choosing it. */
  readonly topics: Readonly<Record<string, string>>;
  /** What it sells and for how much gold; a gateway of an older version does not say. */
  readonly wares?: readonly Ware[];
}

export interface Ware {
  readonly name: string;
  readonly price: number;
}

export interface Villager {
  readonly character: Character;
  /** Its number in the controller. */
  readonly index: number;
  readonly figure: Figure;
  readonly look: Look;
  /** The name of the place where it belongs. */
  readonly place: string;
}

const strollers: readonly [name: string, place: string][] = [
  ['stroller-anna', 'market'],
  ['stroller-hugo', 'shore'],
  ['stroller-lena', 'oak'],
  ['stroller-otto', 'field'],
];
/** How far away a noise is heard, in metres. */
const earshot = 11;

export class Villagers {
  readonly controller: Controller;
  readonly all: Villager[] = [];
  readonly #strollers: { index: number; figure: Figure }[] = [];
  readonly #byIndex = new Map<number, Villager>();
  readonly #scene: VillageScene;
  readonly #taken = new Set<string>();

  constructor(scene: VillageScene, mind: Mind, verbs: VerbSpecs | undefined) {
    this.#scene = scene;
    const { ground } = scene;
    this.controller = createController({
      capacity: 128,
      mind,
      verbs,
      metre: layout.metre,
      seed: 7,
      // One model answers for the whole village, and the player's own questions come first.
      asking: { outstanding: 1, perSecond: 1.5, view: 14 },
      ground: {
        isFree: (x, y) => ground.isFree(x, y),
        next: (fromX, fromY, toX, toY, out) => ground.next(fromX, fromY, toX, toY, out),
      },
    });
    for (const [name, { x, y, cover = false }] of Object.entries(layout.places)) {
      this.controller.place(name, x, y, { cover });
      ground.learn(x, y);
    }
    for (const [name, place] of Object.entries(layout.alsoCalled)) {
      const { x, y } = layout.places[place]!;
      this.controller.place(name, x, y);
    }
    for (const [name, place] of strollers) {
      const { x, y } = this.#room(place);
      const figure = scene.figure(name, x, y);
      const index = this.controller.add({ x, y, policy: 'walk', sociability: 1, speed: 1.1 * layout.metre });
      this.#strollers.push({ index, figure });
    }
  }

  /** Puts a character where its trade is, or where there is room. */
  settle(character: Character): Villager {
    const place = this.#placeFor(character);
    this.#taken.add(place);
    const { x, y } = this.#room(place);
    const look = looks(character);
    const index = this.controller.add({
      npc: character.id,
      x,
      y,
      policy: 'idle',
      importance: 1,
      heading: Math.PI / 2,
      sociability: 0.25 + (hashOf(character.id) % 50) / 100,
    });
    const figure = this.#scene.figure(character.id, x, y, look);
    const villager = { character, index, figure, look, place };
    this.all.push(villager);
    this.#byIndex.set(index, villager);
    return villager;
  }

  byIndex(index: number): Villager | undefined {
    return this.#byIndex.get(index);
  }

  /** The one that is nearest to a point, within so many pixels of the art. */
  near(x: number, y: number, within: number): Villager | undefined {
    let best: Villager | undefined;
    let nearest = within;
    for (const villager of this.all) {
      const far = Math.hypot(villager.figure.x - x, villager.figure.y - y);
      if (far >= nearest) continue;
      nearest = far;
      best = villager;
    }
    return best;
  }

  /** A loud noise at a point: those who hear it start, and run if they are not brave. */
  startle(x: number, y: number): number {
    let heard = 0;
    for (const { index, figure } of [...this.all, ...this.#strollers]) {
      const far = Math.hypot(figure.x - x, figure.y - y) / layout.metre;
      if (far > earshot) continue;
      heard++;
      this.controller.perceive(index, 'noise', { x, y, strength: Math.max(0.35, 1 - far / (earshot * 1.4)) });
      figure.balloon('startle', 1_400);
    }
    return heard;
  }

  /** What it is doing, as the controller calls it. */
  policyOf({ index }: Villager): string {
    return policyNames[this.controller.policy[index]!]!;
  }

  /** One frame: ticks the controller and shows everybody. Returns the milliseconds that the controller used. */
  update(
    nowMs: number,
    dtMs: number,
    player: { x: number; y: number },
    { hour, mayThink }: { hour: number; mayThink: boolean },
  ): number {
    const { controller } = this;
    controller.player(player.x, player.y);
    controller.hour = ((hour % 24) + 24) % 24;
    const began = performance.now();
    controller.tick(nowMs, dtMs, mayThink);
    const used = performance.now() - began;
    for (const { index, figure } of this.all) this.#show(index, figure, nowMs, dtMs);
    for (const { index, figure } of this.#strollers) this.#show(index, figure, nowMs, dtMs);
    return used;
  }

  #show(i: number, figure: Figure, nowMs: number, dtMs: number): void {
    const { controller } = this;
    const x = controller.x[i]!;
    const y = controller.y[i]!;
    const moved = Math.hypot(x - figure.x, y - figure.y);
    figure.x = x;
    figure.y = y;
    const animation = animationNames[controller.animation[i]!]!;
    const moves = animation === 'walk' || animation === 'run';
    figure.face(moves ? controller.heading[i]! : controller.gaze[i]!);
    if (animation === 'talk' && Math.floor(nowMs / 180) % 9 === 0) figure.draw(dtMs, 0, 'cheer');
    else figure.draw(dtMs, moves ? moved : 0, animation === 'cower' ? 'bow' : 'stand');
    if (policyNames[controller.policy[i]!] === 'chatter' && animation === 'talk') figure.chat();
  }

  #placeFor({ id }: Character): string {
    const { residents, spare } = layout;
    if (Object.hasOwn(residents, id)) return residents[id]!;
    return spare.find((place) => !this.#taken.has(place)) ?? spare[hashOf(id) % spare.length]!;
  }

  /** A free spot at a place, a little aside when somebody stands there. */
  #room(place: string): { x: number; y: number } {
    const { x, y } = layout.places[place]!;
    const stands = [...this.all, ...this.#strollers];
    for (let k = 0; k < 40; k++) {
      const angle = k * 2.4;
      const spot = { x: x + Math.cos(angle) * k * 3, y: y + Math.sin(angle) * k * 2.2 };
      const open = stands.every(
        ({ figure }) => Math.hypot(figure.x - spot.x, figure.y - spot.y) > layout.metre,
      );
      if (open && this.#scene.ground.isFree(spot.x, spot.y)) return spot;
    }
    return { x, y };
  }
}
