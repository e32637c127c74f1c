// What is meant where little is said: the thing that was spoken of last, the purse and the company that were named before.

import type { Ware } from '../../npcs/wares.ts';
import { countedFor, type Heard, hear, type Item, plainText } from './heard.ts';

const pronoun = /\b(?:it|one|that|those|these|them|they|this|some)\b/;
/** Without one of these, "can I get some advice?" would be about whatever was spoken of last. */
const money =
  /\b(?:gold|coins?|money|purse|enough|afford|pay|price|costs?|fare|change|short|missing|lack|left|keep|back|how (?:much|many|often))\b/;
/** A thing that is not sold here: "enough for a sword", asked of a ferryman. */
const otherThing =
  /\b(?:for|buy|get|afford|costs?) (?:a|an|the|some|one|her|his|their) (?!family|group|party|crew|other|way|whole|lot|few|gold|coin|night|day|man|woman|person|child|kid|friend|wife)\w+/;
const others = /\b(?:there(?! (?:and|are|is|were)\b)|they|them|he|she|her|his|their)\b/;
/** What is elsewhere, or another's, where the talk was not about what is sold here. */
const elsewhere =
  /\b(?:there(?! and)|they|them|he|she|her|his|their|that|it|those)\b|^(?:and )?(?:how much|whats the price|what is the price|the price|how much would i need)$/;
const ofThem = /\bof (?:them|those|these)\b/;

/** Who is many says it once: "we are four", and then "what do we pay". */
export function withGroup(heard: Heard, text: string, own: readonly string[], wares: readonly Ware[]): Heard {
  if (heard.people > 0 || !/\b(?:we|us|our|all|everybody|everyone|total|back)\b/.test(text)) return heard;
  for (const said of own) {
    const { people } = hear(plainText(said), wares);
    if (people > 1) return { ...heard, people };
  }
  return heard;
}

/** Whether a number that stands alone counts what was spoken of: "for three of us", "and two?". */
export function counts(text: string): boolean {
  return (
    ofThem.test(text) ||
    /^(?:and |or |ok |for |what about |how about |how much |if (?:its|it is|i (?:take|want|buy|need)) )*\S+$/.test(
      text,
    )
  );
}

export function isShort(text: string): boolean {
  return text.split(' ').length <= 7;
}

/** What is meant where nothing is named: what was spoken of last, or all that there is to buy. */
export function meant(
  text: string,
  before: readonly string[],
  wares: readonly Ware[],
  {
    isAsked,
    goesOn,
    isForMany,
    isForSo,
  }: {
    readonly isAsked: boolean;
    readonly goesOn: boolean;
    readonly isForMany: boolean;
    /** As many as were spoken of. */
    readonly isForSo: boolean;
  },
): readonly Item[] {
  const isBoth = /\b(?:both|one of each)\b/.test(text);
  if (!goesOn && !(isAsked && money.test(text)) && !pronoun.test(text) && !isForMany) return [];
  const spokenOf: Item[] = [];
  const named = before.map((said) => hear(plainText(said), wares).items);
  for (const items of named) {
    for (const { ware } of items)
      if (!spokenOf.some((other) => other.ware === ware)) spokenOf.push({ ware, count: 1 });
    if (spokenOf.length > 0 && !isBoth) break;
  }
  if (isBoth && wares.length > 1) {
    const things = wares.filter(({ service }) => !service);
    if (spokenOf.length === 2) return spokenOf;
    return things.length === 2 ? things.map((ware) => ({ ware, count: 1 })) : [];
  }
  // "What does it cost there" is about who was spoken of last, and not about a sword from before that.
  const isNew = named.slice(0, 2).some((items) => items.length > 0);
  if (before.length > 0 && others.test(text) && !isNew) return [];
  // A list of wares names none of them.
  if (spokenOf.length === 1) {
    const [{ ware }] = spokenOf as [Item];
    // Of the last exchange: the player asked for two, or was told what four cost.
    const asked = isForSo ? before.slice(0, 2).flatMap((said) => lastSpokenOf([said], wares)) : [];
    const counts = asked.filter((item) => item.ware === ware).map(({ count }) => count);
    return [{ ware, count: Math.max(1, ...counts) }];
  }
  // Where there is one thing to buy it need not be named, unless something else was.
  const isOnly = wares.length === 1 && (money.test(text) || isForMany) && !otherThing.test(text);
  const where = isForSo ? others : elsewhere;
  return isOnly && !(before.length > 0 && where.test(text)) ? [{ ware: wares[0]!, count: 1 }] : [];
}

/** A purse that the player has named before. */
export function purseBefore(own: readonly string[], wares: readonly Ware[]): number | undefined {
  for (const said of own) {
    const text = plainText(said);
    const isPlayers = /\b(?:i|ive|im|my|me|we|weve|our|us)\b/.test(text);
    const { purse } = hear(text, wares);
    if (isPlayers && purse !== undefined) return purse;
  }
  return undefined;
}

/** What was spoken of last that is sold here, as many as were named. `said`: newest first. */
export function lastSpokenOf(all: readonly string[], wares: readonly Ware[]): readonly Item[] {
  for (const said of all) {
    const text = plainText(said);
    const heard = hear(text, wares);
    if (heard.items.length > 0) return countedFor(heard.items, heard, text);
  }
  return [];
}

/**
 * A number that counts nothing else counts the only ware: "and five of them"; and "can I have two" counts what was spoken of,
 * where it can be no purse. For how many people and days besides.
 */
export function counted(
  named: readonly Item[],
  heard: Heard,
  text: string,
  isNoPurse: boolean,
): readonly Item[] {
  const items = countedFor(named, heard, text);
  const [only] = items;
  const { loose } = heard;
  if (items.length !== 1 || only!.count !== 1 || loose === undefined) return items;
  // "A sword for thirty of them": the price.
  return loose > 1 && loose <= 100 && loose !== only!.ware.price && (isNoPurse || counts(text))
    ? [{ ware: only!.ware, count: loose }]
    : items;
}
