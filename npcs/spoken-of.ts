// Who and what can be spoken of in a game, and by which pronoun: "he" is Tam once Tam was spoken of. Written in game.yaml, read
// by tiers/recollection/by-name.ts.

import { z } from 'zod';

export const spokenOfSchema = z.strictObject({
  /** As it stands in a sentence: "Tam", "the iron mine". */
  name: z.string().trim().min(1).max(40),
  /** Other words for it, without an article; the name need not be among them. */
  called: z.array(z.string().trim().min(1).max(40)).max(16).default([]),
  as: z.enum(['he', 'she', 'it', 'they']),
});

export type SpokenOf = Readonly<z.output<typeof spokenOfSchema>>;
