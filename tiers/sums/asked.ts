// What is asked about gold: whether a purse is enough, what is left, how many it buys, what things cost together. Goes by words;
// which things and how much gold is heard.ts, and the answer gold.ts.

import { change, type Heard, having, isMany } from './heard.ts';
import { counts, isShort } from './meant.ts';

const enough =
  /\b(?:enough|too (?:little|few)|afford|can i (?:buy|get|pay|have|take|cross|eat|sleep|stay)|could i (?:buy|get|pay|have|take|cross)|(?:do|will|would|does|can|is) (?:that|it|this|they|my \w+|(?!(?:i|you|u|we|they|he|she) )\w+(?: gold| coins?)?) (?:do|cover|buy|get|pay|take|carry|bear|stretch to)(?= |$)(?! (?:you|u|i)\b)|covers?|suffice|sufficient|short|missing|lack|in reach|good for|get me|buys? me|gets me|(?:have (?:i|we)|do (?:i|we) have) the (?:gold|money|coin|coins)|how much more|will do)\b/;
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
const wanting = /\b(?:give|gimme|want|take|ill have|buy|sell|bring|hand|pour|deal|like|need)\b/;
/** A price is asked and no ware is named. */
const barePrice =
  /^(?:and |so |ok |okay |well |then )*(?:how much(?:$| (?:is|are|does|do|for|would|then|please|now)\b)|what (?:is|s) the (?:price|cost)|whats the (?:price|cost)|the price|price|what does (?:it|that|one|this) cost|what do (?:they|those|these) cost|cost)(?:$|\b)/;
/** "Two loaves? A day?" asks about no price. */
const aDay = /\b(?:a|per|each|every) day\b/;
const notPrice = /\b(?:pays?|reward|earn|weighs?)\b/;
/** How a few words go on about what was spoken of. */
const going = /^(?:and|or|ok|for|with|what about|how about)\b/;

/** The player sells, and nobody here buys. */
export function isSelling(text: string): boolean {
  return selling.test(text);
}

export interface Asked {
  /** Is it enough? */
  readonly enough: boolean;
  /** What is left? */
  readonly change: boolean;
  /** How many are that? */
  readonly several: boolean;
  /** Which of all that is sold? */
  readonly choice: boolean;
  readonly comparison: boolean;
  /** Any of these that is about a purse. */
  readonly isAboutPurse: boolean;
  /**
   * A thing is asked for. Who is too poor is told so, and nothing else is said here: handing it over is the character's part.
   */
  readonly wants: boolean;
  /** The gold that is meant to pay, as these very words say. */
  readonly purse: number | undefined;
  /** The price, where no thing is named. */
  readonly price: boolean;
  /** Several people, times or things are spoken of, and what they come to is asked. */
  readonly isCounting: boolean;
  /** A few words about what was spoken of last: "and how much is it?" */
  readonly goesOn: boolean;
  /** What things cost together; for who asks for them, only if they ask that too. */
  readonly total: boolean;
  /** "Two loaves? A day?" */
  readonly rate: boolean;
}

/** What the words ask. `text`: the same, plain (`plainText`). `hasPurse`: what the player has is known already; `isTaken`: they
 * take something. */
export function askedIn(
  { words, text }: { readonly words: string; readonly text: string },
  heard: Heard,
  { hasPurse, isTaken }: { readonly hasPurse: boolean; readonly isTaken: boolean },
): Asked {
  const isQuestion =
    /\?\s*$/.test(words) || /^(?:can|could|is|are|will|would|do|does)\b|\bdo i get\b/.test(text);
  const asksEnough =
    enough.test(text) ||
    (isQuestion && (offered.test(text) || withIt.test(text))) ||
    (isFine.test(text) && (heard.purse !== undefined || hasPurse));
  const asksChange = change.test(text);
  const asksSeveral = several.test(text) && (heard.purse !== undefined || itsOwn.test(text));
  const asksWhat = buying.test(text);
  const isAboutPurse = asksEnough || asksChange || asksSeveral || asksWhat;
  // "Is twenty enough for a shield": no word says what twenty are.
  const meantPurse = !hasPurse && (asksEnough || asksSeveral || asksWhat) ? heard.loose : undefined;
  // A price that is claimed ("a sword is 20 gold, right?") and an offer ("18 for it?") are no purse.
  const purse = isAboutPurse || having.test(text) ? (heard.purse ?? meantPurse) : undefined;
  const wants =
    isTaken ||
    (wanting.test(text) &&
      (heard.items.length > 0 || (isShort(text) && thatOne.test(text) && !questioning.test(text))));
  const goesOn = heard.items.length === 0 && purse === undefined && isShort(text);
  return {
    enough: asksEnough,
    change: asksChange,
    several: asksSeveral,
    choice: (choosing.test(text) || asksWhat) && (isAboutPurse || purse !== undefined) && !asksChange,
    comparison: comparing.test(text),
    isAboutPurse,
    wants,
    purse,
    price: goesOn && barePrice.test(text) && !notPrice.test(text),
    isCounting: isMany(heard)
      ? pricing.test(text) || going.test(text)
      : purse !== heard.loose && heard.loose !== undefined && counts(text),
    goesOn,
    total: (wants ? totalling : pricing).test(text),
    rate: aDay.test(text) && !pricing.test(text),
  };
}
