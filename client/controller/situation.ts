// The situation of a character, three times: as a number, in which situations that should have the same answer are equal;
// as a few small numbers, which the game's thread has at hand; and as the plain sentences for a small language model
// that are made of those, in another thread where there is one.

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

/** A situation in small numbers: what `describe` needs to know of it beside the names of the places. */
export const factsLength = 7;

/** Writes the facts of character i into `out`: hour, place, player, perception, where from, how loud, what it does. */
export function factsOf(b: Blackboard, s: Surroundings, i: number, out: Uint8Array): void {
  const { places } = s;
  const perceived = perceivedOf(b, s, i);
  out[0] = timeOf(s.hour);
  out[1] = places.nearest(b.x[i]!, b.y[i]!, atPlace * s.metre) + 1;
  out[2] = bandOf(b, s, i);
  out[3] = perceived;
  out[4] =
    perceived === perception.noise
      ? places.nearest(b.threatX[i]!, b.threatY[i]!, 2 * atPlace * s.metre) + 1
      : 0;
  out[5] = b.alertness[i]! > 0.5 ? 1 : 0;
  out[6] = doingOf(b.policy[i]!);
}

/** What a character in this situation sees and does, in at most 500 characters. */
export function describe(facts: Uint8Array, places: readonly string[]): string {
  const [time, place, band, perceived, from, loud, does] = facts as unknown as number[];
  const words = [`It is ${times[time!]}.`];
  if (place! > 0) words.push(`You are at the ${places[place! - 1]}.`);
  words.push(player[band!]!);
  switch (perceived) {
    case perception.attacked:
      words.push('Somebody has just attacked you.');
      break;
    case perception.noise:
      words.push(
        `A ${loud ? 'loud ' : ''}noise has just come${from! > 0 ? ` from the ${places[from! - 1]}` : ''}.`,
      );
      break;
    case perception.sight:
      words.push('Something has just happened near you.');
      break;
  }
  words.push(doing[does!]!);
  return words.join(' ').slice(0, longest);
}

const player = [
  'The traveller stands next to you.',
  'The traveller is near.',
  'The traveller is some way off.',
  'The traveller is not here.',
] as const;

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
