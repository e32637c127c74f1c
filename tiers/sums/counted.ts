// How many there are of something that a character has counted, reckoned and not guessed: how many are left, how many they
// become, whether the players are more, how many each must face. Like gold.ts for gold: says nothing where it is not sure
// what is asked.

import type { Count } from '../../npcs/counts.ts';
import { dozensCounted, figures, wordsOf } from '../../npcs/figures.ts';
import { stemOf } from '../recall.ts';

/** Words by which there become fewer of them, and more. */
const fewer =
  /\b(?:kill|kills|killed|slay|slew|slain|strike|struck|fell|fall|falls|die|dies|died|dead|gone|take|takes|taken|cut|cuts|go|goes|went|leave|leaves|left|ran|run|runs|flee|flees|fled|off|away|fewer|less|minus|lose|lost|drown|drowned|beat|caught|catch|take out|put down|knock(?:ed)? (?:down|out)|defeat|defeats|defeated|remove|removed|get rid|finish|sick|asleep|sleep|sleeps)\b/;
const joining =
  /\b(?:join|joins|joined|joining|come|comes|came|coming|arrive|arrives|arrived|turn up|showed up|plus|add|added|extra|another|reinforcements?)\b/;
const rest =
  /^(?:and|so|what) (?:if|after|when|once)\b|\bminus\b|\b(?:how many|how much|what number|left|remain|remains|remaining|stay|still|rest|whats|what is|makes?|now|count|total|any|awake|to go|be)\b/;
const party =
  /\b(?:we|were|us|our|ours|i have|ive got|i bring|im bringing|bringing|i come with|my|men|man|soldiers?|fighters?|people|swords|friends|folk|strong)\b/;
const comparing =
  /\b(?:more|versus|against|outnumber|outnumbered|enough|as many|equal|even|beat|win|match|fewer|stronger|suffice|suffices)\b/;
/** How far who is fewer is behind. */
const missing =
  /\bhow many more\b|\bby how many\b|\bhow many (?:am i|are we|do (?:i|we)) (?:short|lack|miss|need)|\bdifference\b/;
const shares = [
  [/\bhalf\b/, 2],
  [/\b(?:a|one) third\b/, 3],
  [/\b(?:a|one) (?:quarter|fourth)\b/, 4],
] as const;
/** Where one thing alone was counted, this is done to it, if the numbers stand by themselves: "I killed five, how many to go". */
const fighting = /\b(?:kill|kills|killed|slay|slain|outnumber|who (?:is|are) more)\b/;
const unnamed = /^(?:of|how|and|what|who|today|tomorrow|now|already|then|each|more|any|left|are|do)?$/;
const allBut = /\b(?:all|every one|everyone) (?:but|except|save)\b/;
const sharing =
  /\b(?:each|apiece|per (?:man|head|person|fighter)|every (?:man|one)|everyone|split|divided?|share)\b/;

/**
 * The answer to a question about what was counted, as the character can say it; undefined where none is asked, or where
 * it is not clear which numbers are meant.
 */
