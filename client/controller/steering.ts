// The body, each frame: goes towards what was decided and never jumps. Velocity follows smoothly and has a top;
// heading and gaze are critically damped springs that take the shorter way round; animations cross-fade one at a time.

import type { Blackboard } from './blackboard.ts';
import { animation } from './codes.ts';
import { runs } from './policies.ts';

/** A body turns at most so fast, radians a second; eyes are quicker. */
export const fastestTurn = 7;
export const fastestGaze = 12;
/** Seconds in which one animation gives way to the next. */
export const fadeSeconds = 0.2;
/** Stiffness of the springs, per second. */
const turnStiffness = 9;
const gazeStiffness = 14;
/** Seconds in which two thirds of a change of velocity are made. */
const velocitySeconds = 0.12;
/** A body that moves slower than this part of its walk, and turns slower than so many radians a second, rests. */
const creeps = 0.002;
const turnsLeast = 0.002;
/** Slows down for its target at this rate, per second. */
const arrival = 3;

const pi = Math.PI;

/** The clock is looked at each time that so many were moved: that takes a few microseconds. */
const slice = 128;
/** Nobody is moved farther at once than in a frame of this length. */
const longestStepSeconds = 0.1;

/**
 * Moves everybody, frame after frame; where a frame is full, the rest of them in the next one. Numbers with fractions stay in
 * objects that are written in place: as arguments they would be boxed.
 */
export class Steering {
  readonly #b: Blackboard;
  /** Who is moved first in the next frame. */
  #next = 0;
  /** The step of this frame, and that of who was left out in an earlier one. */
  readonly #step = new Step();
  readonly #longer = new Step();

  constructor(b: Blackboard) {
    this.#b = b;
  }

  /** Somebody new need not make up for anything. */
  enter(i: number): void {
    this.#b.movedAt[i] = this.#step.to;
  }

