// What a character does of its own accord: small policies, chosen by utility over its blackboard a few times a second.
// Says where the body should go and look; how it gets there is steering.ts. Asks nobody and allocates nothing.

import type { Blackboard } from './blackboard.ts';
import { animation, goal, policy } from './codes.ts';
import { fearOf, feel, flees, meet } from './senses.ts';
import type { Surroundings } from './surroundings.ts';

/** Distances in metres, times in milliseconds. */
const armsLength = 1.2;
const seesPlayer = 7;
const wanders = 8;
const coverWithin = 18;
const chatsAt = 1.3;
const staysMs = 700;

/** How fast a character runs, as a multiple of its walk. */
export const runs = 2.2;

/**
 * Decides what character i does next. `intended` is the policy of its intent or −1; how sure the model was of it is in
 * `confidence`: fear may break it for a while. (Numbers with fractions come in arrays: as arguments they would be boxed.)
 */
export function decide(
  b: Blackboard,
  s: Surroundings,
  i: number,
  intended: number,
  confidence: Float64Array,
): void {
  b.still[i] = 0;
  feel(b, s, i);
  const friend = meet(b, s, i);
  const fear = fearOf(b, s, i);
  let next: number;
  if (intended >= 0 && fear <= 0.5 + 0.4 * confidence[i]!) next = intended;
  else if (fear > 0.3) next = flight(b, s, i);
  else if (b.talking[i] === 1) next = policy.look;
  else next = habit(b, s, i, friend);
  if (next !== b.policy[i]) {
    if (b.policy[i] === policy.chatter) part(b, i);
    // The other may have begun it.
    if (next === policy.chatter && b.partner[i]! < 0) pair(b, s, i, friend);
    b.policy[i] = next;
    b.policySince[i] = s.nowMs;
    b.wandering[i] = 0;
  }
  carryOut(b, s, i);
}

/** Ends a conversation for both. */
export function part(b: Blackboard, i: number): void {
  const other = b.partner[i]!;
  b.partner[i] = -1;
  if (other >= 0 && b.partner[other] === i) b.partner[other] = -1;
}

/** To cover where there is some that is no nearer to the threat, else away. */
function flight(b: Blackboard, s: Surroundings, i: number): number {
  const k = coverNear(b, s, i);
  if (k < 0) return policy.flee;
  const fromThreat = Math.hypot(s.places.x[k]! - b.threatX[i]!, s.places.y[k]! - b.threatY[i]!);
  const now = Math.hypot(b.x[i]! - b.threatX[i]!, b.y[i]! - b.threatY[i]!);
  return fromThreat >= Math.min(now, 3 * s.metre) ? policy.take_cover : policy.flee;
}

function habit(b: Blackboard, s: Surroundings, i: number, friend: number): number {
  const now = b.policy[i]!;
  const base = b.base[i]!;
  const partner = b.partner[i]!;
  if (partner >= 0) {
    const keeps = b.partner[partner] === i && s.nowMs < b.chatUntil[i]! && b.alive[partner] === 1;
    if (keeps) return policy.chatter;
    part(b, i);
  }
  // Nobody changes their mind all the time. What is over by itself is not kept.
  const young = s.nowMs - b.policySince[i]! < staysMs;
  if (young && (now === policy.idle || now === policy.look)) return now;

  let best: number = policy.idle;
  let most = 0.25 + (base === policy.idle ? 0.2 : 0) + (now === policy.idle ? 0.05 : 0);
  const sees = b.playerDistance2[i]! < (seesPlayer * s.metre) ** 2;
  const startled = b.alertness[i]! > 0.15;
  const looking =
    (startled ? 0.9 : sees ? b.curiosity[i]! * 0.7 : 0) +
    (base === policy.look && sees ? 0.3 : 0) +
    (now === policy.look ? 0.05 : 0);
  if (looking > most) {
    most = looking;
    best = policy.look;
  }
  const walking =
    (now === policy.walk && b.wandering[i] === 1 ? 0.7 : b.restlessness[i]! * 0.6) +
    (base === policy.walk ? 0.25 : 0);
  if (walking > most) {
    most = walking;
    best = policy.walk;
  }
  const chatting = friend >= 0 ? b.loneliness[i]! * 0.75 + (base === policy.chatter ? 0.3 : 0) : 0;
  if (chatting > most) {
    most = chatting;
    best = policy.chatter;
  }
  if (base === policy.follow && s.hasPlayer && most < 0.85) best = policy.follow;
  return best;
}

function pair(b: Blackboard, s: Surroundings, i: number, friend: number): void {
  const until = s.nowMs + 4_000 + 8_000 * b.chance(i);
  b.partner[i] = friend;
  b.partner[friend] = i;
  b.chatUntil[i] = until;
  b.chatUntil[friend] = until;
}

