// What a character may do, as its author writes it: a verb, fixed arguments, the words that bring it into question and
// the words that go with it. Checked against the verbs when it is read. Which of them is done is decided in tiers/.

import { z } from 'zod';
import { faultOf, type Verb } from './verbs.ts';

const phrase = z.string().trim().min(1).max(40);
const value = z.union([z.string().max(500), z.number(), z.boolean()]);

export const actSchema = z.strictObject({
  verb: z.string().min(1).max(40),
  /**
   * One value is fixed, of several the model takes one. What the verb needs beside them is the model's choice by the
   * verb's own schema; what the verb can do without is left out.
   */
  args: z.record(z.string(), z.union([value, z.array(value).min(1).max(32)])).default({}),
  /**
   * Words of the player (or of the situation) that bring it into question. Without any, what `says` names is enough,
   * and in mode think it always is in question.
   */
  about: z.array(phrase).max(32).default([]),
  /**
   * Words of the speech that go with it: whoever says them does it, and who does not say them does not. Without any
   * it goes with no words: a verb of the client may go with any, one of the server only with none (mode think).
   */
  says: z.array(phrase).max(32).default([]),
});

export type CharacterAct = Readonly<z.output<typeof actSchema>>;

/** What is wrong with the acts of a character, each with its place; empty when nothing is. */
export function faultsOfActs(acts: readonly CharacterAct[], verbs: ReadonlyMap<string, Verb>): string[] {
  const faults: string[] = [];
  for (const [i, act] of acts.entries()) {
    const verb = verbs.get(act.verb);
    if (!verb) {
      faults.push(`acts.${i}.verb: there is no verb ${act.verb}; there are ${[...verbs.keys()].join(', ')}`);
      continue;
    }
    for (const [key, values] of Object.entries(act.args)) {
      const spec = Object.hasOwn(verb.args, key) ? verb.args[key] : undefined;
      const alone = { ...verb, args: spec ? { [key]: spec } : {} };
      for (const one of [values].flat()) {
        const fault = faultOf(alone, { [key]: one });
        if (fault) faults.push(`acts.${i}.args.${fault}`);
      }
    }
  }
  return faults;
}
