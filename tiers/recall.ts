// What words bring to mind: the facts of a character, the state of the game. Compares words, knows no meaning and no
// model.

import type { StateFacts } from '../bus/state.ts';
import type { Character } from '../npcs/characters.ts';
import type { Game } from '../npcs/verbs.ts';
import { cleanText } from './clean-text.ts';

/**
 * The first facts that fit the words, in the order of the file, at most as many as the character asks for, less those
 * that the state of the game has told already: it is newer.
 */
export function reminders(
  character: Pick<Character, 'facts' | 'reminders' | 'otherwise'>,
  words: string,
  told = 0,
): readonly string[] {
  if (character.reminders <= told) return [];
  const said = stems(words);
  const fitting = character.facts.filter(({ about }) => isAnySaid(about, said));
  if (fitting.length > 0) return fitting.slice(0, character.reminders - told).map(({ fact }) => fact);
  return character.otherwise === undefined ? [] : [character.otherwise];
}

/** Facts of the game as lines. */
export interface StateLines {
  /** Told together with the character's reminders: always, or brought up by the words (`beside` in the game's file). */
  readonly beside: readonly string[];
  /** Brought up by the words, in the place of a reminder. */
  readonly asked: readonly string[];
  /** All that the game tells, as it tells it. */
  readonly facts?: StateFacts;
  /** Names of the facts behind `asked`. */
  readonly askedOf?: readonly string[];
}

const mostStateFacts = 16;
const mostStateChars = 600;
const longestName = 80;
const longestValue = 120;

/** The facts of the game that belong to these words, in the author's phrases where there are any, cleaned and bounded. */
export function stateLines(state: StateFacts, phrases: Game['state'], words: string): StateLines {
  const said = stems(words);
  const lines = { beside: [] as string[], asked: [] as string[], askedOf: [] as string[] };
  let chars = 0;
  for (const [name, raw] of Object.entries(state)) {
    const phrase = phrases.get(name);
    const { says = `${cleanText(name.slice(0, longestName))}: {value}.`, about = [] } = phrase ?? {};
    if (about.length > 0 && !isAnySaid(about, said)) continue;
    if (!says.includes('{value}') && !raw) continue;
    const value = cleanText(String(raw).slice(0, longestValue));
    const line = says.replaceAll('{value}', () => value);
    chars += line.length;
    if (lines.beside.length + lines.asked.length >= mostStateFacts || chars > mostStateChars) break;
    const isAsked = about.length > 0 && !phrase?.beside;
    lines[isAsked ? 'asked' : 'beside'].push(line);
    if (isAsked) lines.askedOf.push(name);
  }
  return { ...lines, facts: state };
}

/** Whether one of the phrases was said. */
export function isAnySaid(phrases: readonly string[], said: ReadonlySet<string>): boolean {
  return phrases.some((phrase) => isSaid(phrase, said));
}

/** Whether all words of a phrase (mostly one) were said. */
function isSaid(phrase: string, said: ReadonlySet<string>): boolean {
  const wanted = [...stems(phrase)];
  return wanted.length > 0 && wanted.every((stem) => said.has(stem));
}

/** Words whose ending is none: `here` would be `her`, and "her sword" would hand one over. */
const whole: ReadonlySet<string> = new Set(['here']);

/** The words of a text without their commonest endings: `repairing` and `repairs` count as `repair`. */
export function stems(text: string): ReadonlySet<string> {
  return new Set((text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? []).map(stemOf));
}

/** One word in lower case without its ending. */
export function stemOf(word: string): string {
  return word.length < 4 || whole.has(word) ? word : word.replace(/(?<=.{3})(?:ing|ed|es|s|e)$/, '');
}
