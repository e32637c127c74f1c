// How many there are of something that a character has counted, reckoned and not guessed: how many are left, how many they
// become, whether the players are more, how many each must face. Like reckon.ts for gold: says nothing where it is not sure
// what is asked.

import type { Count } from '../npcs/counts.ts';
import { figures, wordsOf } from '../npcs/figures.ts';
import { stemOf } from './recall.ts';

/** Words by which there become fewer of them, and more. */
const fewer =
  /\b(?:kill|kills|killed|slay|slew|slain|strike|struck|fell|fall|falls|die|dies|died|dead|gone|go|goes|went|leave|leaves|left|ran|run|runs|flee|flees|fled|off|away|fewer|less|minus|lose|lost|drown|drowned|beat|caught|catch|take out|get rid|finish|sick|asleep)\b/;
const joining =
  /\b(?:join|joins|joined|joining|come|comes|came|coming|arrive|arrives|arrived|turn up|showed up|plus|add|added|extra|another|reinforcements?)\b/;
const rest =
  /\b(?:how many|how much|what number|left|remain|remains|remaining|stay|still|rest|whats|what is|makes?|now)\b/;
const party =
  /\b(?:we|us|our|ours|i have|ive got|i bring|im bringing|bringing|i come with|my|men|man|soldiers?|fighters?|people|swords|friends|folk|strong)\b/;
const comparing =
  /\b(?:more|outnumber|outnumbered|enough|as many|equal|even|beat|win|match|fewer|stronger|suffice|suffices)\b/;
const sharing =
  /\b(?:each|apiece|per (?:man|head|person|fighter)|every (?:man|one)|everyone|split|divided?|share)\b/;

/**
 * The answer to a question about what was counted, as the character can say it; undefined where none is asked, or where
 * it is not clear which numbers are meant.
 */
export function reckonCount(counts: readonly Count[], words: string): string | undefined {
  const text = wordsOf(words).join(' ');
  const said = new Set(wordsOf(words).map(stemOf));
  const count = counts.find(({ name, many }) => said.has(stemOf(name)) || said.has(stemOf(many)));
  if (!count) return undefined;
  const { many, count: there } = count;
  const named = figures(words).map(({ value }) => value);
  const others = named.filter((value) => value !== there);
  if (others.length === 0) {
    if (named.length > 0 && party.test(text) && comparing.test(text))
      return `You are as many, ${there} of you and ${there} ${many}.`;
    return ofAll(count, text);
  }
  const [number] = others;
  if (others.length > 1 || number === undefined || number < 0) return undefined;
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
  if (party.test(text) && comparing.test(text) && !/\bhow many\b/.test(text)) {
    if (number > there) return `Yes, you are ${number} and there are only ${there} ${many}.`;
    return `No, there are ${there} ${many} and you are only ${number}.`;
  }
  if (fewer.test(text) && rest.test(text)) {
    if (number > there) return `There were never more than ${there} ${many}.`;
    return remaining(count, there - number);
  }
  return undefined;
}

/** Shares of all of them, without a number. */
function ofAll({ name, many, count }: Count, text: string): string | undefined {
  if (!rest.test(text)) return undefined;
  if (/\bhalf\b/.test(text) && fewer.test(text))
    return remaining({ name, many, count }, Math.ceil(count / 2));
  if (/\b(?:twice as many|double)\b/.test(text)) return `Then there are ${count * 2} ${many}.`;
  return undefined;
}

function remaining({ name, many }: Count, left: number): string {
  if (left === 0) return `Then no ${many} are left.`;
  return left === 1 ? `Then 1 ${name} is left.` : `Then ${left} ${many} are left.`;
}
