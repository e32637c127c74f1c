// Sums of gold, reckoned and not guessed: is a purse enough, what is missing, what is left, what do several things cost.
// A small model repeats a sum that it is told and gets one wrong that it makes itself. Reads words by rules; knows no
// model and says nothing where it is not sure what is asked.

import type { Ware } from '../../npcs/wares.ts';
import { change, countedFor, type Heard, having, hear, type Item, isMany, plainText } from './heard.ts';
import { reckonPurse } from './purse.ts';
import { affordable, asMany, compared, isEnough, left, sum, tooLittle } from './told.ts';

export interface Sum {
  readonly wares: readonly Ware[];
  /** What the player says now. */
  readonly words: string;
  /** What player and character said before, newest first: what "it" is. */
  readonly before: readonly string[];
  /** What of it the player said: a purse that was named already. */
  readonly own?: readonly string[];
  /** The purse as the game tells it, in gold. */
  readonly gold?: number | undefined;
}

const enough =
  /\b(?:enough|too (?:little|few)|afford|can i (?:buy|get|pay|have|take|cross|eat|sleep|stay)|could i (?:buy|get|pay|have|take|cross)|(?:do|will|would|does|can|is) (?:that|it|this|they|my \w+|(?!(?:i|you|u|we|they|he|she) )\w+(?: gold| coins?)?) (?:do|cover|buy|get|pay)(?= |$)(?! (?:you|u|i)\b)|covers?|suffice|sufficient|short|missing|lack|in reach|good for|get me|buys? me|gets me|have (?:i )?the (?:gold|money|coin|coins)|how much more|will do)\b/;
const several = /\bhow (?:many|often)\b(?! (?:gold|coins?|pieces|money)\b)|\b(?:gold|coins?) whats that in\b/;
/** "What do I get for four gold?" */
const buying =
  /\bwhat (?:can|do|could|would|will) i (?:get|buy|have|take) (?:for|with)\b|\bwhat(?:ll)? (?:(?:does|do|will|would|can|could) )?(?:\S+ ){1,2}(?:gold|coins?) (?:buy|get)\b/;
/** The player sells, and these buy nothing. */
const selling = /\b(?:give|pay) me\b.*\bfor my\b|\bbuy my\b|\bsell (?:you|u) my\b/;
/** "Three loaves for 3 gold?", "would 19 gold buy it": asked like this, the gold is what the player would pay. */
const offered = /\b(?:for|will|would|can|could|do|does) (?:\S+ ){1,2}(?:gold|coins?)\b/;
/** Words of somebody who wants to know what things cost together. */
const pricing =
  /\b(?:how much|how many (?:gold|coins?)|what|whats|costs?|price|pay|together|total|comes? to|sum|tally|makes?|charge|owe|plus)\b/;
/** And of somebody who asks for them and wants to know it first. */
const totalling =
  /\bhow much\b|\b(?:comes?|come) to\b|\bwhat (?:do|would|will) (?:you|u|i) (?:want|take|ask|pay|owe|charge)\b|\bwhat (?:would|do|does|will) (?:\S+ ){1,5}cost\b|\b(?:total|makes?|altogether|in all|hand over)\b|\b(?:whats|what is|tell me|give me|say) the price\b/;
const choosing = /\b(?:which|what (?:can|could|would|do|else|all)|or)\b/;
const comparing = /\b(?:than|difference|as much as|cheaper|cheapest|dearer|costs more|more expensive)\b/;
/** "Got nine gold and want three salves, works?" */
const isFine = /\b(?:works?|ok|okay|alright|possible|fine|good)$/;
/** "Can we all cross with it?" */
const withIt = /\bwith (?:it|that|this)$/;
/** What the player has shall be spent. */
const itsOwn =
  /\b(?:my|afford|spend|(?:can|could|may|might|do|would|will) i|is that|(?:for|with|will|would) (?:that|it|this)|take home|if i had)\b/;
/** "Alright, give it to me", "I take one". */
const thatOne = /\b(?:it|one|that|this)\b/;
const questioning = /^(?:and |but |so )?(?:what|how|why|who|where|when|which|do|does|did|is|are)\b/;
/** "And a stew on top?" is asked of both together. */
const adding = /\b(?:on top|as well|too|also|besides|in addition|both together)\b/;
const pronoun = /\b(?:it|one|that|those|these|them|they|this|some)\b/;
/** Without one of these, "can I get some advice?" would be about whatever was spoken of last. */
const money =
  /\b(?:gold|coins?|money|purse|enough|afford|pay|price|costs?|fare|change|short|missing|lack|left|keep|back|how (?:much|many|often))\b/;
