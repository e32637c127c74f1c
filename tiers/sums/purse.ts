// A purse by itself, whatever is sold: what it holds, and what it would hold after gold was given or found. Says nothing where
// it is not clear what the player has.

import { numberAt } from '../../npcs/figures.ts';
import { coinWord } from './heard.ts';

const counting =
  /\bhow (?:much|many) (?:gold|coins?|money) (?:do i (?:still |now )?(?:have|own|carry|hold)|have i|is in my|i (?:still )?have|ive|i got|am i carrying)\b|\b(?:what|whats|what is|how much is|how many coins are) (?:there )?in my (?:purse|pockets?|pouch)\b|\bcount my (?:gold|coins?|money|purse)\b|\bhow (?:rich|poor|broke) am i\b|\bhow (?:full|heavy) is my (?:purse|pouch)\b|\bdo i (?:still )?have (?:any|some) (?:gold|coins?|money)\b|\bwhat (?:gold|money|coins?) (?:do )?i (?:still )?(?:have|got|own)\b|\bwhat have i got in my (?:purse|pockets?|pouch)\b/;
/** Gold is spoken of that is still to be paid: what a purse holds now is not asked. */
const supposing = /\b(?:if|after|once|when|then|row|rows)\b/;
const less =
  /\b(?:give|gave|given|giving|pay|paid|spend|spent|lose|lost|losing|stole|stolen|robbed|drop|dropped|bet|donate|hand|handed)\b/;
const more = /\b(?:find|found|earn|earned|win|won|gain|gained|receive|received)\b/;
const asking = /\b(?:how (?:much|many)|what|whats)\b/;
const remaining = /\b(?:left|remains?|remaining|still|have|then|keep)\b/;
const own = /\b(?:i have|ive|ive got|i got|i own|i carry|my purse|with|of my)\b/;

/** What is asked about the purse alone, as the character can say it. `text`: plain (`plainText`). `purse`: what the player said or the game tells. */
export function reckonPurse(text: string, purse: number | undefined): string | undefined {
  if (counting.test(text) && !supposing.test(text))
    return purse === undefined ? undefined : purse === 0 ? 'You have no gold.' : `You have ${purse} gold.`;
  const isLess = less.test(text);
  if (!asking.test(text) || !remaining.test(text) || isLess === more.test(text)) return undefined;
  const [first, second, third] = amountsIn(text);
  if (first === undefined || third !== undefined) return undefined;
  const has = second === undefined ? purse : first.isOwn ? first.value : undefined;
  const change = (second ?? first).value;
  if (has === undefined) return undefined;
  if (!isLess) return `Then you have ${has + change} gold.`;
  return change > has ? `You cannot, you have only ${has} gold.` : `Then ${has - change} gold is left.`;
}

/** The numbers that count gold, with whether the player is said to have them. */
function amountsIn(text: string): { value: number; isOwn: boolean }[] {
  const words = text.split(' ');
  const found: { value: number; isOwn: boolean }[] = [];
  let isGold = false;
  for (let i = 0; i < words.length; ) {
    const { value, length } = numberAt(words, i);
    if (length > 0) {
      const at = i + length + (/^(?:more|extra|other)$/.test(words[i + length] ?? '') ? 1 : 0);
      const isCoins = coinWord.test(words[at] ?? '');
      isGold ||= isCoins;
      found.push({ value, isOwn: own.test(words.slice(Math.max(0, i - 4), i).join(' ')) });
    }
    i += Math.max(1, length);
  }
  return isGold ? found : [];
}
