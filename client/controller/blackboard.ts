// What is known of each character, as one array for each fact, made once for `capacity` characters. Everything that
// runs in the game loop reads and writes here and allocates nothing. It has no rules of its own.

import { animation, policy } from './codes.ts';

/** Seconds, radians, and the game's units of length, if nothing else is said. */
export class Blackboard {
  readonly capacity: number;
  /** One above the highest index in use. */
  size = 0;
  readonly alive: Uint8Array;
  readonly random: Uint32Array;

  // ---- the body ----
  readonly x: Float64Array;
  readonly y: Float64Array;
  readonly vx: Float64Array;
  readonly vy: Float64Array;
  readonly heading: Float64Array;
  readonly turn: Float64Array;
  readonly gaze: Float64Array;
  readonly gazeTurn: Float64Array;
  /** The animation that comes up with `animationWeight`, and the one that goes down with 1 − `animationWeight`. */
  readonly animation: Uint8Array;
  readonly animationFrom: Uint8Array;
  readonly animationWeight: Float64Array;

  // ---- what it wants of its body; decided a few times a second ----
  readonly targetX: Float64Array;
  readonly targetY: Float64Array;
  /** Speed towards the target; 0 stands. */
  readonly pace: Float64Array;
  /** Near enough to the target. */
  readonly reach: Float64Array;
  /** Where its body turns when it stands, and where its eyes go. */
  readonly face: Float64Array;
  readonly look: Float64Array;
  /** Velocity away from those who stand too close. */
  readonly pushX: Float64Array;
  readonly pushY: Float64Array;
  /** The animation when it stands. */
  readonly pose: Uint8Array;
  /** 1: its body does all that is wanted of it and rests; whoever wants something else of it writes 0. */
  readonly still: Uint8Array;
  /** The time that it was moved to; steering.ts keeps it. */
  readonly movedAt: Float64Array;

  // ---- who it is ----
  readonly homeX: Float64Array;
  readonly homeY: Float64Array;
  readonly speed: Float64Array;
  readonly base: Uint8Array;
  readonly importance: Float64Array;
  readonly boldness: Float64Array;
  readonly sociability: Float64Array;
  /** Number of its name, for the cache. */
  readonly role: Uint16Array;

  // ---- what it knows and feels ----
  readonly policy: Uint8Array;
  /** Milliseconds of the game's clock, as all times are. */
  readonly policySince: Float64Array;
  readonly decidedAt: Float64Array;
  readonly playerDistance2: Float64Array;
  readonly alertness: Float64Array;
  readonly fright: Uint8Array;
  readonly threatX: Float64Array;
  readonly threatY: Float64Array;
  readonly perceived: Uint8Array;
  readonly perceivedAt: Float64Array;
  readonly restlessness: Float64Array;
  readonly loneliness: Float64Array;
  readonly curiosity: Float64Array;
  readonly wanderX: Float64Array;
  readonly wanderY: Float64Array;
  readonly wandering: Uint8Array;
  /** With whom it talks; −1: nobody. */
  readonly partner: Int32Array;
  readonly chatUntil: Float64Array;
  readonly gestureUntil: Float64Array;
  /** 1 while the player talks with it. */
  readonly talking: Uint8Array;
  /** Where its intent leads: a `goal` code, the character it means, the point. */
  readonly goal: Uint8Array;
  readonly goalOf: Int32Array;
  readonly goalX: Float64Array;
  readonly goalY: Float64Array;

  constructor(capacity: number) {
    this.capacity = capacity;
    const numbers = () => new Float64Array(capacity);
    const codes = () => new Uint8Array(capacity);
    this.alive = codes();
    this.random = new Uint32Array(capacity);
    this.x = numbers();
    this.y = numbers();
    this.vx = numbers();
    this.vy = numbers();
    this.heading = numbers();
    this.turn = numbers();
    this.gaze = numbers();
    this.gazeTurn = numbers();
    this.animation = codes();
    this.animationFrom = codes();
    this.animationWeight = numbers();
    this.targetX = numbers();
    this.targetY = numbers();
    this.pace = numbers();
    this.reach = numbers();
    this.face = numbers();
    this.look = numbers();
    this.pushX = numbers();
    this.pushY = numbers();
    this.pose = codes();
    this.still = codes();
    this.movedAt = numbers();
    this.homeX = numbers();
    this.homeY = numbers();
    this.speed = numbers();
    this.base = codes();
    this.importance = numbers();
    this.boldness = numbers();
    this.sociability = numbers();
    this.role = new Uint16Array(capacity);
    this.policy = codes();
    this.policySince = numbers();
    this.decidedAt = numbers();
    this.playerDistance2 = numbers();
    this.alertness = numbers();
    this.fright = codes();
    this.threatX = numbers();
    this.threatY = numbers();
    this.perceived = codes();
    this.perceivedAt = numbers();
    this.restlessness = numbers();
    this.loneliness = numbers();
    this.curiosity = numbers();
    this.wanderX = numbers();
    this.wanderY = numbers();
    this.wandering = codes();
    this.partner = new Int32Array(capacity).fill(-1);
    this.chatUntil = numbers();
    this.gestureUntil = numbers();
    this.talking = codes();
    this.goal = codes();
    this.goalOf = new Int32Array(capacity).fill(-1);
    this.goalX = numbers();
    this.goalY = numbers();
  }

  /** Makes index i that of somebody who has just come: calm, standing, with needs by its own chance. */
  enter(i: number, x: number, y: number, heading: number, nowMs: number): void {
    this.alive[i] = 1;
    this.x[i] = x;
    this.y[i] = y;
    for (const zero of [this.vx, this.vy, this.turn, this.gazeTurn, this.pace, this.pushX, this.pushY])
      zero[i] = 0;
    for (const angle of [this.heading, this.gaze, this.face, this.look]) angle[i] = heading;
    for (const code of [this.animation, this.animationFrom, this.pose]) code[i] = animation.stand;
    for (const flag of [this.fright, this.perceived, this.wandering, this.talking, this.goal, this.still])
      flag[i] = 0;
    this.animationWeight[i] = 1;
    this.policy[i] = policy.idle;
    this.policySince[i] = nowMs;
    this.decidedAt[i] = nowMs;
    this.playerDistance2[i] = Number.POSITIVE_INFINITY;
    this.alertness[i] = 0;
    this.perceivedAt[i] = Number.NEGATIVE_INFINITY;
    this.restlessness[i] = this.chance(i);
    this.curiosity[i] = 1;
    this.partner[i] = -1;
    this.goalOf[i] = -1;
    this.gestureUntil[i] = 0;
  }

  /** The game's clock was set anew: all times move by so much. */
  shift(ms: number): void {
    const times = [this.policySince, this.decidedAt, this.perceivedAt, this.chatUntil, this.gestureUntil];
    for (const time of times) for (let i = 0; i < this.size; i++) time[i] = time[i]! + ms;
  }

  /** A number from 0 up to 1 of character i's own sequence: the same seed and calls give the same lives. */
  chance(i: number): number {
    let s = this.random[i]!;
    s ^= s << 13;
    s ^= s >>> 17;
    s ^= s << 5;
    this.random[i] = s;
    return (s >>> 0) / 0x1_0000_0000;
  }
}
