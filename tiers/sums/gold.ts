// Sums of gold, reckoned and not guessed: is a purse enough, what is missing, what is left, what do several things cost.
// A small model repeats a sum that it is told and gets one wrong that it makes itself. Reads words by rules; knows no
// model and says nothing where it is not sure what is asked.

import type { Ware } from '../../npcs/wares.ts';
import { askedIn, isSelling } from './asked.ts';
import { hear, isAdding, isMany, plainText } from './heard.ts';
import { counted, isShort, lastSpokenOf, meant, purseBefore, withGroup } from './meant.ts';
import { reckonPurse } from './purse.ts';
import { affordable, asMany, compared, isEnough, left, sum, tooLittle } from './told.ts';

/** "And if I take three of them?" */
const supposing = /^(?:and |or |so |ok )*(?:what )?if\b/;

export interface Sum {
  readonly wares: readonly Ware[];
  /** What the player says now. */
  readonly words: string;
  /** What player and character said before, newest first: what "it" is. */
  readonly before: readonly string[];
  /** What of it the player said: a purse that was named already. */
  readonly own?: readonly string[];
  /** What the words take (tiers/takes): no sum is told to who takes it, unless one is asked for or the purse is too small. */
  readonly takes?: readonly Ware[] | undefined;
  /** The purse as the game tells it, in gold. */
  readonly gold?: number | undefined;
}

/**
 * The answer to a sum of gold as the character can say it, or undefined where none is asked for, or where the ware or the
 * purse is not clear.
 */
export function reckon({ wares, words, before, own = [], takes, gold: told }: Sum): string | undefined {
  const text = plainText(words);
  if (isSelling(text)) return undefined;
  const known = told ?? purseBefore(own, wares);
  const heard = withGroup(hear(text, wares), text, own, wares);
  const owned = heard.items.length === 0 && !takes ? reckonPurse(text, known) : undefined;
  if (owned !== undefined || wares.length === 0) return owned;

  const asked = askedIn({ words, text }, heard, {
    hasPurse: known !== undefined,
    isTaken: takes !== undefined,
  });
  const purse = asked.purse ?? known;
  if (purse !== undefined && asked.choice && wares.length > 1 && heard.items.length !== 1)
    return affordable(heard.items.length > 1 ? heard.items.map(({ ware }) => ware) : wares, purse);
  if (asked.comparison) return heard.items.length === 2 ? compared(heard.items) : undefined;

  const named =
    heard.items.length > 0
      ? heard.items
      : (takes?.map((ware) => ({ ware, count: 1 })) ??
        meant(text, before, wares, {
          isAsked: asked.isAboutPurse || asked.wants || asked.isCounting || asked.price,
          goesOn:
            (asked.goesOn && asked.isCounting) ||
            (asked.enough && heard.loose !== undefined && known !== undefined),
          isForMany: isMany(heard),
          isForSo: asked.change || asked.enough,
        }));
  if (named.length === 0) return undefined;
  const isMore = heard.items.length === 1 && isAdding(text);
  const earlier = isMore ? lastSpokenOf(own, wares).filter(({ ware }) => ware !== named[0]!.ware) : [];
  const items = [...earlier, ...counted(named, heard, text, heard.items.length === 0 && known !== undefined)];
  const total = items.reduce((sum, { ware, count }) => sum + ware.price * count, 0);

  if (asked.several && purse !== undefined && !isMany(heard) && items.length === 1 && total > 0)
    return asMany(items[0]!.ware, purse);
  if (purse !== undefined) {
    if (asked.wants && !asked.enough && !asked.change)
      return purse < total ? tooLittle(items, total, purse) : undefined;
    if (asked.isAboutPurse || asked.purse !== undefined || earlier.length > 0) {
      if (purse < total) return tooLittle(items, total, purse);
      // "I give one gold, bring me over" asks nothing.
      if (!asked.isAboutPurse && heard.items.length === 0) return undefined;
      return asked.change && !asked.enough ? left(items, total, purse) : isEnough(items, total, purse);
    }
  }
  if (asked.price) return sum(items, total);
  if (asked.rate || (items.length === 1 && items[0]!.count === 1)) return undefined;
  const isSpokenOf = () =>
    before.some((past) => hear(plainText(past), wares).items.some(({ ware }) => ware === items[0]!.ware));
  if (
    !asked.wants &&
    (isShort(text) || supposing.test(text)) &&
    ((asked.goesOn && asked.isCounting) || isSpokenOf())
  )
    return sum(items, total);
  return asked.total ? sum(items, total) : undefined;
}
