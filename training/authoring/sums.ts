// Gold reckoned: what an answer may come to from the prices and the player's purse, and whether its yes or no and its
// difference are right. Where it cannot tell what is meant, it says nothing.

import type { Row } from '../../npcs/exchange.ts';
import { coin, figures, wordsOf } from '../../npcs/figures.ts';
import type { Lore } from './lore.ts';

type Good = Lore['goods'][number];

/** The goods that a text names. */
export function goodsIn(text: string, { goods }: Lore): readonly Good[] {
  const words = new Set(wordsOf(text).flatMap((word) => [word, word.replace(/s$/, '')]));
  return goods.filter((good) => good.words.some((word) => words.has(word)));
}

const amountAfter =
  /^(?:for|each|apiece|a|per|more|short|left|even|flat|please|in|is|to|over|spare|the|from|of)?$/;
const amountBefore =
  /^(?:costs?|is|are|for|at|only|just|be|makes|pay|ask|asks|wants?|need|needs|have|has|got)$/;

/** The amounts of gold in a clause: numbers that count coins, or stand where a price stands. */
export function amountsOf(clause: string): readonly number[] {
  return figures(clause)
    .filter(
      ({ before, after }) =>
        coin.test(after) ||
        (amountAfter.test(after) && amountBefore.test(before) && after !== 'of') ||
        /^(?:short|more|left|over)$/.test(after),
    )
    .map(({ value }) => value);
}

const reckoning =
  /\b(?:have|has|had|got|hold|bring|brought|purse|left|short|more|need|lack|missing|change|remains?|over|spare|two|both|three|four|pair|together|makes?|all|enough|another|come|comes|keep|keeps|yours?|with|of your|you|total|back|less|from|couple|dozen|twice)\b/i;

/** Whether a clause speaks of a purse, a difference or of several things, so that its amount is no bare price. */
export function isReckoned(clause: string): boolean {
  return (
    reckoning.test(clause) ||
    figures(clause).some(({ value, after }) => value > 1 && value < 20 && !coin.test(after) && after !== '')
  );
}

const mostOfAThing = 12;

/**
 * Every amount that prices and purse can come to: of one or several things, of two together, what is short or left. Empty
 * where nothing with a price was named.
 */
export function reckonable(row: Row, turn: number, lore: Lore): ReadonlySet<number> {
  const { turns, state } = row;
  const spoken = turns.slice(0, turn + 1);
  const heard = spoken.flatMap(({ wordings }) => wordings);
  const texts = [...heard, ...spoken.map(({ answer }) => answer)];
  const goods = goodsIn(texts.join('. '), lore);
  if (goods.length === 0) return new Set();
  const counts = new Set(
    [1, 2, ...texts.flatMap(figures).map(({ value }) => value)].filter((n) => n >= 1 && n <= mostOfAThing),
  );
  const costs = new Set<number>();
  for (const { price } of goods) for (const count of counts) costs.add(price * count);
  const single = [...costs];
  for (const a of single) for (const b of single) costs.add(a + b);
  const purses = [
    ...heard.flatMap(figures).map(({ value }) => value),
    ...(typeof state.gold === 'number' ? [state.gold] : []),
  ];
  const all = new Set([...costs, ...purses]);
  for (const purse of purses) for (const cost of costs) all.add(Math.abs(purse - cost));
  return all;
}

export interface Sum {
  readonly fault?: string;
  /** Whether it could be told what is right. */
  readonly isChecked: boolean;
}

/** What a player reckons with: things and how many of each, and the gold that is there for them. */
interface Reckoning {
  readonly things: ReadonlyMap<Good, number>;
  readonly cost: number;
  readonly purse: number | undefined;
}

/** Questions that cannot be put into one basket. */
const tooMany =
  /\b(?:which|or|each|everything|anything|all|afford here|how often|how many|more than|both ways|and back|two of us|people)\b/i;
const asksForBoth = /\bboth\b/i;

function reckoningOf(npc: string, words: string, state: Row['state'], lore: Lore): Reckoning | undefined {
  if (tooMany.test(words)) return undefined;
  const all = figures(words);
  const coins = new Set(all.filter(({ after }) => coin.test(after)).map(({ value }) => value));
  if (coins.size > 1) return undefined;
  const told = typeof state.gold === 'number' ? state.gold : undefined;
  const purse = [...coins][0] ?? told;
  const things = new Map<Good, number>();
  // "Two cups of tea": two teas.
  const plain = words.replace(/\b(?:cups?|pots?|jars?|loaves|bowls?|mugs?|portions?) of\b/gi, '');
  const heard = new Set(wordsOf(plain).flatMap((word) => [word, word.replace(/s$/, '')]));
  const counted = figures(plain);
  for (const good of lore.goods) {
    const names = [...good.words, ...good.also].filter((word) => heard.has(word));
    if (names.length === 0) continue;
    if (!good.by.includes(npc)) return undefined;
    const counts = counted.filter(({ after }) =>
      names.some((word) => after === word || after === `${word}s`),
    );
    things.set(good, Math.max(1, ...counts.map(({ value }) => value)));
  }
  if (asksForBoth.test(words) && things.size !== 2) return undefined;
  const cost = [...things].reduce((sum, [{ price }, count]) => sum + price * count, 0);
  return { things, cost, purse };
}

