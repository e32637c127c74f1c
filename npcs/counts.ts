// What a character has counted, as its author writes it: "I counted twenty goblins."

import { z } from 'zod';

export const countSchema = z.strictObject({
  /** One of them: "goblin". */
  name: z.string().trim().min(1).max(40),
  /** Several: "goblins". */
  many: z.string().trim().min(1).max(40),
  count: z.number().int().min(1).max(1_000_000),
});

export type Count = Readonly<z.output<typeof countSchema>>;
