// Sums of gold, reckoned and not guessed: is a purse enough, what is missing, what is left, what do several things cost.
// A small model repeats a sum that it is told and gets one wrong that it makes itself. Reads words by rules; knows no
// model and says nothing where it is not sure what is asked.

import { numberAt, wordsOf } from '../npcs/figures.ts';
import type { Ware } from '../npcs/wares.ts';
import { stemOf } from './recall.ts';

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

/** Things of one kind. */
interface Item {
  readonly ware: Ware;
  readonly count: number;
}

interface Heard {
  readonly items: readonly Item[];
  /** Gold that the player says to have or to pay. */
  readonly purse?: number;
  /** A number that is neither. */
  readonly loose?: number;
}

const gold = /^(?:g|gold|golds|coins?|pieces?|gp|money)$/;
/** A number near one of these is a purse or a payment, and no price that is claimed and no offer. */
const having =
  /\b(?:have|has|got|ive|with|pay|paid|spend|carry|own|hold|holds|left|purse|pockets?|pouch|give|gave|hand|brought|bring|my|on me)\b/;
const enough =
  /\b(?:enough|afford|can i (?:buy|get|pay|have|take|cross|eat|sleep|stay)|could i (?:buy|get|pay|have|take|cross)|(?:do|will|would|does|can|is) (?:that|it|this|they|my \w+) (?:do|cover|buy|get|pay)|covers?|suffice|sufficient|short|missing|lack|in reach|good for|get me|buys? me|gets me|have (?:i )?the (?:gold|money|coin|coins)|how much more|will do)\b/;
const change = /\b(?:change|left|leaves?|remains?|remaining|keep|get back|comes? back|over after)\b/;
const several = /\bhow (?:many|often)\b|\bwhat (?:does|do|will|can) \S+ (?:gold|coins?) (?:buy|get)\b/;
/** "Three loaves for 3 gold?", "would 19 gold buy it": asked like this, the gold is what the player would pay. */
const offered = /\b(?:for|will|would|can|could|do|does) (?:\S+ ){1,2}(?:gold|coins?)\b/;
/** Words of somebody who wants to know what things cost together. */
const pricing =
  /\b(?:how much|what|whats|costs?|price|pay|together|total|comes? to|sum|makes?|charge|owe|plus)\b/;
/** And of somebody who asks for them and wants to know it first. */
const totalling =
  /\bhow much\b|\b(?:comes?|come) to\b|\bwhat (?:do|would|will) (?:you|u|i) (?:want|take|ask|pay|owe|charge)\b|\btotal\b/;
const choosing = /\b(?:which|what (?:can|could|would|do|else|all)|or)\b/;
const comparing = /\b(?:than|difference|as much as|cheaper|cheapest|dearer|costs more|more expensive)\b/;
const counting =
  /\bhow (?:much|many) (?:gold|coins?|money) (?:do i (?:still )?(?:have|own|carry|hold)|have i|is in my|i have|ive)\b|\bwhat (?:is|s) in my (?:purse|pockets?|pouch)\b|\bwhats in my (?:purse|pockets?|pouch)\b/;
const pair =
  /\b(?:both|twice|each|apiece|there and back|over and back|come back|and back|round trip|return trip|pair of|couple of|two of us|(?:me|i) and my|my \w+ and (?:me|i)|(?:with|and) my \w+ too|my \w+ (?:comes?|rides?|crosses) (?:too|along|with me))\b/;
const pronoun = /\b(?:it|one|that|those|these|them|they|this|some)\b/;
/** Without one of these, "can I get some advice?" would be about whatever was spoken of last. */
const money =
  /\b(?:gold|coins?|money|purse|enough|afford|pay|price|costs?|fare|change|short|missing|lack|left|keep|back|how (?:much|many|often))\b/;
const wanting = /\b(?:give|gimme|want|take|ill have|buy|sell|bring|hand|pour|deal|like|need)\b/;
/** A price is asked and no ware is named. */
const barePrice =
  /^(?:and |so |ok |okay |well |then )*(?:how much(?:$| (?:is|are|does|do|for|would|then|please|now)\b)|what (?:is|s) the (?:price|cost)|whats the (?:price|cost)|the price|price|what does (?:it|that|one|this) cost|what do (?:they|those|these) cost|cost)(?:$|\b)/;
