// Which ware a buyer takes: "sell me a sword", and where it is not named "deal", "give me one", "the cheaper one, please". Goes by
// rules over what was said. How it is handed over is recalled (recollection/) or refused for want of gold (sums/); where
// two things could be meant, or it is not sure that one is taken now, it says nothing.

import { figures } from '../../npcs/figures.ts';
import type { Ware } from '../../npcs/wares.ts';
import { hear, namedIn, plainText } from '../sums/heard.ts';
import {
  agreed,
  asking,
  bareThing,
  bareWhich,
  declining,
  denied,
  follows,
  haggling,
  handing,
  otherwise,
  paying,
  takesOne,
  takesUnnamed,
  takingBefore,
  turnedDown,
} from './words.ts';

/** So many words back a "not" still counts. */
const denies = 4;

export interface Taken {
  readonly wares: readonly Ware[];
  /** Only one of them is taken, and it is not said which. */
  readonly isUnclear: boolean;
}

/**
 * What these words take, or undefined: nothing, or nothing that was spoken of. `before`: what was said, newest first.
 */
export function taken(words: string, before: readonly string[], wares: readonly Ware[]): Taken | undefined {
  if (wares.length === 0) return undefined;
  const text = plainText(words);
  if (otherwise.test(text) || declining.test(text)) return undefined;
  const clauses = words
    .split(/[.,;:!?\n]+|\s-+\s/)
    .map(plainText)
    .filter((clause) => clause !== '');
  const named = wantedByName(clauses, wares);
  const meant = named.length > 0 ? named : unnamedIn(words, text, clauses, before, wares);
  if (meant.length === 0 || meant.some(({ service }) => service)) return undefined;
  const isUnclear = named.length === 0 && meant.length > 1;
  // An offer, or several of one: that is reckoned.
  const { purse } = hear(text, wares);
  const price = meant.reduce((sum, ware) => sum + ware.price, 0);
  const isPlain = figures(words).every(({ value }) => value === price || (value === purse && value > price));
  return isPlain ? { wares: meant, isUnclear } : undefined;
}

/** Whether a buyer says no: then nothing is handed over, however near the words are to those of one who says yes. */
export function declines(words: string): boolean {
  return declining.test(plainText(words));
}

/** The wares that are named and wanted; none where it is one or the other. */
function wantedByName(clauses: readonly string[], wares: readonly Ware[]): readonly Ware[] {
  const named = new Set<Ware>();
  const found = new Set<Ware>();
  let isTaken = clauses.length > 1 && clauses.some((clause) => agreed.test(clause));
  for (const clause of clauses) {
    const here = namedIn(clause, wares);
    for (const { ware } of here) named.add(ware);
    // Small talk may ask before it; once a ware is named, it is asked about.
    if ((asking.test(clause) && named.size > 0) || haggling.test(clause)) return [];
    const wanted = wantedIn(clause, wares);
    for (const ware of wanted.wares) found.add(ware);
    isTaken ||= wanted.isTaken || (!asking.test(clause) && !denied.test(clause) && paying.test(clause));
    // "Nobody goes without a sword, so I'm buying one."
    if (here.length === 0 && named.size === 1 && !denied.test(clause) && takesOne.test(clause)) {
      for (const ware of named) found.add(ware);
      isTaken = true;
    }
  }
  const isChoice = found.size > 1 && clauses.some((clause) => /\bor\b/.test(clause));
  return isTaken && !isChoice ? [...found] : [];
}

/** The wares of a clause that are not turned down, and whether it takes one. */
function wantedIn(clause: string, wares: readonly Ware[]): { wares: Ware[]; isTaken: boolean } {
  const words = clause.split(' ');
  const named: Ware[] = [];
  let isTaken = false;
  for (const { ware, at, end } of namedIn(clause, wares)) {
    const lead = words.slice(0, at).join(' ');
    if (turnedDown.test(lead)) continue;
    named.push(ware);
    const rest = words.slice(end).join(' ');
    // "A mug of milk", "drink milk".
    const follow = follows.exec(rest);
    const more = follow?.groups?.more;
    if (!follow || (more && namedIn(more, [ware]).length === 0)) return { wares: [], isTaken: false };
    const taking = takingBefore.exec(lead);
    isTaken ||=
      taking !== null && !denied.test(lead.slice(0, taking.index).split(' ').slice(-denies).join(' '));
    isTaken ||= /^(?:it is|it shall be|mine)\b/.test(rest);
  }
  return { wares: named, isTaken };
}

