// Authored exchanges: what a player says and what a character answers and does, as an author writes them in
// npcs/exchanges/<id>.jsonl. Here is their form, and how tables (`each`) become rows. Judges no content.

import { z } from 'zod';

export const kinds = [
  'fact',
  'smalltalk',
  'sum',
  'buy',
  'unknown',
  'safety',
  'language',
  'dialogue',
  'think',
] as const;
export type Kind = (typeof kinds)[number];

const text = (most: number) => z.string().trim().min(1).max(most);
const value = z.union([z.string().max(200), z.number(), z.boolean()]);

const act = z.strictObject({
  verb: z.string().min(1).max(40),
  args: z.record(z.string(), value).default({}),
});
export type AuthoredAct = Readonly<z.output<typeof act>>;
const acts = z.array(act).max(4);

const turn = z.strictObject({
  /** One wording or several of the same thing; each is trained. */
  player: z.union([text(500), z.array(text(500)).min(1).max(24)]),
  npc: z.string().min(1).max(500),
  /** What goes with this answer. */
  does: acts.default([]),
});

export const exchangeSchema = z
  .strictObject({
    id: z.string().regex(/^[a-z0-9][a-z0-9_-]{0,63}$/, 'must be lower-case letters, digits, - and _'),
    kind: z.enum(kinds),
    turns: z.array(turn).min(1).max(8).optional(),
    /** Columns of equal length; `{column}` in any text, state or context is replaced row by row. */
    each: z
      .record(z.string().regex(/^[a-z][a-z0-9_]*$/), z.array(z.string().max(80)).min(1).max(64))
      .optional(),
    /** What the game tells, beside the player's words. */
    state: z.record(z.string().min(1).max(80), value).optional(),
    /** What the player's game says about the scene; in kind think the situation itself. */
    context: text(500).optional(),
    /** Of kind think: what the character then does. */
    does: acts.optional(),
  })
  .superRefine((exchange, { addIssue }) => {
    const fault = (place: string, message: string) => addIssue({ code: 'custom', path: [place], message });
    const { kind, turns, context, does, each } = exchange;
    if (kind === 'think') {
      if (turns) fault('turns', 'a thought has none: nobody speaks');
      if (context === undefined) fault('context', 'a thought needs one: what the game tells of the scene');
      if (does === undefined) fault('does', 'a thought needs it: one act, or [] for nothing');
    } else {
      if (!turns) fault('turns', 'is missing: what the player says and what is answered');
      if (does) fault('does', 'belongs to a turn; only a thought has it here');
      if (kind === 'dialogue' && turns && turns.length < 2) fault('turns', 'a dialogue has two at least');
      if (kind !== 'dialogue' && turns && turns.length > 1)
        fault('turns', 'has several: make it of kind dialogue');
    }
    const columns = Object.entries(each ?? {});
    if (each && columns.length === 0) fault('each', 'has no columns');
    const lengths = new Set(columns.map(([, rows]) => rows.length));
    if (lengths.size > 1)
      fault(
        'each',
        `has columns of unequal length: ${columns.map(([n, c]) => `${n} ${c.length}`).join(', ')}`,
      );
    const { each: _, id: __, kind: ___, ...texts } = exchange;
    const used = new Set([...JSON.stringify(texts).matchAll(placeholder)].map(([, name]) => name!));
    for (const name of used)
      if (!Object.hasOwn(each ?? {}, name)) fault('each', `has no column ${name}, which {${name}} asks for`);
    for (const [name] of columns) if (!used.has(name)) fault('each', `nothing uses its column ${name}`);
  });
export type Exchange = Readonly<z.output<typeof exchangeSchema>>;

const placeholder = /\{([a-z][a-z0-9_]*)\}/g;

export interface SpokenTurn {
  /** Of the same thing; never empty. */
  readonly wordings: readonly string[];
  readonly answer: string;
  readonly does: readonly AuthoredAct[];
}

/** One row of an exchange, with nothing left to be replaced. */
export interface Row {
  /** From 0; an exchange without a table has one. */
  readonly row: number;
  readonly turns: readonly SpokenTurn[];
  readonly state: Readonly<Record<string, string | number | boolean>>;
  readonly context: string | undefined;
  /** What a thought does. */
  readonly does: readonly AuthoredAct[];
}

/** The rows of an exchange. A value that was nothing but a number in a table is a number again. */
export function rowsOf(exchange: Exchange): readonly Row[] {
  const { each = {}, turns = [], state = {}, context, does = [] } = exchange;
  const count = Object.values(each)[0]?.length ?? 1;
  return Array.from({ length: count }, (_, row) => {
    const filled = fill({ turns, state, context, does }, (name) => each[name]![row]!);
    return {
      row,
      turns: filled.turns.map((t) => ({ wordings: [t.player].flat(), answer: t.npc, does: t.does })),
      state: filled.state,
      context: filled.context,
      does: filled.does,
    };
  });
}

function fill<T>(part: T, cell: (name: string) => string): T {
  if (typeof part === 'string') {
    const full = part.replace(placeholder, (_, name: string) => cell(name));
    return (full !== part && /^\{\w+\}$/.test(part) && /^-?\d+$/.test(full) ? Number(full) : full) as T;
  }
  if (Array.isArray(part)) return part.map((inner) => fill(inner, cell)) as T;
  if (typeof part !== 'object' || part === null) return part;
  return Object.fromEntries(Object.entries(part).map(([key, inner]) => [key, fill(inner, cell)])) as T;
}