const wanting = /\b(?:give|gimme|want|take|ill have|buy|sell|bring|hand|pour|deal|like|need)\b/;
/** A price is asked and no ware is named. */
const barePrice =
  /^(?:and |so |ok |okay |well |then )*(?:how much(?:$| (?:is|are|does|do|for|would|then|please|now)\b)|what (?:is|s) the (?:price|cost)|whats the (?:price|cost)|the price|price|what does (?:it|that|one|this) cost|what do (?:they|those|these) cost|cost)(?:$|\b)/;
/** "Two loaves? A day?" asks about no price. */
const aDay = /\b(?:a|per|each|every) day\b/;
/** A thing that is not sold here: "enough for a sword", asked of a ferryman. */
const otherThing =
  /\b(?:for|buy|get|afford|costs?) (?:a|an|the|some|one|her|his|their) (?!family|group|party|crew|other|way|whole|lot|few|gold|coin|night|day|man|woman|person|child|kid|friend|wife)\w+/;
const others = /\b(?:there(?! and)|they|them|he|she|her|his|their)\b/;
/** What is elsewhere, or another's, where the talk was not about what is sold here. */
const elsewhere =
  /\b(?:there(?! and)|they|them|he|she|her|his|their|that|it|those)\b|^(?:and )?(?:how much|whats the price|what is the price|the price|how much would i need)$/;
/** How a few words go on about what was spoken of. */
const going = /^(?:and|or|ok|for|with|what about|how about)\b/;
const ofThem = /\bof (?:them|those|these)\b/;

/**
 * The answer to a sum of gold as the character can say it, or undefined where none is asked for, or where the ware or the
 * purse is not clear.
 */
export function reckon({ wares, words, before, own = [], gold: told }: Sum): string | undefined {
  const text = plainText(words);
  if (selling.test(text)) return undefined;
  const spoken = withGroup(hear(text, wares), text, own, wares);
  const heard = adding.test(text) ? { ...spoken, isPair: false } : spoken;
  const owned = heard.items.length === 0 ? reckonPurse(words, told ?? purseBefore(own, wares)) : undefined;
  if (owned !== undefined || wares.length === 0) return owned;
  const isQuestion =
    /\?\s*$/.test(words) || /^(?:can|could|is|are|will|would|do|does)\b|\bdo i get\b/.test(text);
  const asks = {
    enough:
      enough.test(text) ||
      (isQuestion && (offered.test(text) || withIt.test(text))) ||
      (isFine.test(text) && (heard.purse ?? told ?? purseBefore(own, wares)) !== undefined),
    change: change.test(text),
    several: several.test(text) && (heard.purse !== undefined || itsOwn.test(text)),
    buying: buying.test(text),
  };
  // Who asks for a thing is told when the purse is too small, and nothing else: handing it over is the character's part.
  const wants =
    wanting.test(text) &&
    (heard.items.length > 0 || (isShort(text) && thatOne.test(text) && !questioning.test(text)));
  const isAsked = asks.enough || asks.change || asks.several || asks.buying;
  // A price that is claimed ("a sword is 20 gold, right?") and an offer ("18 for it?") are no purse.
  // "Is twenty enough for a shield": no word says what twenty are.
  const known = told ?? purseBefore(own, wares);
  const meantPurse =
    known === undefined && (asks.enough || asks.several || asks.buying) ? heard.loose : undefined;
  const said = isAsked || having.test(text) ? (heard.purse ?? meantPurse) : undefined;
  const purse = said ?? known;

  if (
    purse !== undefined &&
    (choosing.test(text) || asks.buying) &&
    (isAsked || said !== undefined) &&
    wares.length > 1 &&
    !asks.change
  ) {
    const among = heard.items.length > 1 ? heard.items.map(({ ware }) => ware) : wares;
    if (heard.items.length !== 1) return affordable(among, purse);
  }
  if (comparing.test(text)) return heard.items.length === 2 ? compared(heard.items) : undefined;

  const isCounting = isMany(heard)
    ? pricing.test(text) || going.test(text)
    : said !== heard.loose && heard.loose !== undefined && counts(text);
  // "And how much is it?", "and for two nights?": a few words about what was spoken of last.
  const goesOn = heard.items.length === 0 && said === undefined && isShort(text);
  const asksPrice = goesOn && barePrice.test(text) && !/\b(?:pays?|reward|earn|weighs?)\b/.test(text);
  const isAskedAbout = isAsked || wants || isCounting || asksPrice;
  const named =
    heard.items.length > 0
      ? heard.items
      : meant(text, before, wares, {
          isAsked: isAskedAbout,
          goesOn: (goesOn && isCounting) || (asks.enough && heard.loose !== undefined && known !== undefined),
          isForMany: isMany(heard),
          isForSo: asks.change || asks.enough,
        });
  if (named.length === 0) return undefined;
  const isAdding = heard.items.length === 1 && adding.test(text);
  const earlier = isAdding ? lastSpokenOf(own, wares).filter(({ ware }) => ware !== named[0]!.ware) : [];
  const items = [...earlier, ...counted(named, heard, text, heard.items.length === 0 && known !== undefined)];
  const total = items.reduce((sum, { ware, count }) => sum + ware.price * count, 0);

  if (asks.several && purse !== undefined && !isMany(heard) && items.length === 1 && total > 0)
    return asMany(items[0]!.ware, purse);
  if (purse !== undefined) {
    if (wants && !asks.enough && !asks.change)
      return purse < total ? tooLittle(items, total, purse) : undefined;
    if (isAsked || said !== undefined || earlier.length > 0) {
      if (purse < total) return tooLittle(items, total, purse);
      return asks.change && !asks.enough ? left(items, total, purse) : isEnough(items, total, purse);
    }
  }
  if (asksPrice) return sum(items, total);
  const isSum = items.length > 1 || items.some(({ count }) => count > 1);
  const isSpokenOf = () =>
    before.some((past) => hear(plainText(past), wares).items.some(({ ware }) => ware === items[0]!.ware));
  if (aDay.test(text) && !pricing.test(text)) return undefined;
  if (isSum && !wants && isShort(text) && ((goesOn && isCounting) || isSpokenOf())) return sum(items, total);
  return isSum && (wants ? totalling : pricing).test(text) ? sum(items, total) : undefined;
}

