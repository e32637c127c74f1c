// What acts a controller takes: the verbs of the game with the shape of their arguments, as `npcs/verbs.ts` declares
// them on the server. A client believes neither its edge nor the model, so every act is checked here again.

import type { Intent } from '../../bus/protocol.ts';
import { type PolicyName, policy } from './codes.ts';

export interface ArgSpec {
  type: 'string' | 'integer' | 'number' | 'boolean';
  enum?: readonly (string | number)[];
  minimum?: number;
  maximum?: number;
  /** Of strings; 80 if it is not said. */
  maxLength?: number;
  optional?: boolean;
}

/** A verb, in the form in which the edge gives it. Fields that are not named here do no harm. */
export interface VerbSpec {
  /** `server`: the game's server was asked before the act came. Such acts are never repeated from the cache. */
  authority?: 'client' | 'server';
  /** How long an intent is good when it does not say so itself. */
  ttlMs?: number;
  args?: Readonly<Record<string, ArgSpec>>;
}

export type VerbSpecs = Readonly<Record<string, VerbSpec>> | ReadonlyMap<string, VerbSpec>;

/** What every game has, unless it says otherwise; the same as in npcs/verbs.ts. */
export const commonVerbs: Readonly<Record<string, VerbSpec>> = {
  say: { args: { text: { type: 'string', maxLength: 200 } } },
  go_to: { ttlMs: 20_000, args: { place: { type: 'string' } } },
  give: {
    authority: 'server',
    args: {
      item: { type: 'string' },
      price: { type: 'integer', minimum: 0, maximum: 1_000_000, optional: true },
    },
  },
  attack: { authority: 'server', args: { target: { type: 'string' } } },
  open_shop: { ttlMs: 15_000 },
  emote: {
    args: {
      kind: { type: 'string', enum: ['wave', 'nod', 'shrug', 'laugh', 'sigh', 'point', 'cheer', 'bow'] },
    },
  },
};

/** Verbs that move a character by themselves, where the game has them. All others are the game's to carry out. */
const movements: Readonly<Record<string, PolicyName>> = {
  go_to: 'go',
  attack: 'approach',
  follow: 'follow',
  flee: 'flee',
  take_cover: 'take_cover',
  wait: 'idle',
};

export interface KnownVerb {
  readonly name: string;
  /** Its number among the verbs of the game. */
  readonly index: number;
  readonly spec: VerbSpec;
  /** The policy that carries it out; −1: it is a moment, not a movement. */
  readonly policy: number;
  readonly ttlMs: number;
}

export class Verbs {
  readonly #known = new Map<string, KnownVerb>();

  constructor(specs: VerbSpecs) {
    for (const [name, spec] of specs instanceof Map ? specs : Object.entries(specs)) {
      const movement = Object.hasOwn(movements, name) ? policy[movements[name]!] : -1;
      const index = this.#known.size;
      this.#known.set(name, { name, index, spec, policy: movement, ttlMs: spec.ttlMs ?? 5_000 });
    }
  }

  /** The verb of an act; undefined when there is none, its form is newer than ours, or its arguments are wrong. */
  check(intent: Intent): KnownVerb | undefined {
    if ((intent.v ?? 1) !== 1) return undefined;
    const verb = this.#known.get(intent.name);
    return verb && argsFit(verb.spec.args ?? {}, intent.args) ? verb : undefined;
  }
}

function argsFit(specs: Readonly<Record<string, ArgSpec>>, args: unknown): boolean {
  if (typeof args !== 'object' || args === null || Array.isArray(args)) return false;
  const given = args as Record<string, unknown>;
  for (const key of Object.keys(given)) if (!Object.hasOwn(specs, key)) return false;
  for (const key of Object.keys(specs)) {
    const spec = specs[key]!;
    const value = Object.hasOwn(given, key) ? given[key] : undefined;
    if (value === undefined ? !spec.optional : !argFits(spec, value)) return false;
  }
  return true;
}

function argFits(spec: ArgSpec, value: unknown): boolean {
  if (spec.enum && !spec.enum.includes(value as string | number)) return false;
  switch (spec.type) {
    case 'boolean':
      return typeof value === 'boolean';
    case 'string':
      return typeof value === 'string' && value.length <= (spec.maxLength ?? 80);
    default:
      return (
        Number.isFinite(value) &&
        (spec.type !== 'integer' || Number.isInteger(value)) &&
        (value as number) >= (spec.minimum ?? Number.NEGATIVE_INFINITY) &&
        (value as number) <= (spec.maximum ?? Number.POSITIVE_INFINITY)
      );
  }
}
