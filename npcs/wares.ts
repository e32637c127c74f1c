// What a character sells, as its author writes it: a name, a price in gold, the words that players use for it.

import { z } from 'zod';

export const wareSchema = z.strictObject({
  /** One of it, without an article: "sword", "bowl of stew". */
  name: z.string().trim().min(1).max(40),
  /** Several of it; left out, it is the name with an s. */
  many: z.string().trim().min(1).max(40).optional(),
  /** In gold, of one. */
  price: z.number().int().min(0).max(1_000_000),
  /** Several people share one: a room for two costs what a room for one does, unless each wants their own. */
  shared: z.boolean().default(false),
  /** Work, and no thing: "both" and "one of each" do not mean it. */
  service: z.boolean().default(false),
  /** Words for it; their endings do not count. The name itself need not be among them. */
  called: z.array(z.string().trim().min(1).max(40)).max(16).default([]),
});

export type Ware = Readonly<z.output<typeof wareSchema>>;

/** Several wares under one name, in whatever order they come. */
export function nameOf(wares: readonly Ware[]): string {
  return wares
    .map(({ name }) => name)
    .sort()
    .join(' + ');
}