/** Who is many says it once: "we are four", and then "what do we pay". */
function withGroup(heard: Heard, text: string, own: readonly string[], wares: readonly Ware[]): Heard {
  if (heard.people > 0 || !/\b(?:we|us|our|all|everybody|everyone|total|back)\b/.test(text)) return heard;
  for (const said of own) {
    const { people } = hear(plainText(said), wares);
    if (people > 1) return { ...heard, people };
  }
  return heard;
}

/** Whether a number that stands alone counts what was spoken of: "for three of us", "and two?". */
function counts(text: string): boolean {
  return ofThem.test(text) || /^(?:and |or |ok |for |what about |how about |how much )*\S+$/.test(text);
}

function isShort(text: string): boolean {
  return text.split(' ').length <= 6;
}

/** What is meant where nothing is named: what was spoken of last, or all that there is to buy. */
function meant(
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
  for (const said of before) {
    for (const { ware } of hear(plainText(said), wares).items)
      if (!spokenOf.some((other) => other.ware === ware)) spokenOf.push({ ware, count: 1 });
    if (spokenOf.length > 0 && !isBoth) break;
  }
  if (isBoth && wares.length > 1) {
    const things = wares.filter(({ service }) => !service);
    if (spokenOf.length === 2) return spokenOf;
    return things.length === 2 ? things.map((ware) => ({ ware, count: 1 })) : [];
  }
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
function purseBefore(own: readonly string[], wares: readonly Ware[]): number | undefined {
  for (const said of own) {
    const text = plainText(said);
    const isPlayers = /\b(?:i|ive|im|my|me|we|weve|our|us)\b/.test(text);
    const { purse } = hear(text, wares);
    if (isPlayers && purse !== undefined) return purse;
  }
  return undefined;
}

/** What was spoken of last that is sold here, as many as were named. `said`: newest first. */
function lastSpokenOf(all: readonly string[], wares: readonly Ware[]): readonly Item[] {
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
function counted(named: readonly Item[], heard: Heard, text: string, isNoPurse: boolean): readonly Item[] {
  const items = countedFor(named, heard, text);
  const [only] = items;
  const { loose } = heard;
  if (items.length !== 1 || only!.count !== 1 || loose === undefined) return items;
  return loose > 1 && loose <= 100 && (isNoPurse || counts(text))
    ? [{ ware: only!.ware, count: loose }]
    : items;
}
