// A game loop for tests of the controller: frames by the number, on a clock that only it moves.

import type { Answers, Controller, Mind } from '../../client/controller/index.ts';

export class Loop {
  nowMs = 1_000;
  readonly npcs: Controller;
  readonly dtMs: number;

  constructor(npcs: Controller, dtMs = 1_000 / 60) {
    this.npcs = npcs;
    this.dtMs = dtMs;
  }

  /** One frame. */
  frame(dtMs = this.dtMs): void {
    this.nowMs += dtMs;
    this.npcs.tick(this.nowMs, dtMs);
  }

  /** So many seconds of frames; `each` after every frame. */
  run(seconds: number, each: () => void = () => {}): void {
    for (let left = (seconds * 1_000) / this.dtMs; left > 0; left--) {
      this.frame();
      each();
    }
  }

  /** Frames until it is so. Throws when it is not after a minute of the game. */
  until(isSo: () => boolean): void {
    for (let left = 60_000 / this.dtMs; left > 0; left--) {
      if (isSo()) return;
      this.frame();
    }
    throw new Error(`not so within a minute: ${isSo}`);
  }
}

/** A question as a game's own mind hears it. */
export interface Question {
  readonly index: number;
  readonly npc: string;
  readonly situation: string;
  readonly generation: number;
}

/** A game's own mind that only writes down what it is asked; the test answers. */
export class Notebook implements Mind {
  readonly questions: Question[] = [];
  readonly cancelled: number[] = [];
  answers!: Answers;

  ask(index: number, npc: string, situation: string, generation: number, answers: Answers): boolean {
    this.questions.push({ index, npc, situation, generation });
    this.answers = answers;
    return true;
  }

  cancel(_index: number, generation: number): void {
    this.cancelled.push(generation);
  }

  get last(): Question {
    return this.questions.at(-1)!;
  }

  /** Ends the newest question with these acts. */
  answer(...acts: { name: string; args?: Record<string, unknown> }[]): void {
    const { index, generation } = this.last;
    for (const act of acts) this.answers.act(index, generation, { args: {}, ttlMs: 5_000, ...act });
    this.answers.done(index, generation);
  }
}

/** The shorter way between two angles. */
export function between(a: number, b: number): number {
  return Math.abs(Math.atan2(Math.sin(a - b), Math.cos(a - b)));
}
