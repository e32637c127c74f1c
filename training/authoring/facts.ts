// Whether an answer contradicts what is true: prices and counts, what nobody may say, people who do not exist. Reads
// words and clauses, no meaning: it finds what is plainly wrong and lets pass what it does not understand.

import type { Character } from '../../npcs/characters.ts';
import type { Row, SpokenTurn } from '../../npcs/exchange.ts';
import { figures, normal, wordsOf } from '../../npcs/figures.ts';
import type { Game } from '../../npcs/verbs.ts';
import { isPromise, sentences } from '../../tiers/agreement.ts';
import { isAnySaid, stems } from '../../tiers/recall.ts';
import type { Lore } from './lore.ts';
import { amountsOf, goodsIn, isReckoned, reckonable } from './sums.ts';
import { clauses } from './words.ts';

export interface World {
  readonly characters: ReadonlyMap<string, Character>;
  readonly game: Game;
  readonly lore: Lore;
  /** Every word with a capital letter that is known, in small letters. */
  readonly names: ReadonlySet<string>;
}

export function worldOf(characters: ReadonlyMap<string, Character>, game: Game, lore: Lore): World {
  const texts = [...characters.values()].flatMap(({ name, persona, facts, examples }) => [
    name,
    persona,
    ...facts.map(({ fact }) => fact),
    ...examples.map(({ npc }) => npc),
  ]);
  const names = [...texts.flatMap(capitals), ...lore.names].flatMap(wordsOf);
  return { characters, game, lore, names: new Set(names) };
}

/** What is wrong with one answer of a row, each as a sentence. */
export function faultsOfFacts(npc: string, row: Row, turn: number, world: World): readonly string[] {
  const { answer } = row.turns[turn]!;
  return [
    ...wrongAmounts(npc, row, turn, world.lore),
    ...wrongCounts(row.turns[turn]!, world.lore),
    ...forbiddenClaims(npc, answer, row, world),
    ...strangers(row, turn, world),
  ];
}

function wrongAmounts(npc: string, row: Row, turn: number, lore: Lore): string[] {
  const { answer } = row.turns[turn]!;
  // A sum may come out at what can be reckoned from the numbers at hand; a bare price only at the price.
  const sums = reckonable(row, turn, lore);
  return sentences(answer).flatMap((sentence) => {
    const parts = clauses(sentence).map((text) => ({
      text: text.trim(),
      goods: goodsIn(text, lore),
      amounts: amountsOf(text),
    }));
    // "A stew and a mug are 3 gold": more things than amounts, so the amount is of them together.
    const isTogether =
      parts.reduce((sum, { goods }) => sum + goods.length, 0) >
      parts.reduce((sum, { amounts }) => sum + amounts.length, 0);
    return parts.flatMap(({ text, goods, amounts }) => {
      if (amounts.length === 0 || /n't\b|\b(?:not|never|no)\b/i.test(text)) return [];
      const stranger = goods.find(({ by }) => !by.includes(npc));
      if (stranger)
        return [
          `"${text}" tells a price of ${stranger.words[0]}, which only ${stranger.by.join(', ')} can know`,
        ];
      const [priced, ...more] = goods;
      const isSum =
        isTogether || isReckoned(text) || (priced !== undefined && amounts.includes(priced.price));
      return amounts.flatMap((amount) => {
        if (isSum) {
          // Without a thing in question nobody can tell what the numbers are of.
          if (sums.size === 0 || sums.has(amount)) return [];
          return [
            `"${text}" says ${amount}, which does not come of the numbers at hand (${[...sums].join(', ')})`,
          ];
        }
        return priced && more.length === 0 && priced.price !== amount
          ? [`"${text}" says ${amount} gold; ${priced.words[0]} is ${priced.price}`]
          : [];
      });
    });
  });
}

function wrongCounts({ answer, wordings }: SpokenTurn, { counts }: Lore): string[] {
  // "And if I slay three?": then there are fewer.
  if (isReckoned(answer) || wordings.some((wording) => figures(wording).length > 0)) return [];
  return figures(answer).flatMap(({ value, after }) =>
    counts
      .filter(({ of, are }) => of.includes(after) && are !== value)
      .map(({ are }) => `says ${value} ${after}; there are ${are}`),
  );
}

function forbiddenClaims(npc: string, answer: string, { state }: Row, { lore, game }: World): string[] {
  const meant = sentences(answer).filter((sentence) => isPromise(sentence, game.denials));
  return lore.never
    .filter(({ by, unlessState }) => (!by || by.includes(npc)) && !(unlessState && state[unlessState]))
    .flatMap(({ says, why, unless }) =>
      meant
        .map(stems)
        .filter((said) => isAnySaid(says, said) && !isAnySaid(unless, said))
        .map(() => `${JSON.stringify(answer)} says what is not so: ${why}`),
    );
}

/** Capitalised words that nobody knows: an invented person or place. What the player named may be named back. */
function strangers({ turns, state, context }: Row, turn: number, { names }: World): string[] {
  const heard = turns.slice(0, turn + 1).flatMap(({ wordings }) => wordings);
  const told = new Set([...heard, context ?? '', ...Object.values(state).map(String)].flatMap(wordsOf));
  const unknown = capitals(turns[turn]!.answer).filter((name) => {
    const plain = normal(name).replace(/ s$/, '');
    return (
      !names.has(plain) &&
      !names.has(plain.replace(/s$/, '')) &&
      !told.has(plain) &&
      !told.has(plain.replace(/s$/, ''))
    );
  });
  return unknown.map(
    (name) => `names ${name}, whom or which nobody knows (a name that exists belongs into the lore)`,
  );
}

/** Words with a capital letter that do not begin a sentence. */
function capitals(text: string): string[] {
  return [...text.matchAll(/(?<=[a-z0-9,'] |[a-z0-9,:'] ")([A-Z][A-Za-z]+)/g)].map(([, word]) => word!);
}
