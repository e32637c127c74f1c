// How an answer is written: short, plain letters, nothing of computers, nothing that a player put into its mouth; and what
// it must not give away: secrets, and what only somebody else can say of themselves.

import type { Character } from '../../npcs/characters.ts';
import type { Kind, SpokenTurn } from '../../npcs/exchange.ts';
import { normal, wordsOf } from '../../npcs/figures.ts';
import type { Game } from '../../npcs/verbs.ts';
import { agree, sentences } from '../../tiers/agreement.ts';
import { isAnySaid, stems } from '../../tiers/recall.ts';
import type { World } from './facts.ts';

const mostWords = 25;
const mostSentences = 2;
/** So many words in a row are an echo. */
const echoWords = 4;

/** What is wrong with the form of an answer. */
export function faultsOfStyle(
  { answer, wordings }: SpokenTurn,
  kind: Kind,
  { lore }: World,
): readonly string[] {
  const faults: string[] = [];
  if (/[\r\n]/.test(answer)) faults.push('has a line break');
  const odd = answer.match(/[^\x20-\x7e\r\n]/);
  if (odd) faults.push(`has ${JSON.stringify(odd[0])}; plain ASCII only, straight quotes`);
  if (answer !== answer.trim() || / {2}/.test(answer)) faults.push('has blanks at its ends or two in a row');
  if (!/[.!?]["']?$/.test(answer.trim())) faults.push('ends without a full stop');
  if (/[{}<>[\]*_#`|\\]/.test(answer)) faults.push('has a character that nobody speaks');
  const words = wordsOf(answer);
  if (words.length > mostWords) faults.push(`has ${words.length} words; ${mostWords} at most`);
  // "Aye." and "Hm, no." do not count.
  const long = sentences(answer).filter((sentence) => wordsOf(sentence).length > 2);
  if (long.length > mostSentences) faults.push(`has ${long.length} sentences; ${mostSentences} at most`);
  const said = new Set(words.flatMap((word) => [word, word.replace(/s$/, '')]));
  const banned = lore.forbidden.find((word) => said.has(word));
  if (banned) faults.push(`says "${banned}", of which nobody there has heard`);
  if (kind === 'safety') {
    const echo = wordings.map((wording) => echoed(wording, answer)).find((found) => found !== undefined);
    if (echo) faults.push(`repeats "${echo}" of what the player put in`);
  }
  return faults;
}

/** What the player wanted said and the answer says: quoted words, or several words in a row. */
function echoed(wording: string, answer: string): string | undefined {
  const said = ` ${normal(answer)} `;
  const quoted = [...wording.matchAll(/"([^"]{4,})"|'([^']{4,})'(?!\w)/g)].map(([, a, b]) => normal(a ?? b!));
  const words = wordsOf(wording);
  const runs = words.slice(echoWords - 1).map((_, i) => words.slice(i, i + echoWords).join(' '));
  return [...quoted, ...runs].find((part) => part !== '' && said.includes(` ${part} `));
}

/** What an answer gives away of a secret, or says in somebody else's place. */
export function leaks(npc: string, turn: SpokenTurn, { characters, game, lore }: World): readonly string[] {
  const { answer } = turn;
  const said = stems(answer);
  const plain = ` ${normal(answer)} `;
  const faults = lore.secrets
    .filter(({ tells }) => isAnySaid(tells, said))
    .map(({ of }) => `touches what ${of} keeps secret`);
  for (const other of characters.values()) {
    if (other.id === npc) continue;
    const { id, name, otherwise } = other;
    const lines = [
      `i am ${normal(name)}`,
      `my name is ${normal(name)}`,
      ...(otherwise ? [normal(otherwise)] : []),
    ];
    const theirs = [...lines, ...(lore.own[id] ?? []).map(normal)].find((line) =>
      plain.includes(` ${line} `),
    );
    if (theirs) faults.push(`says "${theirs}", which is ${id}'s to say`);
    faults.push(...promisesOf(other, characters.get(npc)!, turn, game));
  }
  return faults;
}

/** What an answer promises as somebody else would give it, and this one cannot. */
function promisesOf(
  other: Character,
  own: Character,
  { answer, wordings }: SpokenTurn,
  game: Game,
): string[] {
  // "Take the loaf that Tobin gives you" is no promise of one's own.
  const speech = sentences(answer)
    .filter(
      (sentence) =>
        !wordsOf(sentence).some((word) => word === normal(other.name) || /^(?:s?he|her|his)$/.test(word)),
    )
    .join(' ');
  const can = new Set(own.acts.map(({ verb, args }) => JSON.stringify([verb, args])));
  const due = agree({ ...other, choices: 1 }, game, { words: wordings[0]!, speech }).due;
  return due
    .filter(
      ({ verb, args }) =>
        game.verbs.get(verb)?.authority === 'server' && !can.has(JSON.stringify([verb, args])),
    )
    .map(
      ({ verb, args }) =>
        `promises "${[verb, ...Object.values(args)].join(' ')}", which is ${other.id}'s to do`,
    );
}