const no =
  /\b(?:no|not|never|nay|cannot|lack|lacks|too (?:little|few|poor|much)|missing|too small)\b|n't\b|\bshort\b|\bneed \S+ more\b|\b(?:more than you|is empty)\b/i;
const yes =
  /\b(?:yes|aye|enough|plenty|can afford|indeed|sure|surely|certainly|of course|will do|they do)\b/i;
const yesFirst = /^(?:yes|aye|sure|they (?:do|are)|it (?:is|does|will)|enough)\b/i;
const asksEnough =
  /\b(?:enough|afford|can i (?:buy|get|have)|could i (?:buy|get|have)|will (?:that|it|\S+ gold) do|pay for|cover|in reach|do i get)\b/i;
const asksRest = /\b(?:left|remains?|i keep|change|get back)\b/i;
const asksHowMuch = /\b(?:how much|what|cost|price|which|whats)\b/i;
const asksTogether = /\b(?:together|plus|sum|both|in all|altogether|total|make)\b/i;
const asksPurse = /\bhow much gold do i have\b|\bhow many coins\b|\bin my purse\b|\bcount my\b/i;

/**
 * Holds the answer to a question about gold against arithmetic: whether a purse is enough for some things, what is left of
 * it, what things cost together, how much there is. What it cannot put so is not checked.
 */
export function checkSum(npc: string, row: Row, turn: number, lore: Lore): Sum {
  const { wordings, answer, does } = row.turns[turn]!;
  const poor = does.find(({ verb, args }) => verb === 'give' && Number(args.price) > Number(row.state.gold));
  if (poor)
    return { isChecked: true, fault: `gives for ${poor.args.price} gold to a purse of ${row.state.gold}` };
  let isChecked = false;
  for (const words of wordings) {
    const reckoning = reckoningOf(npc, words, row.state, lore);
    const fault = reckoning && faultOfAnswer(words, answer, reckoning);
    isChecked ||= fault !== undefined;
    if (fault) return { isChecked, fault };
  }
  return { isChecked };
}

/** What is wrong, an empty text when nothing is, undefined when it cannot be told. */
function faultOfAnswer(
  words: string,
  answer: string,
  { things, cost, purse }: Reckoning,
): string | undefined {
  const said = figures(answer).map(({ value }) => value);
  const quoted = JSON.stringify(answer);
  if (things.size === 0) {
    if (purse === undefined || !asksPurse.test(words)) return undefined;
    return said.includes(purse) || (purse === 0 && /\b(?:no|empty|none|nothing)\b/i.test(answer))
      ? ''
      : `${quoted} does not say ${purse}`;
  }
  const what = [...things]
    .map(
      ([
        {
          words: [name],
        },
        count,
      ]) => `${count} ${name}`,
    )
    .join(' and ');
  if (asksRest.test(words)) {
    if (purse === undefined || purse < cost) return undefined;
    const rest = purse - cost;
    const says =
      said.includes(rest) || (rest === 1 && /\bone\b/i.test(answer)) || (rest === 0 && noneLeft.test(answer));
    return says ? '' : `${quoted}: of ${purse} gold ${rest} are left after ${what}`;
  }
  if (purse !== undefined && asksEnough.test(words)) {
    const verdict = yesFirst.test(answer)
      ? 'yes'
      : no.test(answer)
        ? 'no'
        : yes.test(answer)
          ? 'yes'
          : undefined;
    if (!verdict) return undefined;
    if (verdict !== (purse >= cost ? 'yes' : 'no'))
      return `${quoted} says ${verdict} to ${purse} gold for ${what} at ${cost}`;
    const parts = [...things].flatMap(([{ price }, count]) => [price, count, price * count]);
    const right = new Set([purse, cost, Math.abs(purse - cost), things.size, ...parts]);
    const wrong = said.find((value) => !right.has(value));
    return wrong === undefined
      ? ''
      : `${quoted} says ${wrong}; ${purse} gold for ${what} at ${cost} gives no such number`;
  }
  const isSum = things.size > 1 ? asksTogether.test(words) : [...things.values()][0]! > 1;
  if (purse !== undefined || !asksHowMuch.test(words) || !isSum) return undefined;
  return said.includes(cost) ? '' : `${quoted} does not say ${cost} for ${what}`;
}

const noneLeft = /\b(?:nothing|none|zero|no gold|not a coin|empty)\b/i;
