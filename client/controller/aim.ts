// What a movement leads to: a place, home, the player or another character, by the names that models use.

import type { Intent } from '../../bus/protocol.ts';
import type { Blackboard } from './blackboard.ts';
import { goal, policy } from './codes.ts';
import type { Names } from './names.ts';
import { plain } from './places.ts';
import { locate } from './policies.ts';
import type { Surroundings } from './surroundings.ts';
import type { KnownVerb } from './verbs.ts';

/** Sets the goal of character i. False: there is nothing of that name. */
export function aim(
  b: Blackboard,
  s: Surroundings,
  names: Names,
  i: number,
  verb: KnownVerb,
  { args }: Intent,
): boolean {
  if (verb.policy !== policy.go && verb.policy !== policy.approach) {
    b.goal[i] = goal.none;
    return true;
  }
  const { place, target } = args;
  const named = verb.policy === policy.go ? (place ?? target) : (target ?? place);
  if (typeof named !== 'string') return false;
  const name = plain(named);
  const k = s.places.find(name);
  if (name === 'home') to(b, i, b.homeX[i]!, b.homeY[i]!);
  else if (k >= 0) to(b, i, s.places.x[k]!, s.places.y[k]!);
  else if (s.hasPlayer && (name === 'traveller' || name === 'player')) b.goal[i] = goal.player;
  else {
    const other = names.find(name);
    if (other < 0 || other === i) return false;
    b.goal[i] = goal.character;
    b.goalOf[i] = other;
  }
  locate(b, s, i);
  return true;
}

function to(b: Blackboard, i: number, x: number, y: number): void {
  b.goal[i] = goal.point;
  b.goalX[i] = x;
  b.goalY[i] = y;
}