  /**
   * Moves by `seconds`, which the caller keeps small (at most a tenth). Once `performance.now()` is past `until` the rest is
   * left to the next frame, which begins with them; a few are moved in any case. Returns how many were left.
   */
  move(seconds: number, until: number): number {
    const { size, movedAt } = this.#b;
    const step = this.#step;
    step.from = step.to;
    step.to += seconds;
    step.take(seconds);
    let i = this.#next < size ? this.#next : 0;
    let left = size;
    while (left > 0) {
      // Who was left out together makes up for the same time.
      const most = Math.min(size, i + Math.min(slice, left));
      let end = i + 1;
      while (end < most && movedAt[end] === movedAt[i]) end++;
      if (movedAt[i] === step.from) steer(this.#b, i, end, step);
      else {
        const longer = this.#longer;
        longer.to = step.to;
        longer.take(Math.min(longestStepSeconds, step.to - movedAt[i]!));
        steer(this.#b, i, end, longer);
      }
      left -= end - i;
      i = end === size ? 0 : end;
      if (left > 0 && until < Number.POSITIVE_INFINITY && performance.now() >= until) break;
    }
    this.#next = i;
    return left;
  }
}

/** What a step of some length does to springs and eases. */
class Step {
  /** The time of all frames, in seconds, that it begins and ends at. Fractions, so that the fields hold such from the start. */
  from = 0.5;
  to = 0.5;
  seconds = 0.5;
  ease = 0.5;
  fade = 0.5;
  turnPull = 0.5;
  turnDamp = 0.5;
  gazePull = 0.5;
  gazeDamp = 0.5;

  take(seconds: number): void {
    this.seconds = seconds;
    this.ease = 1 - Math.exp(-seconds / velocitySeconds);
    this.fade = seconds / fadeSeconds;
    this.turnPull = seconds * turnStiffness * turnStiffness;
    this.turnDamp = 1 / (1 + seconds * turnStiffness) ** 2;
    this.gazePull = seconds * gazeStiffness * gazeStiffness;
    this.gazeDamp = 1 / (1 + seconds * gazeStiffness) ** 2;
  }
}

/**
 * Moves those from `first` up to `end`. Of a crowd most stand: who has come to rest is left alone until it decides anew, which
 * matters most when the caches are cold.
 */
function steer(b: Blackboard, first: number, end: number, step: Readonly<Step>): void {
  const { alive, movedAt, x, y, vx, vy, targetX, targetY, pace, reach, pushX, pushY, speed } = b;
  const { heading, turn, face, gaze, gazeTurn, look, pose, still } = b;
  const { animation: shown, animationFrom, animationWeight } = b;
  const { to, seconds, ease, fade, turnPull, turnDamp, gazePull, gazeDamp } = step;

  for (let i = first; i < end; i++) {
    movedAt[i] = to;
    if (alive[i] === 0 || still[i] === 1) continue;

    // ---- position ----
    let wantX = pushX[i]!;
    let wantY = pushY[i]!;
    const walk = speed[i]!;
    const going = pace[i]!;
    if (going > 0) {
      const dx = targetX[i]! - x[i]!;
      const dy = targetY[i]! - y[i]!;
      const distance = Math.sqrt(dx * dx + dy * dy);
      const left = distance - reach[i]!;
      if (left > 0 && distance > 0) {
        const slow = left * arrival;
        const k = Math.min(slow, going) / distance;
        wantX += dx * k;
        wantY += dy * k;
      }
    }
    const top = walk * runs;
    const want2 = wantX * wantX + wantY * wantY;
    if (want2 > top * top) {
      const k = top / Math.sqrt(want2);
      wantX *= k;
      wantY *= k;
    }
    // Between two velocities below the top there is none above it.
    const nextX = vx[i]! + (wantX - vx[i]!) * ease;
    const nextY = vy[i]! + (wantY - vy[i]!) * ease;
    vx[i] = nextX;
    vy[i] = nextY;
    x[i] = x[i]! + nextX * seconds;
    y[i] = y[i]! + nextY * seconds;

    // ---- heading and gaze ----
    const speed2 = nextX * nextX + nextY * nextY;
    const moves = speed2 > 0.04 * walk * walk;
    // Who stops keeps the direction.
    if (moves) face[i] = Math.atan2(nextY, nextX);
    let away = face[i]! - heading[i]!;
    if (away > pi) away -= 2 * pi;
    else if (away < -pi) away += 2 * pi;
    let rate = (turn[i]! + turnPull * away) * turnDamp;
    rate = Math.max(-fastestTurn, Math.min(fastestTurn, rate));
    turn[i] = rate;
    let rests = Math.abs(away) < turnsLeast && Math.abs(rate) < turnsLeast;
    let angle = heading[i]! + rate * seconds;
    if (angle > pi) angle -= 2 * pi;
    else if (angle < -pi) angle += 2 * pi;
    heading[i] = angle;

    away = look[i]! - gaze[i]!;
    if (away > pi) away -= 2 * pi;
    else if (away < -pi) away += 2 * pi;
    rate = (gazeTurn[i]! + gazePull * away) * gazeDamp;
    rate = Math.max(-fastestGaze, Math.min(fastestGaze, rate));
    gazeTurn[i] = rate;
    rests = rests && Math.abs(away) < turnsLeast && Math.abs(rate) < turnsLeast;
    angle = gaze[i]! + rate * seconds;
    if (angle > pi) angle -= 2 * pi;
    else if (angle < -pi) angle += 2 * pi;
    gaze[i] = angle;

    // ---- animation: one change at a time, so that all weights go on without a jump ----
    const shows = moves ? (speed2 > 1.7 * walk * walk ? animation.run : animation.walk) : pose[i]!;
    const weight = animationWeight[i]!;
    if (weight < 1) {
      if (shows === animationFrom[i] && shows !== shown[i]) {
        animationFrom[i] = shown[i]!;
        shown[i] = shows;
        animationWeight[i] = 1 - weight;
      } else animationWeight[i] = Math.min(1, weight + fade);
    } else if (shows !== shown[i]) {
      animationFrom[i] = shown[i]!;
      shown[i] = shows;
      animationWeight[i] = 0;
    } else if (rests) {
      const slow = creeps * walk;
      if (speed2 >= slow * slow || want2 >= slow * slow) continue;
      vx[i] = 0;
      vy[i] = 0;
      turn[i] = 0;
      gazeTurn[i] = 0;
      still[i] = 1;
    }
  }
}
