// What a player's words say of things and gold: which wares and how many, for how many people and how often, and what there is
// to pay with. Reads words by rules; what is asked about them, and the answer, is gold.ts.

import { dozensCounted, numberAt, wordsOf } from '../../npcs/figures.ts';
import type { Ware } from '../../npcs/wares.ts';
import { stemOf } from '../recall.ts';

/** Things of one kind. */
export interface Item {
  readonly ware: Ware;
  readonly count: number;
  /** "An ale each": so many for everybody. */
  readonly each?: boolean;
  /** "Beds", where one is shared: everybody wants their own. */
  readonly several?: boolean;
}

export interface Heard {
  readonly items: readonly Item[];
  /** Gold that the player says to have or to pay. */
  readonly purse?: number;
  /** A number that is neither, and counts no people and no days. */
  readonly loose?: number;
  /** How many people it is for: "me and my wife"; 0 where nobody says. */
  readonly people: number;
  /** How often: "there and back". */
  readonly times: number;
  /** "Both", "twice", "a couple of". */
  readonly isPair: boolean;
  /** For how many nights or days; 0 where nobody says. */
  readonly days: number;
}

export const coinWord = /^(?:g|gold|golds|coins?|pieces?|gp|money)$/;
/** A number near one of these is a purse or a payment, and no price that is claimed and no offer. */
export const having =
  /\b(?:have|has|got|ive|with|pay|paid|spend|carry|own|hold|holds|left|purse|pockets?|pouch|give|gave|hand|brought|bring|my|on me)\b/;
export const change =
  /\b(?:change|left|leaves?|remains?|remaining|keep|(?:get|gets|gives?|have|comes?|coming) (?:me )?back|back what|back to me|over after|(?:do|would|will) i (?:still )?(?:have|own) (?:after|then|over)|(?:gold|coins?|money) (?:do |would |will )?i still (?:have|own|keep)|i still have|stays? in my|whats over)\b/;
/** What is paid out of: "change from a ten". */
const paidFrom = /\b(?:from|out of|of)(?: a| my)?$/;

const kin =
  'wife|husband|son|daughter|brother|sister|friend|mate|pal|buddy|kid|child|mother|father|mum|mom|dad|cousin|companion|comrade|guest|girl|boy|lad';
const folk = new RegExp(
  `^(?:people|persons?|heads?|men|women|adults?|kids|children|souls|soldiers?|passengers?|travell?ers?|fellows|guys|lads|mouths|nuns|monks|knights|merchants|farmers|sailors|priests|dwarves|elves|grown|(?:${kin})s)$`,
);
const oneOfThem = new RegExp(
  `\\b(?:my|a|an|one|the|his|her) (?:little |old |young |good |best |big |sick |poor )?(?:${kin})\\b(?! (?:gave|said|told|has|paid|owns|s)\\b)`,
  'g',
);
/** Without it "a loaf for two" is an offer. */
const asksPrice = /\b(?:how much|what|whats|costs?|price)\b/;
/** Whether the player is one of the people counted. */
const andMe =
  /\b(?:me|myself) (?:and|plus|n|with) |\bme (?:my|our) |\b(?:and|plus|with|n) (?:me|myself|i)\b|\bi and (?:my|a|the|one|two|\d)|\b(?:i|im|ive|we) (?:come |came |am |travel |here |brought )?with (?:my|a|one|two|three|four|five|six|\d)|\b(?:comes?|rides?|cross(?:es)?) (?:too|along|with me)\b|\bmy \w+ too\b/;
const each = /^(?:each|apiece|everyone|everybody)$/;
/** Who has a room alone, or is paid for alone. */
const apart = /\b(?:each|apiece|everyone|everybody|own|per (?:head|person|man))\b/;

/** Nights and days count only what is had by the night, or every day; a trip there and back is two. */
const rate =
  /\b(?:a|per|each|every|any) (?:single )?(?:day|night|morning|evening)\b|\bdaily\b|\bnightly\b|\bonce\b|\bin a row\b/;
const daysOf: ReadonlyMap<string, number> = new Map([
  ['night', 1],
  ['nights', 1],
  ['day', 1],
  ['days', 1],
  ['mornings', 1],
  ['evenings', 1],
  ['week', 7],
  ['weeks', 7],
]);
const aWeek = /\b(?:a|one|the|this|all|whole|full|entire) week\b/;
/** "Can I have two" asks for things, not with gold. */
const wishing = /\b(?:can|could|may|might|would|do) (?:i|we) (?:have|get|take|buy)$/;
const elseCounted = /^(?:years?|months?|hours?|minutes?|moons?|miles?|oclock)$/;
const trip =
  /\b(?:there and back|over and back|back and forth|(?:one|once) (?:way )?(?:there|over|out) and (?:one|once) (?:way )?back|(?:come|coming|going|go|and|way|row me) back(?! to\b)|both ways|round trip|return trip|and (?:then )?return)\b/;