/** Turns the policy into what the body should do until the next decision. */
function carryOut(b: Blackboard, s: Surroundings, i: number): void {
  const m = s.metre;
  let pose: number = animation.stand;
  b.pace[i] = 0;
  b.reach[i] = 0.2 * m;
  switch (b.policy[i]) {
    case policy.idle:
      if (b.chance(i) < 0.04) b.look[i] = wrap(b.heading[i]! + (b.chance(i) - 0.5) * 2);
      break;
    case policy.look:
      if (b.talking[i] === 1 || b.alertness[i]! <= 0.15) aimAtPlayer(b, s, i);
      else aimAtThreat(b, i);
      faceTarget(b, i);
      break;
    case policy.walk:
      wander(b, s, i);
      break;
    case policy.flee:
      run(b, s, i);
      break;
    case policy.take_cover:
      if (!hide(b, s, i)) run(b, s, i);
      pose = animation.cower;
      break;
    case policy.follow:
      if (!s.hasPlayer) break;
      aimAtPlayer(b, s, i);
      b.reach[i] = 2 * m;
      pursue(b, s, i, b.playerDistance2[i]! > 36 * m * m);
      break;
    case policy.chatter:
      pose = chat(b, s, i);
      break;
    case policy.go:
    case policy.approach: {
      const near = b.policy[i] === policy.approach || b.goal[i] !== goal.point;
      locate(b, s, i);
      b.targetX[i] = b.goalX[i]!;
      b.targetY[i] = b.goalY[i]!;
      b.reach[i] = (near ? armsLength : 0.3) * m;
      pursue(b, s, i, b.policy[i] === policy.approach);
      break;
    }
  }
  // A gesture is seen to its end.
  if (s.nowMs >= b.gestureUntil[i]!) b.pose[i] = pose;
}

/** Follows a goal that moves. */
export function locate(b: Blackboard, s: Surroundings, i: number): void {
  const other = b.goalOf[i]!;
  if (b.goal[i] === goal.player) {
    b.goalX[i] = s.playerX;
    b.goalY[i] = s.playerY;
  } else if (b.goal[i] === goal.character && b.alive[other] === 1) {
    b.goalX[i] = b.x[other]!;
    b.goalY[i] = b.y[other]!;
  }
}

/** Whether it is as near to its goal as it has to be. */
export function hasReached(b: Blackboard, s: Surroundings, i: number): boolean {
  const dx = b.goalX[i]! - b.x[i]!;
  const dy = b.goalY[i]! - b.y[i]!;
  const near = (armsLength + 0.3) * s.metre;
  return dx * dx + dy * dy <= near * near;
}

// The target says where to go, or, for who stands, where to turn.

function aimAtPlayer(b: Blackboard, s: Surroundings, i: number): void {
  b.targetX[i] = s.playerX;
  b.targetY[i] = s.playerY;
}

function aimAtThreat(b: Blackboard, i: number): void {
  b.targetX[i] = b.threatX[i]!;
  b.targetY[i] = b.threatY[i]!;
}

function faceTarget(b: Blackboard, i: number): void {
  const dx = b.targetX[i]! - b.x[i]!;
  const dy = b.targetY[i]! - b.y[i]!;
  if (dx === 0 && dy === 0) return;
  const angle = Math.atan2(dy, dx);
  b.look[i] = angle;
  b.face[i] = angle;
}

/** Goes up to the target, as near as `reach`, and faces it. */
function pursue(b: Blackboard, s: Surroundings, i: number, hurries: boolean): void {
  faceTarget(b, i);
  const dx = b.targetX[i]! - b.x[i]!;
  const dy = b.targetY[i]! - b.y[i]!;
  // Who stands has a wider ring than who walks, or it would set out again with each step of the other.
  const stands = b.vx[i]! ** 2 + b.vy[i]! ** 2 < (0.1 * b.speed[i]!) ** 2;
  const ring = stands ? b.reach[i]! * 1.3 : b.reach[i]!;
  if (dx * dx + dy * dy > ring * ring) setOut(b, s, i, hurries);
}

/** Sets out for the target, by the game's ways where it has them. False: there is no way. */
function setOut(b: Blackboard, s: Surroundings, i: number, hurries: boolean): boolean {
  const { ground, point } = s;
  if (ground.next) {
    const x = b.targetX[i]!;
    const y = b.targetY[i]!;
    if (!ground.next(b.x[i]!, b.y[i]!, x, y, point)) return false;
    // A way that leads nowhere must not lead into nothing.
    if (!Number.isFinite(point.x) || !Number.isFinite(point.y)) return false;
    // It does not slow down for what is only on its way.
    if (point.x !== x || point.y !== y) b.reach[i] = -2 * s.metre;
    b.targetX[i] = point.x;
    b.targetY[i] = point.y;
  } else if (ground.isFree && !stepIsFree(b, s, i)) return false;
  b.pace[i] = hurries ? b.speed[i]! * runs : b.speed[i]!;
  return true;
}

