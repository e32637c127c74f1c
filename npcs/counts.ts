// What a character has counted, as its author writes it: "I counted twenty goblins."

import { z } from 'zod';

export const countSchema = z.strictObject({
  /** One of them: "goblin". */
  name: z.string().trim().min(1).max(40),
  /** Several: "goblins". */
  many: z.string().trim().min(1).max(40),
  count: z.number().int().min(1).max(1_000_000),
  /** So many each day, or for each way of a walk; left out: there are so many. */
  per: z.enum(['day', 'way']).optional(),
  /** Of what: phrases of which all words must have been said, now or just before. Needed with `per`. */
  about: z.array(z.string().trim().min(1).max(60)).max(16).default([]),
});

export type Count = Readonly<z.output<typeof countSchema>>;