const two = /\b(?:both|twice|one of each)\b/;
/** "And a stew on top?" is asked of both together; "too dear" adds nothing. */
const adding =
  /\b(?:on top|as well|also|besides|in addition|both together|(?<=\w )too(?= (?:what|how|please|then|and|if|for|is|can|do|would|will|now)\b|$))/;
/** "Do you have shields too?", "is a shield thirty too?": asked of that alone. */
const askingToo =
  /^(?:and |but |so |hey |well |ok )*(?:is|are|does|do (?:you|u|they)|have (?:you|u)|(?:you|u) (?:have|got|sell|make)|got|any)\b/;
const inAll = /\b(?:together|altogether|in all|total|both|all (?:that|of it)|enough)\b/;

/** Whether it is asked of what was spoken of before as well. `text` is plain. */
export function isAdding(text: string): boolean {
  return adding.test(text) && (!askingToo.test(text) || inAll.test(text));
}
/** Between a number and a ware: the number does not count the ware. */
const parting = /^(?:for|is|are|was|to|a|an|if|with|cost|costs|on|and|you|then)$/;

/** Lower case, one blank between words; "12gold" is two words, and "no gold" is a number. */
export function plainText(words: string): string {
  return dozensCounted(wordsOf(words.replace(/(\d)([a-z])/gi, '$1 $2')).join(' '))
    .replace(/\bfair enough\b/g, 'fair')
    .replace(/\b(?:a )?(?:pair|couple) of\b/g, '2')
    .replace(/\ba fiver\b/g, '5 gold')
    .replace(/\ba tenner\b/g, '10 gold')
    .replace(/\b(?:one|1|a) single (?:gold coin|gold|coin)\b/g, '1 gold')
    .replace(/\b(?:no|not (?:a|one)(?: single)?) (?=(?:gold|coins?|money)\b)/g, '0 ')
    .replace(
      /\bmy (?:purse|pouch|pockets?) (?:is|are) (?:\w+ )?empty\b|\b(?:i am|im) (?:\w+ )?(?:broke|penniless)\b/g,
      'i have 0 gold',
    )
    .replace(/\b[24](?= (?:a|an|the|me|u|my)\b)/g, 'for')
    .replace(
      /\b(left|over|remains?|enough)(?: over)? for (?:a |an |the |some |my |another )?(?:beer|drink|food|things?|later|me|us)$/,
      '$1',
    );
}

interface Number {
  readonly value: number;
  /** The words before it, and the place after it. */
  readonly before: string;
  readonly end: number;
  counts: boolean;
}

/** Everything at once, from left to right. `text` is plain. */
export function hear(text: string, wares: readonly Ware[]): Heard {
  const words = text.split(' ');
  const stemmed = words.map(stem);
  const items: { ware: Ware; count: number; each: boolean; several: boolean; word: string }[] = [];
  const numbers: Number[] = [];
  let purse: number | undefined;
  let people = 0;
  let days = 0;
  let times = 1;
  for (let i = 0; i < words.length; ) {
    const { value, length } = addedAt(words, i);
    if (length > 0) {
      const end = i + length;
      const next = words[end] ?? '';
      // "Ten years back" counts no gold and nothing that is sold.
      if (elseCounted.test(next)) {
        i = end + 1;
        continue;
      }
      const before = words.slice(Math.max(0, i - 5), i).join(' ');
      const isFolk =
        folk.test(next) ||
        (next === 'of' && words[end + 1] === 'us') ||
        (next === '' && / for$/.test(before) && asksPrice.test(text)) ||
        (folk.test(words[end + 1] ?? '') && !wareAt(stemmed, end, wares)) ||
        (/\b(?:we are|were|us|we|(?:party|group|family|crew) of)$/.test(before) &&
          !wareAt(stemmed, end, wares));
      if (coinWord.test(next)) {
        // "One coin short" is what is missing.
        if (words[end + 1] !== 'short') purse = value;
      } else if (isFolk) people += value;
      else if (/^(?:times|trips)$/.test(next)) times = value;
      else if (daysOf.has(next)) days = value * daysOf.get(next)!;
      else if (!(words[i] === 'one' && length === 1)) numbers.push({ value, before, end, counts: false });
      i = end;
      continue;
    }
    const ware = wareAt(stemmed, i, wares);
    if (ware) {
      const last = numbers.at(-1);
      const isCounted =
        last !== undefined &&
        !last.counts &&
        i - last.end <= 3 &&
        !words.slice(last.end, i).some((word) => parting.test(word));
      const known = items.find((item) => item.ware === ware);
      const isEach = words.slice(i + 1, i + 4).some((word) => each.test(word));
      const several = !isCounted && /[^s]s$/.test(words[i]!);
      // "A bowl of stew" names its ware once, "a loaf for me, a loaf for my wife" twice.
      if (!known)
        items.push({ ware, count: isCounted ? last.value : 1, each: isEach, several, word: stemmed[i]! });
      else {
        if (isCounted) known.count = last.value;
        else if (known.word === stemmed[i] && /^(?:a|an|another)$/.test(words[i - 1] ?? '')) known.count++;
        known.each ||= isEach;
      }
      if (isCounted) last.counts = true;
    }
    i++;
  }
  people += [...text.matchAll(oneOfThem)].length;
  if (people > 0 && andMe.test(text)) people++;
  if (days === 0 && aWeek.test(text)) days = 7;
  const isTrip = trip.test(text);
  if (isTrip) times *= 2;
  const isPair = !isTrip && two.test(text) && !isAdding(text);

  let loose: number | undefined;
  for (const { value, before, counts } of numbers) {
    if (counts || value === days || (people > 0 && value === people)) continue;
    if (
      purse === undefined &&
      !wishing.test(before) &&
      (having.test(before) || (change.test(text) && paidFrom.test(before)))
    )
      purse = value;
    else loose ??= value;
  }
  return {
    items,
    ...(purse === undefined ? {} : { purse }),
    ...(loose === undefined ? {} : { loose }),
    people,
    times,
    days,
    isPair,
  };
}