/** Whether the next step towards the target is free. Who stands where nobody can may go anywhere. */
function stepIsFree(b: Blackboard, s: Surroundings, i: number): boolean {
  const dx = b.targetX[i]! - b.x[i]!;
  const dy = b.targetY[i]! - b.y[i]!;
  const step = Math.min(1, (0.4 * s.metre) / Math.sqrt(dx * dx + dy * dy + 1e-12));
  const { ground } = s;
  return ground.isFree!(b.x[i]! + dx * step, b.y[i]! + dy * step) || !ground.isFree!(b.x[i]!, b.y[i]!);
}

function targetIsFree(b: Blackboard, s: Surroundings, i: number): boolean {
  return s.ground.isFree ? s.ground.isFree(b.targetX[i]!, b.targetY[i]!) : true;
}

function wander(b: Blackboard, s: Surroundings, i: number): void {
  const m = s.metre;
  for (let tries = 0; tries < 4 && b.wandering[i] === 0; tries++) {
    const angle = b.chance(i) * 2 * Math.PI;
    const far = (0.2 + 0.8 * b.chance(i)) * wanders * m;
    b.targetX[i] = b.homeX[i]! + Math.cos(angle) * far;
    b.targetY[i] = b.homeY[i]! + Math.sin(angle) * far;
    if (!targetIsFree(b, s, i)) continue;
    b.wanderX[i] = b.targetX[i]!;
    b.wanderY[i] = b.targetY[i]!;
    b.wandering[i] = 1;
  }
  const dx = b.wanderX[i]! - b.x[i]!;
  const dy = b.wanderY[i]! - b.y[i]!;
  b.targetX[i] = b.wanderX[i]!;
  b.targetY[i] = b.wanderY[i]!;
  const there = dx * dx + dy * dy < (0.5 * m) ** 2;
  const tooLong = s.nowMs - b.policySince[i]! > 20_000;
  if (there || tooLong || b.wandering[i] === 0 || !setOut(b, s, i, false)) {
    b.wandering[i] = 0;
    b.restlessness[i] = 0;
  } else b.look[i] = Math.atan2(dy, dx);
}

function run(b: Blackboard, s: Surroundings, i: number): void {
  // Told to flee with nothing to flee from: it goes away from the player.
  if (b.fright[i] === 1 || !s.hasPlayer) aimAtThreat(b, i);
  else aimAtPlayer(b, s, i);
  const dx = b.x[i]! - b.targetX[i]!;
  const dy = b.y[i]! - b.targetY[i]!;
  const far = flees * s.metre;
  if (dx * dx + dy * dy > far * far) {
    faceTarget(b, i);
    return;
  }
  const away = dx === 0 && dy === 0 ? b.chance(i) * 2 * Math.PI : Math.atan2(dy, dx);
  // Straight away if that is free, else ever more to the sides.
  for (let k = 0; k < 5; k++) {
    const angle = away + (k % 2 === 0 ? 1 : -1) * Math.ceil(k / 2) * 0.7;
    b.targetX[i] = b.x[i]! + Math.cos(angle) * 3 * s.metre;
    b.targetY[i] = b.y[i]! + Math.sin(angle) * 3 * s.metre;
    if (!targetIsFree(b, s, i) || !setOut(b, s, i, true)) continue;
    b.look[i] = wrap(angle);
    return;
  }
}

/** Runs to cover and stays there. False: there is none. */
function hide(b: Blackboard, s: Surroundings, i: number): boolean {
  const k = coverNear(b, s, i);
  if (k < 0) return false;
  b.targetX[i] = s.places.x[k]!;
  b.targetY[i] = s.places.y[k]!;
  const dx = b.targetX[i]! - b.x[i]!;
  const dy = b.targetY[i]! - b.y[i]!;
  b.reach[i] = 0.4 * s.metre;
  if (dx * dx + dy * dy > (0.6 * s.metre) ** 2) setOut(b, s, i, true);
  else {
    aimAtThreat(b, i);
    faceTarget(b, i);
  }
  return true;
}

function coverNear(b: Blackboard, s: Surroundings, i: number): number {
  return s.places.nearest(b.x[i]!, b.y[i]!, coverWithin * s.metre, true);
}

/** Walks up to its partner and faces them; they speak in turns. Returns the pose. */
function chat(b: Blackboard, s: Surroundings, i: number): number {
  const other = b.partner[i]!;
  if (other < 0) return animation.stand;
  b.targetX[i] = b.x[other]!;
  b.targetY[i] = b.y[other]!;
  b.reach[i] = chatsAt * s.metre;
  pursue(b, s, i, false);
  const turn = Math.floor((b.chatUntil[i]! - s.nowMs) / 1_700) % 2;
  return turn === (i < other ? 0 : 1) ? animation.talk : animation.stand;
}

/** Into −π … π. */
export function wrap(angle: number): number {
  return angle > Math.PI ? angle - 2 * Math.PI : angle < -Math.PI ? angle + 2 * Math.PI : angle;
}
