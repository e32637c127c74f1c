// What a character feels and notices: its needs, who is near, what frightens it. policies.ts decides by it.

import type { Blackboard } from './blackboard.ts';
import { perception, policy } from './codes.ts';
import type { Surroundings } from './surroundings.ts';

/** Metres: as far it runs from what frightens it, as near are those it talks with, so much room it wants for itself. */
export const flees = 9;
const chatsWithin = 3.5;
const keepsApart = 0.8;

/** Lets its needs grow and shrink with the time since it last decided, and sees how far away the player is. */
export function feel(b: Blackboard, s: Surroundings, i: number): void {
  const elapsed = Math.min(1, Math.max(0, (s.nowMs - b.decidedAt[i]!) / 1_000));
  b.decidedAt[i] = s.nowMs;
  const calm = 1 / (1 + elapsed / 4);
  b.alertness[i] = b.alertness[i]! * calm;
  if (b.alertness[i]! < 0.02) b.fright[i] = 0;
  const busy = b.policy[i] === policy.walk;
  b.restlessness[i] = within01(b.restlessness[i]! + (busy ? -elapsed / 8 : elapsed / 14));
  const chats = b.policy[i] === policy.chatter;
  b.loneliness[i] = within01(b.loneliness[i]! + (chats ? -elapsed / 10 : (elapsed / 25) * b.sociability[i]!));
  const dx = s.playerX - b.x[i]!;
  const dy = s.playerY - b.y[i]!;
  b.playerDistance2[i] = s.hasPlayer ? dx * dx + dy * dy : Number.POSITIVE_INFINITY;
  const looks = b.policy[i] === policy.look;
  b.curiosity[i] = within01(b.curiosity[i]! + (looks ? -elapsed / 6 : elapsed / 15));
}

/** Looks around: keeps apart from those who stand too close. Returns who would talk with it, or −1. */
export function meet(b: Blackboard, s: Surroundings, i: number): number {
  const x = b.x[i]!;
  const y = b.y[i]!;
  s.grid.put(i, x, y);
  const count = s.grid.around(x, y, s.neighbours);
  const apart = keepsApart * s.metre;
  const near = chatsWithin * s.metre;
  let pushX = 0;
  let pushY = 0;
  let friend = -1;
  let nearest2 = near * near;
  for (let k = 0; k < count; k++) {
    const j = s.neighbours[k]!;
    if (j === i) continue;
    const dx = x - b.x[j]!;
    const dy = y - b.y[j]!;
    const d2 = dx * dx + dy * dy;
    if (d2 < apart * apart) {
      // Two on the very same spot part by their numbers.
      const d = Math.sqrt(d2);
      const force = ((apart - d) / apart) * b.speed[i]!;
      pushX += d > 0 ? (dx / d) * force : i > j ? force : -force;
      pushY += d > 0 ? (dy / d) * force : 0;
    }
    if (d2 < nearest2 && isOpen(b, j)) {
      nearest2 = d2;
      friend = j;
    }
  }
  const { ground } = s;
  // Not into a wall.
  const blocked =
    (pushX !== 0 || pushY !== 0) &&
    ground.isFree !== undefined &&
    !ground.isFree(x + pushX * 0.4, y + pushY * 0.4);
  b.pushX[i] = blocked ? 0 : pushX;
  b.pushY[i] = blocked ? 0 : pushY;
  return friend;
}

function isOpen(b: Blackboard, j: number): boolean {
  const does = b.policy[j]!;
  return (
    b.partner[j]! < 0 &&
    b.talking[j] === 0 &&
    b.loneliness[j]! > 0.3 &&
    (does === policy.idle || does === policy.look || does === policy.walk)
  );
}

/** 0 and up; above 0.3 it runs. */
export function fearOf(b: Blackboard, s: Surroundings, i: number): number {
  if (b.fright[i] === 0) return 0;
  const dx = b.x[i]! - b.threatX[i]!;
  const dy = b.y[i]! - b.threatY[i]!;
  const far = flees * s.metre;
  const closeness = Math.max(0, 1 - (dx * dx + dy * dy) / (4 * far * far));
  return b.alertness[i]! * closeness * (1.4 - b.boldness[i]!);
}

/** What a perception does to somebody who has it. */
export function frighten(
  b: Blackboard,
  s: Surroundings,
  i: number,
  kind: number,
  x: number,
  y: number,
  strength: number,
): void {
  b.perceived[i] = kind;
  b.perceivedAt[i] = s.nowMs;
  // What matters most just now keeps its place in mind.
  if (strength < b.alertness[i]! * 0.5) return;
  b.threatX[i] = x;
  b.threatY[i] = y;
  b.alertness[i] = within01(Math.max(b.alertness[i]!, strength));
  if (kind !== perception.sight) b.fright[i] = 1;
}

function within01(value: number): number {
  return value < 0 ? 0 : value > 1 ? 1 : value;
}
