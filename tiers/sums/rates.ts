// What comes to more with time: an hour's walk there and back, two loaves a day for a week. Reckoned and not guessed, like what
// has a price (gold.ts) and what was counted once (counted.ts); says nothing where no time is named.

import type { Count } from '../../npcs/counts.ts';
import { figures, wordsOf } from '../../npcs/figures.ts';
import type { Ware } from '../../npcs/wares.ts';
import { isAnySaid, stems } from '../recall.ts';

const asking =
  /^(?:and|or|for|what about|how about)\b|\b(?:how (?:many|much|long|far)|what|whats|total|altogether|takes?|makes?|needs?|eats?)\b/;
const thereAndBack =
  /\b(?:there and (?:\w+ )?back|back and forth|and (?:\w+ ){0,3}back(?: again)?|round trip|return trip|return|both ways|to and fro|go and come|whole trip|way back and)\b/;
const everyDay = /\b(?:a|per|each|every) (?:single )?day\b|\bdaily\b/;
const staying = /\b(?:stay|rest|wait|stop|search|look around|fight|spend) (?:\w+ ){0,3}(?:hour|hours)\b/;
const daysOf: ReadonlyMap<string, number> = new Map([
  ['day', 1],
  ['days', 1],
  ['mornings', 1],
  ['week', 7],
  ['weeks', 7],
]);

/** The answer as the character can say it. `before`: what was said last, newest first, which may name the thing. */
export function reckonRate(
  { counts, wares }: { readonly counts: readonly Count[]; readonly wares: readonly Ware[] },
  words: string,
  before: readonly string[],
): string | undefined {
  const text = wordsOf(words).join(' ');
  if (!asking.test(text)) return undefined;
  const said = stems(words);
  const rates = counts.filter(({ per }) => per !== undefined);
  const rate =
    rates.find(({ about }) => isAnySaid(about, said)) ??
    // The last exchange alone: further back it may have been about anything.
    rates.find(({ about }) => isAnySaid(about, new Set([...said, ...stems(before.slice(0, 2).join(' '))])));
  if (!rate) return undefined;
  return rate.per === 'day' ? inDays(rate, wares, words, text) : onTheWay(rate, words, text);
}

function inDays(rate: Count, wares: readonly Ware[], words: string, text: string): string | undefined {
  const spans = figures(words).filter(({ after }) => daysOf.has(after));
  if (spans.length > 1) return undefined;
  const [span] = spans;
  const days = span
    ? span.value * daysOf.get(span.after)!
    : /\b(?:a|one|the|whole|full|per|each|every) week\b|\bweekly\b/.test(text)
      ? 7
      : /\b(?:a|one|per|each|every) (?:single )?day\b|\bdaily\b/.test(text)
        ? 1
        : 0;
  const ware = /\b(?:cost|costs|pay|pays|gold|coins?|spend|spends|price|owe|owes)\b/.test(text)
    ? wares.find(({ called }) => called.includes(rate.name))
    : undefined;
  if (days < 1 || (days === 1 && !ware)) return undefined;
  const worth = ware ? `, and ${rate.count * days * ware.price} gold` : '';
  return `In ${days === 1 ? 'a day' : `${days} days`} that is ${amount(rate, days)}${worth}.`;
}

function onTheWay(rate: Count, words: string, text: string): string | undefined {
  if (!thereAndBack.test(text)) return undefined;
  const numbers = figures(words);
  const counted = (what: RegExp) => numbers.find(({ after }) => what.test(after))?.value;
  const often = counted(/^times$/) ?? (/\btwice\b/.test(text) ? 2 : 1);
  const days = everyDay.test(text) ? (counted(/^days$/) ?? (/\bweek\b/.test(text) ? 7 : 1)) : 1;
  const times = often * days;
  // Who rests there for as many of the same is away longer.
  const stays = staying.test(text)
    ? (counted(new RegExp(`^${rate.many}$`)) ?? (rate.name === 'hour' ? 1 : 0))
    : 0;
  if (times < 1) return undefined;
  const both = `There and back is ${amount(rate, 2)}`;
  if (times === 1 && stays === 0) return `${both}.`;
  const all = 2 * rate.count * times + stays;
  return `${both}, so ${all} ${rate.many} in all.`;
}

function amount({ name, many, count }: Count, times: number): string {
  const all = count * times;
  return `${all} ${all === 1 ? name : many}`;
}