const people = /\b(?:people|persons|heads|of us|of (?:them|those|these)|men|friends|souls|times|nights)\b/;
/** Between a number and a ware: the number does not count the ware. */
const parting = /^(?:for|is|are|was|to|a|an|if|with|cost|costs|on|and)$/;

/**
 * The answer to a sum of gold as the character can say it, or undefined where none is asked for, or where the ware or the
 * purse is not clear.
 */
export function reckon({ wares, words, before, own = [], gold: told }: Sum): string | undefined {
  const text = plainText(words);
  const owned = counting.test(text) ? (told ?? purseBefore(own, wares)) : undefined;
  if (owned !== undefined) return `You have ${owned} gold.`;
  if (wares.length === 0) return undefined;
  const heard = hear(text, wares);
  const isQuestion = /\?\s*$/.test(words) || /^(?:can|could|is|are|will|would|do|does)\b/.test(text);
  const asks = {
    enough: enough.test(text) || (isQuestion && offered.test(text)),
    change: change.test(text),
    several: several.test(text),
  };
  // Who asks for a thing is told when the purse is too small, and nothing else: handing it over is the character's part.
  const wants = wanting.test(text) && heard.items.length > 0;
  const isAsked = asks.enough || asks.change || asks.several;
  // A price that is claimed ("a sword is 20 gold, right?") and an offer ("18 for it?") are no purse.
  const said = isAsked || having.test(text) ? heard.purse : undefined;
  const purse = said ?? told ?? purseBefore(own, wares);

  if (
    purse !== undefined &&
    choosing.test(text) &&
    (isAsked || said !== undefined) &&
    wares.length > 1 &&
    !asks.change
  ) {
    const among = heard.items.length > 1 ? heard.items.map(({ ware }) => ware) : wares;
    if (heard.items.length !== 1) return affordable(among, purse);
  }
  if (comparing.test(text)) return heard.items.length === 2 ? compared(heard.items) : undefined;

  const isCounting = heard.loose !== undefined && counts(text);
  // "And how much is it?", "and for two nights?": a few words about what was spoken of last.
  const goesOn = heard.items.length === 0 && said === undefined && isShort(text);
  const asksPrice = goesOn && barePrice.test(text) && !/\b(?:pays?|reward|earn|weighs?)\b/.test(text);
  const isAskedAbout = isAsked || wants || isCounting || asksPrice;
  const named =
    heard.items.length > 0
      ? heard.items
      : meant(text, before, wares, { isAsked: isAskedAbout, goesOn: goesOn && isCounting });
  if (named.length === 0) return undefined;
  const items = counted(named, heard, text);
  const total = items.reduce((sum, { ware, count }) => sum + ware.price * count, 0);

  if (asks.several && said !== undefined && items.length === 1 && total > 0)
    return asMany(items[0]!.ware, said);
  if (purse !== undefined) {
    if (wants && !asks.enough && !asks.change)
      return purse < total ? tooLittle(items, total, purse) : undefined;
    if (isAsked || said !== undefined) {
      if (purse < total) return tooLittle(items, total, purse);
      return asks.change && !asks.enough ? left(items, total, purse) : isEnough(items, total, purse);
    }
  }
  if (asksPrice) return sum(items, total);
  const isSum = items.length > 1 || items.some(({ count }) => count > 1);
  const isSpokenOf = () =>
    before.some((past) => hear(plainText(past), wares).items.some(({ ware }) => ware === items[0]!.ware));
  if (isSum && !wants && isShort(text) && ((goesOn && isCounting) || isSpokenOf())) return sum(items, total);
  return isSum && (wants ? totalling : pricing).test(text) ? sum(items, total) : undefined;
}

/** Whether a number that stands alone counts what was spoken of: "for three of us", "and two?". */
function counts(text: string): boolean {
  return people.test(text) || /^(?:and |or |ok |for |what about |how about )*\S+$/.test(text);
}

function isShort(text: string): boolean {
  return text.split(' ').length <= 6;
}

/** Lower case, one blank between words; "12gold" is two words, and "no gold" is a number. */
function plainText(words: string): string {
  return wordsOf(words.replace(/(\d)([a-z])/gi, '$1 $2'))
    .join(' ')
    .replace(/\bfair enough\b/g, 'fair')
    .replace(/\b(?:one|1|a) single (?:gold )?coin\b/g, '1 gold')
    .replace(/\bno (?=(?:gold|coins?|money)\b)/g, '0 ')
    .replace(/\b[24](?= (?:a|an|the|me|u|my)\b)/g, 'for');
}

