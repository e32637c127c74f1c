// The decisions alone, as a behaviour tree of mistreevous: for each character a tree with the controller's policies, its
// own needs, and a step eight times a second, spread over the frames. It moves nobody and looks for no neighbours.

import { BehaviourTree, State } from 'mistreevous';
import { randomly } from '../../tests/chaos/strikes.ts';
import { type Arm, decideHz } from './arm.ts';

const tree = `root {
  selector {
    sequence {
      condition [IsAfraid]
      selector {
        sequence { condition [HasCover] action [TakeCover] }
        action [Flee]
      }
    }
    sequence { condition [IsSpokenTo] action [Look] }
    sequence { condition [HasIntent] action [CarryOut] }
    sequence { condition [HasCompany] action [Chatter] }
    sequence { condition [SeesPlayer] action [Look] }
    sequence { condition [IsRestless] action [Walk] }
    action [Idle]
  }
}`;

interface Shared {
  nowMs: number;
  playerX: number;
  playerY: number;
}

class Villager {
  [key: string]: unknown;
  x: number;
  y: number;
  targetX = 0;
  targetY = 0;
  policy = 'idle';
  alertness = 0;
  restlessness: number;
  loneliness: number;
  curiosity = 1;
  decidedAt = 0;
  intentUntil = 0;
  spokenTo = false;
  readonly #shared: Shared;
  readonly #random: () => number;

  constructor(shared: Shared, x: number, y: number, random: () => number) {
    this.#shared = shared;
    this.#random = random;
    this.x = x;
    this.y = y;
    this.restlessness = random();
    this.loneliness = random();
  }

  feel(): void {
    const elapsed = Math.min(1, (this.#shared.nowMs - this.decidedAt) / 1_000);
    this.decidedAt = this.#shared.nowMs;
    this.alertness *= 1 / (1 + elapsed / 4);
    this.restlessness = Math.min(
      1,
      Math.max(0, this.restlessness + (this.policy === 'walk' ? -1 : 1) * elapsed * 0.1),
    );
    this.loneliness = Math.min(
      1,
      Math.max(0, this.loneliness + (this.policy === 'chatter' ? -1 : 1) * elapsed * 0.1),
    );
    this.curiosity = Math.min(
      1,
      Math.max(0, this.curiosity + (this.policy === 'look' ? -1 : 1) * elapsed * 0.1),
    );
  }

  // ---- conditions ----
  IsAfraid = () => this.alertness > 0.3;
  HasCover = () => this.x > 0;
  IsSpokenTo = () => this.spokenTo;
  HasIntent = () => this.intentUntil > this.#shared.nowMs;
  HasCompany = () => this.loneliness > 0.9;
  SeesPlayer = () => this.#distance2() < 49 && this.curiosity > 0.4;
  IsRestless = () => this.restlessness > 0.5;

  // ---- actions ----
  TakeCover = () => this.#does('take_cover', 0, 0);
  Flee = () => this.#does('flee', this.x * 2, this.y * 2);
  Look = () => this.#does('look', this.#shared.playerX, this.#shared.playerY);
  CarryOut = () => this.#does('go', this.targetX, this.targetY);
  Chatter = () => this.#does('chatter', this.x, this.y);
  Walk = () => {
    const angle = this.#random() * 2 * Math.PI;
    return this.#does('walk', this.x + Math.cos(angle) * 8, this.y + Math.sin(angle) * 8);
  };
  Idle = () => this.#does('idle', this.x, this.y);

  #does(policy: string, x: number, y: number): State.SUCCEEDED {
    this.policy = policy;
    this.targetX = x;
    this.targetY = y;
    return State.SUCCEEDED;
  }

  #distance2(): number {
    return (this.x - this.#shared.playerX) ** 2 + (this.y - this.#shared.playerY) ** 2;
  }
}

export function mistreevousArm(count: number, seed = 1): Arm {
  const random = randomly(seed);
  const shared: Shared = { nowMs: 0, playerX: 0, playerY: 0 };
  const width = Math.ceil(Math.sqrt(count));
  const villagers = Array.from(
    { length: count },
    (_, i) => new Villager(shared, (i % width) * 3, Math.floor(i / width) * 3, random),
  );
  const trees = villagers.map((villager) => new BehaviourTree(tree, villager));
  let turn = 0;
  let owed = 0;
  let noiseAt = 0;
  return {
    tick(nowMs, dtMs) {
      shared.nowMs = nowMs;
      shared.playerX = width * (1.5 + Math.cos(nowMs / 5_000));
      shared.playerY = width * (1.5 + Math.sin(nowMs / 5_000));
      if (nowMs >= noiseAt) {
        noiseAt = nowMs + 1_000;
        for (let k = 0; k < 5; k++) villagers[(k * 197) % count]!.alertness = 0.9;
      }
      owed = Math.min(owed + (count * dtMs * decideHz) / 1_000, count);
      for (; owed >= 1; owed--) {
        const i = turn;
        turn = (turn + 1) % count;
        villagers[i]!.feel();
        trees[i]!.step();
      }
    },
  };
}
