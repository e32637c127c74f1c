// Sums of gold by the hundred, made out of the character files: is it enough, what is short, what do two cost, what comes
// back, and who is too poor gets nothing. A small model learns to compare numbers from many alike, not from a few that
// are well written; so all answer in one form. Authors write the rest (npcs/exchanges).

import type { Character } from '../npcs/characters.ts';
import { type Exchange, type Row, rowsOf } from '../npcs/exchange.ts';
import type { Authored } from '../npcs/read-exchanges.ts';

interface Ware {
  /** "sword", "room for the night". */
  readonly name: string;
  /** "a sword"; "repairs" have no article. */
  readonly one: string;
  readonly costs: 'cost' | 'costs';
  readonly price: number;
  /** What is said when it is handed over, and the act that goes with it. */
  readonly gives?: {
    readonly fact: string;
    readonly verb: string;
    readonly args: Row['does'][number]['args'];
  };
}

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
  'Is my gold enough to buy {one}?',
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
  return [...characters.values()].flatMap((character) =>
    waresOf(character).flatMap((ware, i) => drillsOf(character.id, ware, i)),
  );
}

function drillsOf(npc: string, ware: Ware, at: number): Authored[] {
  const { one, price, gives } = ware;
  const One = one[0]!.toUpperCase() + one.slice(1);
  const short = (gold: number) => `No, ${one} ${ware.costs} ${price} gold and you have only ${gold}.`;
  const yes = (gold: number) => `Yes, you have ${gold} gold and ${one} ${ware.costs} ${price}.`;
  const made: Authored[] = [];
  const add = (
    name: string,
    kind: Exchange['kind'],
    players: readonly string[],
    npcSays: string,
    more: object = {},
  ) => {
    const { does = [], ...rest } = more as { does?: unknown[]; state?: object };
    const exchange = {
      id: `${npc}-drill-${at}-${name}`,
      kind,
      turns: [{ player: players as string[], npc: npcSays, does }],
      ...rest,
    } as Exchange;
    made.push({ npc, exchange, rows: rowsOf(exchange), at: `drill ${exchange.id}` });
  };
  const fill = (templates: readonly string[], gold: number) =>
    templates.map((text) => text.replaceAll('{gold}', String(gold)).replaceAll('{one}', one));
  for (const gold of purses(price)) {
    const isEnough = gold >= price;
    add(`words-${gold}`, 'sum', fill(byWords, gold), isEnough ? yes(gold) : short(gold));
    add(`state-${gold}`, 'sum', fill(byState, gold), isEnough ? yes(gold) : short(gold), { state: { gold } });
    if (gives)
      add(`buy-${gold}`, 'buy', fill(bought, gold), isEnough ? gives.fact : short(gold), {
        state: { gold },
        ...(isEnough ? { does: [{ verb: gives.verb, args: gives.args }] } : {}),
      });
    if (gold > price)
      add(
        `change-${gold}`,
        'sum',
        fill(changed, gold),
        `${One} ${ware.costs} ${price} gold, so ${gold - price} gold is left.`,
      );
  }
  if (ware.costs === 'costs')
    add('two', 'sum', fill(doubled, 0), `${One} ${ware.costs} ${price} gold, so two are ${2 * price} gold.`);
  return made;
}

/** What a character's facts put a price on: "A sword costs 30 gold." */
function waresOf({ facts, acts }: Character): readonly Ware[] {
  const wares = new Map<string, Ware>();
  for (const { fact } of facts) {
    for (const [, article = '', name = '', costs, price] of fact.matchAll(
      /(?:^|\band )(?:(an?|the|my) )?([a-z][a-z ]*?) (costs?) (\d+) gold/gi,
    )) {
      const key = name.toLowerCase();
      const act = acts.find(({ verb, args }) => verb === 'give' && key.includes(String(args.item)));
      const yes = act && facts.find(({ fact: words }) => isHandedOver(words, act.says));
      if (wares.has(key) || /swords$/.test(key)) continue;
      wares.set(key, {
        name: key,
        one: article === '' ? key : article.toLowerCase() === 'the' ? `the ${key}` : `a ${key}`,
        costs: costs as Ware['costs'],
        price: Number(price),
        ...(act && yes
          ? { gives: { fact: yes.fact, verb: act.verb, args: act.args as Row['does'][number]['args'] } }
          : {}),
      });
    }
  }
  return [...wares.values()];
}

/** Whether these words hand it over: all words of one of the act's phrases are in them. */
function isHandedOver(words: string, says: readonly string[]): boolean {
  const spoken = new Set(words.toLowerCase().match(/[a-z]+/g) ?? []);
  return says.some((phrase) => phrase.split(' ').every((word) => spoken.has(word)));
}