/** Whether it is for several, or for several times: one thing is then more than one. */
export function isMany({ people, times, days, isPair }: Heard): boolean {
  return people > 1 || times > 1 || days > 1 || isPair;
}

/** How many that makes of each: a room for two nights is two, and so is an ale for two people; a room they share. */
export function countedFor(
  items: readonly Item[],
  { people, times, days, isPair }: Heard,
  text: string,
): readonly Item[] {
  const someEach = items.some((item) => item.each);
  const byNight = items.some(isHadByNight);
  const nights = days > 1 && (byNight || rate.test(text)) ? days : 1;
  // "Both" of two people, or of two things, doubles nothing.
  const often = times * (isPair && people < 2 && items.length < 2 ? 2 : 1);
  return items.map((item) => {
    const { ware, count, each: isEach } = item;
    let all = count;
    const isShared = ware.shared && !item.several && !apart.test(text);
    if (people > 1 && !isShared && (isEach || (!someEach && count === 1))) all *= people;
    if (!byNight || isHadByNight(item)) all *= nights;
    return { ware, count: count === 1 || nights > 1 ? all * often : all };
  });
}

/** The number at this place; "two and one more" is three. */
function addedAt(words: readonly string[], at: number): { value: number; length: number } {
  const first = numberAt(words, at);
  if (first.length === 0 || !/^(?:and|plus)$/.test(words[at + first.length] ?? '')) return first;
  const second = numberAt(words, at + first.length + 1);
  if (second.length === 0) return first;
  const isMore = words[at + first.length + 1 + second.length] === 'more' ? 1 : 0;
  return {
    value: first.value + second.value,
    length: first.length + 1 + second.length + isMore,
  };
}

function isHadByNight({ ware }: Item): boolean {
  return ware.called.includes('night');
}

/** The ware that the words from here on name; words by their stems. */
function wareAt(words: readonly string[], at: number, wares: readonly Ware[]): Ware | undefined {
  return wares.find((ware) => nameAt(words, at, ware));
}

/** The name of the ware that begins there. */
function nameAt(words: readonly string[], at: number, ware: Ware): readonly string[] | undefined {
  return namesOf(ware).find((name) => name.every((word, i) => words[at + i] === word));
}

/** The wares that plain words name, each where it is named first; `end` is the place after its name. */
export function namedIn(
  text: string,
  wares: readonly Ware[],
): readonly { readonly ware: Ware; readonly at: number; readonly end: number }[] {
  const stemmed = text.split(' ').map(stem);
  const found = new Map<Ware, { ware: Ware; at: number; end: number }>();
  for (let at = 0; at < stemmed.length; at++) {
    const ware = wareAt(stemmed, at, wares);
    if (!ware || found.has(ware)) continue;
    found.set(ware, { ware, at, end: at + nameAt(stemmed, at, ware)!.length });
  }
  return [...found.values()];
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
