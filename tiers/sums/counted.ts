// How many there are of something that a character has counted, reckoned and not guessed: how many are left, how many they
// become, whether the players are more, how many each must face. Like gold.ts for gold: says nothing where it is not sure
// what is asked.

import type { Count } from '../../npcs/counts.ts';
import { figures, wordsOf } from '../../npcs/figures.ts';
import { stemOf } from '../recall.ts';

/** Words by which there become fewer of them, and more. */
const fewer =
  /\b(?:kill|kills|killed|slay|slew|slain|strike|struck|fell|fall|falls|die|dies|died|dead|gone|go|goes|went|leave|leaves|left|ran|run|runs|flee|flees|fled|off|away|fewer|less|minus|lose|lost|drown|drowned|beat|caught|catch|take out|get rid|finish|sick|asleep)\b/;
const joining =
  /\b(?:join|joins|joined|joining|come|comes|came|coming|arrive|arrives|arrived|turn up|showed up|plus|add|added|extra|another|reinforcements?)\b/;
const rest =
  /\b(?:how many|how much|what number|left|remain|remains|remaining|stay|still|rest|whats|what is|makes?|now|count|total)\b/;
const party =
  /\b(?:we|us|our|ours|i have|ive got|i bring|im bringing|bringing|i come with|my|men|man|soldiers?|fighters?|people|swords|friends|folk|strong)\b/;
const comparing =
  /\b(?:more|outnumber|outnumbered|enough|as many|equal|even|beat|win|match|fewer|stronger|suffice|suffices)\b/;
/** How far who is fewer is behind. */
const missing =
  /\bhow many more\b|\bby how many\b|\bhow many (?:am i|are we|do (?:i|we)) (?:short|lack|miss|need)|\bdifference\b/;
const shares = [
  [/\bhalf\b/, 2],
  [/\b(?:a|one) third\b/, 3],
  [/\b(?:a|one) (?:quarter|fourth)\b/, 4],
] as const;
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
  before: readonly string[] = [],
): string | undefined {
  const text = numbersPlain(wordsOf(words).join(' '));
  const countable = counts.filter(({ per }) => per === undefined);
  const spokenOf = (said: string) => {
    const stemmed = new Set(wordsOf(said).map(stemOf));
    return countable.find(({ name, many }) => stemmed.has(stemOf(name)) || stemmed.has(stemOf(many)));
  };
  const isGoingOn = /\b(?:they|them|those|these|of em)\b|^(?:and|so|what) if\b/.test(text);
  const count = spokenOf(text) ?? (isGoingOn ? spokenOf(before.slice(0, 2).join(' ')) : undefined);
  if (!count) return undefined;
  const { many, count: there } = count;
  const named = figures(text).map(({ value }) => value);
  const others = named.filter((value) => value !== there);
  if (others.length === 0) {
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
  if (party.test(text) && missing.test(text) && number < there)
    return `There are ${there} ${many} and you are ${number}, that is ${there - number} fewer.`;
  if (party.test(text) && comparing.test(text) && !/\bhow many\b/.test(text)) {
    if (number > there) return `Yes, you are ${number} and there are only ${there} ${many}.`;
    return `No, there are ${there} ${many} and you are only ${number}.`;
  }
  if (!fewer.test(text) || !rest.test(text)) return undefined;
  // "All but two are dead, how many did I get?"
  if (allBut.test(text) && number <= there)
    return /\b(?:left|remains?|still|stand|alive)\b/.test(text)
      ? remaining(count, number)
      : `Then ${there - number} of the ${there} ${many} are gone.`;
  return goneOf(count, number);
}

function goneOf(count: Count, gone: number): string {
  if (gone > count.count) return `There were never more than ${count.count} ${count.many}.`;
  return remaining(count, count.count - gone);
}

/** "A dozen" is 12, and one of them is a number. */
function numbersPlain(text: string): string {
  return text
    .replace(/\bhalf a dozen\b/g, '6')
    .replace(/\b(?:a )?dozen\b/g, '12')
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
