// The light of the day: which colour lies over the village at an hour, and how strongly lanterns and windows shine.

import { type Colour, mix } from '../art/pixels.ts';

/** Hours, the colour that everything is multiplied with, and how dark it is for lamps. */
const day: readonly (readonly [hour: number, colour: Colour, lamps: number])[] = [
  [0, 0x545c9c, 1],
  [4.5, 0x5f66a6, 1],
  [6, 0xd9a7a8, 0.5],
  [7.5, 0xffe6c4, 0],
  [10, 0xffffff, 0],
  [15.5, 0xffffff, 0],
  [17.5, 0xffe0ae, 0.05],
  [18.7, 0xf0b391, 0.45],
  [20, 0x9a80b0, 0.9],
  [21.5, 0x545c9c, 1],
  [24, 0x545c9c, 1],
];

/** Real seconds that an hour of the village takes. */
export const hourSeconds = 25;

export function lightAt(hour: number): { colour: Colour; lamps: number } {
  const h = ((hour % 24) + 24) % 24;
  const next = Math.max(
    1,
    day.findIndex(([at]) => at > h),
  );
  const [from, colour, lamps] = day[next - 1]!;
  const [to, laterColour, laterLamps] = day[next]!;
  const share = (h - from) / (to - from);
  return { colour: mix(colour, laterColour, share), lamps: lamps + (laterLamps - lamps) * share };
}