export function reckonCount(
  counts: readonly Count[],
  words: string,
  { before = [], own = [] }: { before?: readonly string[]; own?: readonly string[] } = {},
): string | undefined {
  const text = numbersPlain(wordsOf(words).join(' '));
  const countable = counts.filter(({ per }) => per === undefined);
  const spokenOf = (said: string) => {
    const stemmed = new Set(wordsOf(said).map(stemOf));
    return countable.find(({ name, many }) => stemmed.has(stemOf(name)) || stemmed.has(stemOf(many)));
  };
  const isGoingOn = /\b(?:they|them|those|these|of em)\b|^(?:and|so|what) if\b/.test(text);
  const only =
    countable.length === 1 && fighting.test(text) && figures(text).every(({ after }) => unnamed.test(after));
  const count =
    spokenOf(text) ??
    (isGoingOn ? spokenOf(before.slice(0, 2).join(' ')) : undefined) ??
    (only ? countable[0] : undefined);
  if (!count) return undefined;
  const { many, count: there } = count;
  const named = figures(text).map(({ value }) => value);
  const others = named.filter((value) => value !== there);
  if (others.length === 0) {
    // "We are twelve", said before.
    const group = party.test(text) && (missing.test(text) || comparing.test(text)) ? groupOf(own) : undefined;
    if (named.length === 0 && group !== undefined) return comparedTo(count, group, missing.test(text));
    if (named.length > 0 && party.test(text) && comparing.test(text))
      return `You are as many, ${there} of you and ${there} ${many}.`;
    return ofAll(count, text);
  }
  const [number] = others;
  if (number === undefined || number < 0) return undefined;
  if (others.length > 1) {
    // "Three of us, and each kills four"; "eight today and five tomorrow": all of them go, or it is not clear.
    if (others.length === 2 && sharing.test(text) && party.test(text) && fewer.test(text))
      return goneOf(count, number * others[1]!);
    const gone = others.reduce((sum, value) => sum + value, 0);
    return fewer.test(text) &&
      !joining.test(text) &&
      !party.test(text.replace(/\bwe\b/g, '')) &&
      rest.test(text)
      ? goneOf(count, gone)
      : undefined;
  }
  if (sharing.test(text) && party.test(text)) {
    if (number === 0) return undefined;
    const each = there / number;
    return Number.isInteger(each)
      ? `There are ${there} ${many} for ${number} of you, that is ${each} each.`
      : `There are ${there} ${many} for ${number} of you, more than ${Math.floor(each)} each.`;
  }
  const isJoined =
    new RegExp(`\\b(?:\\d+|\\w+) more ${many}\\b`).test(text) || (joining.test(text) && !fewer.test(text));
  if (isJoined && rest.test(text)) return `Then there are ${there + number} ${many}.`;
  if (party.test(text) && missing.test(text)) return comparedTo(count, number, true);
  if (party.test(text) && comparing.test(text) && !/\bhow many\b/.test(text))
    return comparedTo(count, number, false);
  if (!fewer.test(text) || !rest.test(text)) return undefined;
  // "All but two are dead, how many did I get?"
  if (allBut.test(text) && number <= there)
    return /\b(?:left|remains?|still|stand|alive)\b/.test(text)
      ? remaining(count, number)
      : `Then ${there - number} of the ${there} ${many} are gone.`;
  return goneOf(count, number);
}

/** A group of the players beside what was counted; `by how many`, or whether it is more. */
function comparedTo({ many, count }: Count, group: number, byHowMany: boolean): string {
  if (byHowMany && group < count)
    return `There are ${count} ${many} and you are ${group}, that is ${count - group} fewer.`;
  if (group > count) return `Yes, you are ${group} and there are only ${count} ${many}.`;
  return `No, there are ${count} ${many} and you are only ${group}.`;
}

/** How many the players said they are. */
function groupOf(own: readonly string[]): number | undefined {
  for (const said of own) {
    const text = numbersPlain(wordsOf(said).join(' '));
    const [figure, other] = figures(text);
    if (figure && !other && /\b(?:we|us|our|my|men|together)\b/.test(text)) return figure.value;
  }
  return undefined;
}

function goneOf(count: Count, gone: number): string {
  if (gone > count.count) return `There were never more than ${count.count} ${count.many}.`;
  return remaining(count, count.count - gone);
}

/** "A dozen" is 12, and one of them is a number. */
function numbersPlain(text: string): string {
  return dozensCounted(text)
    .replace(/\ba (?:couple|pair)\b/g, '2')
    .replace(/\bone(?= (?:of|more|fell|died|ran|fled|left|is|was|dead|goblin)\b)/g, '1');
}

/** Shares of all of them, without a number. */
function ofAll(counted: Count, text: string): string | undefined {
  const { many, count } = counted;
  if (!rest.test(text)) return undefined;
  for (const [share, parts] of shares)
    if (share.test(text) && fewer.test(text)) return remaining(counted, count - Math.floor(count / parts));
  if (/\b(?:twice as many|double)\b/.test(text)) return `Then there are ${count * 2} ${many}.`;
  return undefined;
}

function remaining({ name, many }: Pick<Count, 'name' | 'many'>, left: number): string {
  if (left === 0) return `Then no ${many} are left.`;
  return left === 1 ? `Then 1 ${name} is left.` : `Then ${left} ${many} are left.`;
}
