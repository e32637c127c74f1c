// The answers to sums of gold as a character can say them. Reckons no more than their totals; what is asked is found out in gold.ts.

import type { Ware } from '../../npcs/wares.ts';
import type { Item } from './heard.ts';

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

export function tooLittle(items: readonly Item[], total: number, purse: number): string {
  const { text, costs } = named(items);
  return `No, ${text} ${costs} ${total} gold and you have only ${purse}, you are ${total - purse} short.`;
}

export function isEnough(items: readonly Item[], total: number, purse: number): string {
  const { text, costs } = named(items);
  if (total === 0) return `Yes, ${text} ${costs} nothing.`;
  return total === purse
    ? `Yes, that is just enough, ${text} ${costs} ${total} gold.`
    : `Yes, that is enough, ${text} ${costs} ${total} gold and you have ${purse}.`;
}

export function left(items: readonly Item[], total: number, purse: number): string {
  const { text, costs } = named(items);
  const rest = purse - total;
  return `${capital(text)} ${costs} ${total} gold, so ${rest === 0 ? 'nothing' : `${rest} gold`} is left of your ${purse}.`;
}

export function sum(items: readonly Item[], total: number): string {
  const { text, costs } = named(items);
  if (total === 0) return `${capital(text)} ${costs} nothing.`;
  return `${capital(text)} ${costs} ${total} gold${items.length > 1 ? ' together' : ''}.`;
}

export function asMany(ware: Ware, purse: number): string {
  const count = Math.floor(purse / ware.price);
  if (count === 0) return tooLittle([{ ware, count: 1 }], ware.price, purse);
  const { text } = named([{ ware, count }]);
  const rest = purse - count * ware.price;
  return `For ${purse} gold you get ${text}${rest > 0 ? `, and ${rest} gold is left` : ''}.`;
}

export function affordable(wares: readonly Ware[], purse: number): string {
  const has = wares.filter(({ price }) => price <= purse);
  const cheapest = [...wares].sort((a, b) => a.price - b.price)[0]!;
  if (has.length === 0) return tooLittle([{ ware: cheapest, count: 1 }], cheapest.price, purse);
  const dear = wares.filter(({ price }) => price > purse).sort((a, b) => a.price - b.price)[0];
  const list = listed(has.map(one), 'or');
  const but = dear ? `, but ${one(dear)} costs ${dear.price}` : '';
  return `With ${purse} gold you can have ${list}${but}.`;
}

export function compared([first, second]: readonly Item[]): string {
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
