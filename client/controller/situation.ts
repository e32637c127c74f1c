// The situation of a character, twice: as a number, in which situations that should have the same answer are equal,
// and as a few plain sentences for a small language model, made only when it is asked.

import type { Blackboard } from './blackboard.ts';
import { perception, policy } from './codes.ts';
import type { Surroundings } from './surroundings.ts';

/** Roles that have a number of their own; the others are not cached. */
export const mostRoles = 1023;
const perceivedForMs = 8_000;
const atPlace = 6;
const times = ['night', 'morning', 'day', 'evening'] as const;
/** Distances of the player in metres: within arm's length, near, in sight, far. */
const bands = [2, 6, 20] as const;
const longest = 500;

/** A number below 2^28. */
export function situationKey(b: Blackboard, s: Surroundings, i: number): number {
  const place = s.places.nearest(b.x[i]!, b.y[i]!, atPlace * s.metre) + 1;
  let key: number = b.role[i]!;
  key = key * 64 + place;
  key = key * 8 + bandOf(b, s, i);
  key = key * 4 + perceivedOf(b, s, i);
  key = key * 4 + Math.min(3, Math.floor(b.alertness[i]! * 4));
  key = key * 4 + timeOf(s.hour);
  return key * 8 + doingOf(b.policy[i]!);
}

/** What the character sees and does, at most 500 characters. */
export function describe(b: Blackboard, s: Surroundings, i: number): string {
  const { places } = s;
  const words = [`It is ${times[timeOf(s.hour)]}.`];
  const place = places.nearest(b.x[i]!, b.y[i]!, atPlace * s.metre);
  if (place >= 0) words.push(`You are at the ${places.names[place]}.`);
  const band = bandOf(b, s, i);
  if (band === 0) words.push('The traveller stands next to you.');
  else if (band === 1) words.push('The traveller is near.');
  else if (band === 2) words.push('The traveller is some way off.');
  else words.push('The traveller is not here.');
  const from = places.nearest(b.threatX[i]!, b.threatY[i]!, 2 * atPlace * s.metre);
  const where = from >= 0 ? ` from the ${places.names[from]}` : '';
  switch (perceivedOf(b, s, i)) {
    case perception.attacked:
      words.push('Somebody has just attacked you.');
      break;
    case perception.noise:
      words.push(`A ${b.alertness[i]! > 0.5 ? 'loud ' : ''}noise has just come${where}.`);
      break;
    case perception.sight:
      words.push('Something has just happened near you.');
      break;
  }
  words.push(doing[doingOf(b.policy[i]!)]!);
  return words.join(' ').slice(0, longest);
}

const doing = [
  'You have nothing to do.',
  'You are taking a walk.',
  'You are running away, afraid.',
  'You are talking with a neighbour.',
  'You are following the traveller.',
  'You are on your way.',
] as const;

function doingOf(code: number): number {
  switch (code) {
    case policy.walk:
      return 1;
    case policy.flee:
    case policy.take_cover:
      return 2;
    case policy.chatter:
      return 3;
    case policy.follow:
      return 4;
    case policy.go:
    case policy.approach:
      return 5;
    default:
      return 0;
  }
}

function bandOf(b: Blackboard, s: Surroundings, i: number): number {
  const m2 = s.metre * s.metre;
  const d2 = b.playerDistance2[i]!;
  for (let k = 0; k < bands.length; k++) if (d2 < bands[k]! * bands[k]! * m2) return k;
  return bands.length;
}

function perceivedOf(b: Blackboard, s: Surroundings, i: number): number {
  return s.nowMs - b.perceivedAt[i]! < perceivedForMs ? b.perceived[i]! : perception.nothing;
}

function timeOf(hour: number): number {
  return hour < 5 || hour >= 21 ? 0 : hour < 10 ? 1 : hour < 17 ? 2 : 3;
}
