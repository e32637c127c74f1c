// What characters can do: the verbs that every game has, and those that a game declares in npcs/game.yaml. A verb says
// what its arguments are and who has the authority: the player's client, which acts at once, or the game's server,
// which is asked first. Workers constrain models by it, gateways ask by it, clients check by it.

import { z } from 'zod';
import { type SpokenOf, spokenOfSchema } from './spoken-of.ts';

const name = z.string().regex(/^[a-z][a-z0-9_]{0,39}$/, 'must be lower-case letters, digits and _');

/** One argument: a small part of JSON Schema. */
const arg = z.strictObject({
  type: z.enum(['string', 'integer', 'number', 'boolean']),
  description: z.string().trim().min(1).max(200).optional(),
  /** The only values there are. */
  enum: z
    .array(z.union([z.string().max(80), z.number()]))
    .min(1)
    .max(64)
    .optional(),
  minimum: z.number().optional(),
  maximum: z.number().optional(),
  maxLength: z.number().int().min(1).max(500).default(80),
  optional: z.boolean().default(false),
});

export const verbSchema = z.strictObject({
  name,
  /** As a model reads it: "give an item to the traveller". */
  description: z.string().trim().min(1).max(200),
  /** `client`: the player's game acts at once. `server`: the game's server is asked, and the client hears of it after. */
  authority: z.enum(['client', 'server']).default('client'),
  /** How long the intent is good. */
  ttlMs: z.number().int().min(100).max(600_000).default(5_000),
  args: z.record(name, arg).default({}),
});
export type Verb = Readonly<z.output<typeof verbSchema>>;

/** How a fact of the game's state (gold, a quest) is told to the model. */
const statePhrase = z.strictObject({
  /** The line, with {value} in it. Without {value} it is told when the value is true, not 0 and not empty. */
  says: z.string().trim().min(1).max(200),
  /** Words of the player that bring it up. Without any it is always told. */
  about: z.array(z.string().trim().min(1).max(40)).max(32).default([]),
  /** Told together with the character's reminders and not in their place: a purse takes no price's place. */
  beside: z.boolean().default(false),
});
export type StatePhrase = Readonly<z.output<typeof statePhrase>>;

/** Words that take back what their sentence says: it is a denial, a condition, or not yet. English; a game has its own. */
const denials =
  'no not never cannot nothing none nobody neither nor without refuse if unless would could might maybe perhaps tomorrow';

/** A game's own file beside its characters. A verb of its own with a common name replaces the common one. */
export const gameFile = z.strictObject({
  verbs: z.array(verbSchema).max(64).default([]),
  /** By the name of the fact. One that has no phrase is told as `name: value`. */
  state: z.record(z.string().min(1).max(80), statePhrase).default({}),
  denials: z.array(z.string().trim().min(1).max(40)).max(64).default(denials.split(' ')),
  /** Whom and what characters and players speak of: follow-ups ("and where is he?") are understood by it. */
  spokenOf: z.array(spokenOfSchema).max(256).default([]),
});
export const gameFileName = 'game.yaml';

/** What all characters of a game share. */
export interface Game {
  readonly verbs: ReadonlyMap<string, Verb>;
  readonly state: ReadonlyMap<string, StatePhrase>;
  readonly denials: readonly string[];
  readonly spokenOf: readonly SpokenOf[];
}

/** The game of a file, or of none. */
export function gameOf(file: z.output<typeof gameFile> = gameFile.parse({})): Game {
  return {
    verbs: verbsOf(file.verbs),
    state: new Map(Object.entries(file.state)),
    denials: file.denials,
    spokenOf: file.spokenOf,
  };
}

/** What characters of any game do. */
const common = [
  { name: 'say', description: 'say a line', args: { text: { type: 'string', maxLength: 200 } } },
  { name: 'go_to', description: 'walk to a place', ttlMs: 20_000, args: { place: { type: 'string' } } },
  {
    name: 'give',
    description: 'give an item to the traveller',
    authority: 'server',
    args: {
      item: { type: 'string' },
      price: { type: 'integer', minimum: 0, maximum: 1_000_000, optional: true },
    },
  },
  {
    name: 'attack',
    description: 'attack somebody',
    authority: 'server',
    args: { target: { type: 'string' } },
  },
  { name: 'open_shop', description: 'show the wares', ttlMs: 15_000 },
  {
    name: 'emote',
    description: 'show a feeling',
    args: {
      kind: { type: 'string', enum: ['wave', 'nod', 'shrug', 'laugh', 'sigh', 'point', 'cheer', 'bow'] },
    },
  },
] as const satisfies z.input<typeof verbSchema>[];

/** The verbs of a game by name: the common ones, and its own. */
export function verbsOf(own: readonly Verb[] = []): ReadonlyMap<string, Verb> {
  const all = [...common.map((verb) => verbSchema.parse(verb)), ...own];
  return new Map(all.map((verb) => [verb.name, verb]));
}

/** What is wrong with the arguments of an act, or undefined when they are as the verb wants them. */
export function faultOf(verb: Verb, args: Readonly<Record<string, unknown>>): string | undefined {
  for (const key of Object.keys(args))
    if (!Object.hasOwn(verb.args, key)) return `${key}: is no argument of ${verb.name}`;
  for (const [key, spec] of Object.entries(verb.args)) {
    const value = args[key];
    if (value === undefined) {
      if (!spec.optional) return `${key}: is missing`;
      continue;
    }
    const type = spec.type === 'integer' ? 'number' : spec.type;
    if (typeof value !== type) return `${key}: is no ${spec.type}`;
    if (spec.type === 'integer' && !Number.isInteger(value)) return `${key}: is no integer`;
    if (
      typeof value === 'number' &&
      !(value >= (spec.minimum ?? -Infinity) && value <= (spec.maximum ?? Infinity))
    )
      return `${key}: is out of range`;
    if (typeof value === 'string' && value.length > spec.maxLength) return `${key}: is too long`;
    if (spec.enum && !spec.enum.includes(value as string | number)) return `${key}: is none of its values`;
  }
  return undefined;
}

/** JSON Schema of a verb's arguments, for engines that can be constrained by one. */
export function argsSchema(verb: Verb): {
  type: 'object';
  properties: Record<string, object>;
  required: string[];
  additionalProperties: false;
} {
  const properties = Object.fromEntries(
    Object.entries(verb.args).map(([key, { type, enum: values, minimum, maximum, maxLength }]) => [
      key,
      values ? { enum: values } : { type, minimum, maximum, ...(type === 'string' && { maxLength }) },
    ]),
  );
  const required = Object.keys(verb.args).filter((key) => !verb.args[key]!.optional);
  return { type: 'object', properties, required, additionalProperties: false };
}