/** What is meant where nothing is named. */
function unnamedIn(
  words: string,
  text: string,
  clauses: readonly string[],
  before: readonly string[],
  wares: readonly Ware[],
): readonly Ware[] {
  if (before.length === 0 || namedIn(text, wares).length > 0) return [];
  const isQuestion = words.trimEnd().endsWith('?') || asking.test(text);
  for (const clause of clauses) {
    if (denied.test(clause) || asking.test(clause)) continue;
    // "And the other one", "25, deal?" ask or offer.
    const isBare = !isQuestion && !/^(?:and|or)\b/.test(text);
    const found =
      takesUnnamed.exec(clause) ?? (isBare ? (bareThing.exec(clause) ?? bareWhich.exec(clause)) : null);
    if (found?.groups?.which) return some(wareMeant(found.groups.which, before, wares));
    if (found) {
      const all = spokenOf(before, wares);
      // Of several one can be asked for; "them" may be all of them.
      return all.length === 1 || /\b(?:one|1|it|that|this)\b/.test(found[0]) ? all : [];
    }
    if (isBare && !handing.test(before[0]!) && agreed.test(clause))
      return some(only(spokenOf(before, wares)));
  }
  return [];
}

/** What was spoken of last; of several the one that the player had asked for, or can pay. */
function spokenOf(before: readonly string[], wares: readonly Ware[]): readonly Ware[] {
  const heard = before.map((said) => hear(plainText(said), wares));
  const at = heard.findIndex(({ items }) => items.length > 0);
  if (at < 0) return [];
  const last = heard[at]!.items.map(({ ware }) => ware).filter(({ service }) => !service);
  // "Swords and shields" was said to somebody who had asked for one of them.
  const { items, purse = Number.NaN } = (at % 2 === 0 && heard[at + 1]) || { items: [] };
  const asked = only(items)?.ware;
  if (asked && last.includes(asked)) return [asked];
  const affordable = only(last.filter(({ price }) => price <= purse));
  return affordable ? [affordable] : last;
}

/** By its place or by its price. */
function wareMeant(which: string, before: readonly string[], wares: readonly Ware[]): Ware | undefined {
  const named = before.map((said) => hear(plainText(said), wares).items.map(({ ware }) => ware));
  const things = wares.filter(({ service }) => !service);
  const said = [...new Set(named.toReversed().flat())].filter(({ service }) => !service);
  const among = said.length > 1 ? said : things;
  if (which === 'other') {
    const newest = named.find((those) => those.length === 1)?.[0];
    return newest && only((said.length === 2 ? said : things).filter((ware) => ware !== newest));
  }
  if (which === 'free') return only(things.filter(({ price }) => price === 0));
  if (/^(?:cheap|less|least)/.test(which)) return leastBy(among, ({ price }) => price);
  if (/^(?:dear|more|most|exp|pric|cost)/.test(which)) return leastBy(among, ({ price }) => -price);
  if (said.length < 2) return undefined;
  if (/^(?:first|former)$/.test(which)) return said[0];
  return which === 'last' ? said.at(-1) : said[1];
}

function leastBy(wares: readonly Ware[], of: (ware: Ware) => number): Ware | undefined {
  const least = Math.min(...wares.map(of));
  return only(wares.filter((ware) => of(ware) === least));
}

function some<T>(one: T | undefined): readonly T[] {
  return one === undefined ? [] : [one];
}

function only<T>(all: readonly T[]): T | undefined {
  return all.length === 1 ? all[0] : undefined;
}