/** The wares, the purse and other numbers of a text, from left to right. */
function hear(text: string, wares: readonly Ware[]): Heard {
  const words = text.split(' ');
  const stemmed = words.map(stem);
  const items = new Map<Ware, number>();
  let purse: number | undefined;
  let loose: number | undefined;
  /** A number that may be a count, and where it stands. */
  let count: { value: number; at: number } | undefined;
  for (let i = 0; i < words.length; ) {
    const number = numberAt(words, i);
    if (number.length > 0) {
      const after = words[i + number.length] ?? '';
      if (gold.test(after)) {
        purse = number.value;
        if (count) loose ??= count.value;
        count = undefined;
      } else if (!(words[i] === 'one' && number.length === 1)) {
        if (count) loose ??= count.value;
        count = { value: number.value, at: i + number.length };
      }
      i += number.length;
      continue;
    }
    const ware = wareAt(stemmed, i, wares);
    if (ware) {
      const isCounted =
        count !== undefined &&
        i - count.at <= 3 &&
        !words.slice(count.at, i).some((word) => parting.test(word));
      // "A bowl of stew" names its ware twice.
      if (!items.has(ware) || isCounted) items.set(ware, isCounted ? count!.value : (items.get(ware) ?? 1));
      if (isCounted) count = undefined;
    }
    i++;
  }
  if (count) {
    const before = words.slice(Math.max(0, count.at - 5), count.at - 1).join(' ');
    if (purse === undefined && having.test(before)) purse = count.value;
    else loose ??= count.value;
  }
  return {
    items: [...items].map(([ware, number]) => ({ ware, count: number })),
    ...(purse === undefined ? {} : { purse }),
    ...(loose === undefined ? {} : { loose }),
  };
}

/** The ware that the words from here on name; words by their stems. */
function wareAt(words: readonly string[], at: number, wares: readonly Ware[]): Ware | undefined {
  return wares.find((ware) => namesOf(ware).some((name) => name.every((word, i) => words[at + i] === word)));
}

/** By ware, which lives as long as its character is not edited: prompts are put together for every sentence. */
const names = new WeakMap<Ware, readonly (readonly string[])[]>();

/** What a ware is called: each name as the stems of its words. */
function namesOf(ware: Ware): readonly (readonly string[])[] {
  const known = names.get(ware);
  if (known) return known;
  const all = [ware.name, ware.many ?? '', ...ware.called]
    .map((name) => wordsOf(name).map(stem))
    .filter((words) => words.length > 0);
  names.set(ware, all);
  return all;
}

/** Until nothing is lost any more: "crossings", "crossing" and "cross" are one ware. */
function stem(word: string): string {
  const shorter = stemOf(word);
  return shorter === word ? word : stem(shorter);
}

/** What is meant where nothing is named: what was spoken of last, or all that there is to buy. */
function meant(
  text: string,
  before: readonly string[],
  wares: readonly Ware[],
  { isAsked, goesOn }: { readonly isAsked: boolean; readonly goesOn: boolean },
): readonly Item[] {
  const isBoth = /\bboth\b/.test(text);
  if (!goesOn && !(isAsked && money.test(text)) && !pronoun.test(text) && !pair.test(text)) return [];
  const spokenOf: Item[] = [];
  for (const said of before) {
    const { items } = hear(plainText(said), wares);
    for (const { ware } of items)
      if (!spokenOf.some((other) => other.ware === ware)) spokenOf.push({ ware, count: 1 });
    if (spokenOf.length > 0 && !isBoth) break;
  }
  if (isBoth && wares.length > 1) {
    if (spokenOf.length === 2) return spokenOf;
    return wares.length === 2 ? wares.map((ware) => ({ ware, count: 1 })) : [];
  }
  // A list of wares names none of them.
  if (spokenOf.length === 1) return spokenOf;
  return wares.length === 1 && (money.test(text) || pair.test(text)) ? [{ ware: wares[0]!, count: 1 }] : [];
}

