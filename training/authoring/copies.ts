// Finds what was written twice: answers and questions that are equal or nearly so, wordings that do not differ, openings
// that wear out. Of a table (`each`) the template counts, not its rows.

import type { Character } from '../../npcs/characters.ts';
import { normal, wordsOf } from '../../npcs/figures.ts';
import type { Authored } from '../../npcs/read-exchanges.ts';
import { overlap, trigrams } from './words.ts';

/** Answers of a character that share more than this of their letters are one answer. */
const nearAnswers = 0.72;
/** Of two characters. Short answers to the same thing are alike by nature. */
const nearAcross = 0.85;
const nearWordings = 0.86;
const fewestAcross = 5;
const openingWords = 3;
const mostOpenings = 6;

interface Line {
  readonly npc: string;
  readonly at: string;
  readonly text: string;
  readonly normal: string;
  readonly parts: ReadonlySet<string>;
  /** Of one authored exchange. */
  readonly of: Authored;
}

/** Every copy, each named once, at the later of the two. */
export function faultsOfCopies(
  all: readonly Authored[],
  characters: ReadonlyMap<string, Character>,
): readonly string[] {
  // People who know the same tell it alike: a fact as its file has it is nobody's copy.
  const facts = new Set(
    [...characters.values()].flatMap(({ id, facts: own }) => own.map(({ fact }) => `${id}: ${normal(fact)}`)),
  );
  const answers = all.flatMap((of) => linesOf(of, (turn) => [turn.npc]));
  return [
    ...nearlyEqual(answers, facts),
    ...sameWordings(all),
    ...sameQuestions(all),
    ...wornOpenings(answers),
  ];
}

function linesOf(
  of: Authored,
  texts: (turn: NonNullable<Authored['exchange']['turns']>[number]) => readonly string[],
): Line[] {
  return (of.exchange.turns ?? []).flatMap((turn) =>
    texts(turn).map((text) => ({
      npc: of.npc,
      at: of.at,
      text,
      normal: normal(text),
      parts: trigrams(text),
      of,
    })),
  );
}

function nearlyEqual(answers: readonly Line[], facts: ReadonlySet<string>): string[] {
  const faults: string[] = [];
  for (const [i, line] of answers.entries()) {
    const isCommon = wordsOf(line.text).length < fewestAcross || facts.has(`${line.npc}: ${line.normal}`);
    for (let k = 0; k < i; k++) {
      const before = answers[k]!;
      const isOwn = line.npc === before.npc;
      if (!isOwn && isCommon) continue;
      const limit = isOwn ? nearAnswers : nearAcross;
      const alike = line.normal === before.normal ? 1 : overlap(line.parts, before.parts, limit);
      if (alike <= limit) continue;
      const how = alike === 1 ? 'is the answer of' : `is nearly the answer (${alike.toFixed(2)}) of`;
      faults.push(
        `${line.at}: ${JSON.stringify(line.text)} ${how} ${idOf(before)}: ${JSON.stringify(before.text)}`,
      );
      break;
    }
  }
  return faults;
}

/** Several wordings have to differ, or they teach nothing. */
function sameWordings(all: readonly Authored[]): string[] {
  const faults: string[] = [];
  for (const { exchange, at } of all) {
    for (const { player } of exchange.turns ?? []) {
      const wordings = [player].flat();
      for (const [i, wording] of wordings.entries()) {
        const twin = wordings
          .slice(0, i)
          .find(
            (other) =>
              other === wording ||
              (normal(wording) !== '' && normal(other) === normal(wording)) ||
              overlap(trigrams(other), trigrams(wording), nearWordings) > nearWordings,
          );
        if (twin)
          faults.push(`${at}: ${JSON.stringify(wording)} is nearly the wording ${JSON.stringify(twin)}`);
      }
    }
  }
  return faults;
}

/** The same words, in the same state, with two answers: which is to be learned? A dialogue goes on from anywhere. */
function sameQuestions(all: readonly Authored[]): string[] {
  const faults = new Set<string>();
  const seen = new Map<string, string>();
  for (const { npc, exchange, rows, at } of all) {
    if (exchange.kind === 'dialogue' || exchange.kind === 'think') continue;
    for (const { turns, state, context } of rows) {
      for (const wording of turns[0]!.wordings) {
        if (normal(wording) === '') continue;
        const key = JSON.stringify([npc, normal(wording), state, context]);
        const before = seen.get(key) ?? exchange.id;
        if (before !== exchange.id)
          faults.add(`${at}: ${JSON.stringify(wording)} is asked in ${before} already`);
        seen.set(key, before);
      }
    }
  }
  return [...faults];
}

function wornOpenings(answers: readonly Line[]): string[] {
  const openings = new Map<string, Line[]>();
  for (const line of answers) {
    const words = line.normal.split(' ');
    // A whole answer of so few words is no opening.
    if (words.length <= openingWords) continue;
    const key = `${line.npc}: ${words.slice(0, openingWords).join(' ')}`;
    openings.set(key, [...(openings.get(key) ?? []), line]);
  }
  return [...openings]
    .filter(([, lines]) => lines.length > mostOpenings)
    .map(
      ([opening, lines]) =>
        `${opening.replace(': ', ': "')} ..." opens ${lines.length} answers, ${mostOpenings} at most: ${lines.map(idOf).join(', ')}`,
    );
}

const idOf = ({ of }: Line) => of.exchange.id;
