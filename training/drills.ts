// Sums of gold by the hundred, made out of the wares of the characters: is it enough, what is short, what do two cost, what
// comes back, and who is too poor gets nothing. The answers are those that are reckoned (tiers/sums/gold.ts): what is learnt is to
// repeat them. Authors write the rest (npcs/exchanges).

import type { Character } from '../npcs/characters.ts';
import type { Row } from '../npcs/exchange.ts';
import type { Authored } from '../npcs/read-exchanges.ts';
import type { Ware } from '../npcs/wares.ts';
import { reckon } from '../tiers/sums/gold.ts';

/** Each is asked with a purse that is told by the player. */
const byWords = [
  'I have {gold} gold, can I pay for {one}?',
  'With {gold} gold, do I get {one}?',
  '{gold} gold is all I own. Will it buy {one}?',
  'I brought {gold} coins for {one}, does that do?',
  'is {gold} gold fine for {one}',
  'if I had {gold} gold, could I buy {one}?',
  'my pockets hold {gold} gold, {one} then?',
  'Are {gold} coins enough gold for {one}?',
];
/** And with one that the game tells. */
const byState = [
  'Can I pay for {one}?',
  'Have I the gold that {one} takes?',
  'Look into my purse, can I afford {one} out of it?',
  'could I afford {one} now?',
  'Does my purse hold the price of {one}?',
  'have i got gold for {one}?',
];
const bought = [
  'I buy {one}.',
  'Give me {one}, please.',
  'I would like to buy {one}.',
  "I'll take {one}, here is my gold.",
  'sell me {one}',
  'i want {one} now',
  'Deal, I take {one}.',
];
const doubled = [
  'What do two cost, {one} for me and one for my friend?',
  'How much gold for two of them, I mean {one} twice?',
  'Price for {one} and one more of the same?',
];
const changed = [
  'I pay with {gold} gold for {one}. How much gold is left?',
  'If I give you {gold} gold for {one}, what do I get back?',
  'How much of my {gold} gold is left after {one}?',
];

/** Purses around a price, where comparing is hard, and some far from it. Always the same for the same price. */
function purses(price: number): readonly number[] {
  const near = [-3, -2, -1, 0, 1, 2, 3].map((step) => price + step);
  const far = [0.3, 0.5, 0.7, 1.4, 2, 3].map((times) => Math.round(price * times));
  return [...new Set([0, ...near, ...far, price + 10, price + 25])]
    .filter((gold) => gold >= 0)
    .sort((a, b) => a - b);
}

/** The drills of all characters that sell something. */
export function drills(characters: ReadonlyMap<string, Character>): readonly Authored[] {
  return [...characters.values()].flatMap(({ id, wares }) =>
    wares.flatMap((ware, i) => drillsOf(id, wares, ware, i)),
  );
}

function drillsOf(npc: string, wares: readonly Ware[], ware: Ware, at: number): Authored[] {
  const { name, price } = ware;
  const one = `${/^[aeiou]/.test(name) ? 'an' : 'a'} ${name}`;
  const made: Authored[] = [];
  const add = (name: string, templates: readonly string[], gold: number, state: { gold?: number } = {}) => {
    const rows = templates.flatMap((template, row): Row[] => {
      const words = template.replaceAll('{gold}', String(gold)).replaceAll('{one}', one);
      const answer = reckon({ wares, words, before: [], gold: state.gold });
      if (answer === undefined) return [];
      return [{ row, turns: [{ wordings: [words], answer, does: [] }], state, context: undefined, does: [] }];
    });
    const id = `${npc}-drill-${at}-${name}`;
    if (rows.length > 0) made.push({ npc, exchange: { id, kind: 'sum' }, rows, at: `drill ${id}` });
  };
  for (const gold of purses(price)) {
    add(`words-${gold}`, byWords, gold);
    add(`state-${gold}`, byState, gold, { gold });
    if (gold < price) add(`poor-${gold}`, bought, gold, { gold });
    if (gold > price) add(`change-${gold}`, changed, gold);
  }
  add('two', doubled, 0);
  return made;
}