/** A purse that the player has named before. */
function purseBefore(own: readonly string[], wares: readonly Ware[]): number | undefined {
  for (const said of own) {
    const text = plainText(said);
    const isPlayers = /\b(?:i|ive|im|my|me)\b/.test(text);
    const { purse } = hear(text, wares);
    if (isPlayers && purse !== undefined) return purse;
  }
  return undefined;
}

/** "Both" of one thing is two of it, and a number that counts nothing else counts the only ware: "for 3 of us". */
function counted(items: readonly Item[], { loose }: Heard, text: string): readonly Item[] {
  const [only] = items;
  if (items.length !== 1 || only!.count !== 1) return items;
  if (loose !== undefined && loose > 1 && loose <= 100 && counts(text))
    return [{ ware: only!.ware, count: loose }];
  return pair.test(text) ? [{ ware: only!.ware, count: 2 }] : items;
}

const small = ['no', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine', 'ten'];

/** "a sword and two shields", and whether that is one thing. */
function named(items: readonly Item[]): { text: string; costs: string } {
  const parts = items.map(({ ware, count }) =>
    count === 1
      ? `${/^[aeiou]/.test(ware.name) ? 'an' : 'a'} ${ware.name}`
      : `${small[count] ?? count} ${ware.many ?? `${ware.name}s`}`,
  );
  return {
    text: listed(parts, 'and'),
    costs: items.length === 1 && items[0]!.count === 1 ? 'costs' : 'cost',
  };
}

function tooLittle(items: readonly Item[], total: number, purse: number): string {
  const { text, costs } = named(items);
  return `No, ${text} ${costs} ${total} gold and you have only ${purse}, you are ${total - purse} short.`;
}

function isEnough(items: readonly Item[], total: number, purse: number): string {
  const { text, costs } = named(items);
  if (total === 0) return `Yes, ${text} ${costs} nothing.`;
  return total === purse
    ? `Yes, that is just enough, ${text} ${costs} ${total} gold.`
    : `Yes, that is enough, ${text} ${costs} ${total} gold and you have ${purse}.`;
}

function left(items: readonly Item[], total: number, purse: number): string {
  const { text, costs } = named(items);
  const rest = purse - total;
  return `${capital(text)} ${costs} ${total} gold, so ${rest === 0 ? 'nothing' : `${rest} gold`} is left of your ${purse}.`;
}

function sum(items: readonly Item[], total: number): string {
  const { text, costs } = named(items);
  return `${capital(text)} ${costs} ${total} gold${items.length > 1 ? ' together' : ''}.`;
}

function asMany(ware: Ware, purse: number): string {
  const count = Math.floor(purse / ware.price);
  if (count === 0) return tooLittle([{ ware, count: 1 }], ware.price, purse);
  const { text } = named([{ ware, count }]);
  const rest = purse - count * ware.price;
  return `For ${purse} gold you get ${text}${rest > 0 ? `, and ${rest} gold is left` : ''}.`;
}

function affordable(wares: readonly Ware[], purse: number): string {
  const has = wares.filter(({ price }) => price <= purse);
  const cheapest = [...wares].sort((a, b) => a.price - b.price)[0]!;
  if (has.length === 0) return tooLittle([{ ware: cheapest, count: 1 }], cheapest.price, purse);
  const dear = wares.filter(({ price }) => price > purse).sort((a, b) => a.price - b.price)[0];
  const list = listed(has.map(one), 'or');
  const but = dear ? `, but ${one(dear)} costs ${dear.price}` : '';
  return `With ${purse} gold you can have ${list}${but}.`;
}

function compared([first, second]: readonly Item[]): string {
  const [more, less] = first!.ware.price < second!.ware.price ? [second!, first!] : [first!, second!];
  const difference = more.ware.price - less.ware.price;
  return `${capital(one(more.ware))} costs ${more.ware.price} gold and ${one(less.ware)} ${less.ware.price}, that is ${difference} gold less.`;
}

/** "a sword". */
function one(ware: Ware): string {
  return named([{ ware, count: 1 }]).text;
}

/** "a, b and c". */
function listed(parts: readonly string[], word: 'and' | 'or'): string {
  return parts.length < 2 ? parts.join('') : `${parts.slice(0, -1).join(', ')} ${word} ${parts.at(-1)}`;
}

function capital(text: string): string {
  return text[0]!.toUpperCase() + text.slice(1);
}
