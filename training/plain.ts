// What an authored answer comes to: the fact that it tells, as the character file words it. By it, answers in other words that
// tell the same are known as such (taught.ts, wordings.ts). Changes no act: a fact that would do something else than the answer
// is not taken.

import type { Character } from '../npcs/characters.ts';
import type { SpokenTurn } from '../npcs/exchange.ts';
import { figures } from '../npcs/figures.ts';
import type { Authored } from '../npcs/read-exchanges.ts';
import type { Game } from '../npcs/verbs.ts';
import { agree } from '../tiers/agreement.ts';
import { stems } from '../tiers/recall.ts';
import { keywords } from './authoring/words.ts';

/** Kinds whose answers tell facts; the others live by their wording. */
const telling: ReadonlySet<string> = new Set(['fact', 'dialogue', 'buy']);
/** So much of a fact's words must stand in the answer. */
const enough = 0.34;

/** The exchanges with answers that tell a fact in the words of the fact. Those that tell none, or several, stay. */
export function plain(
  all: readonly Authored[],
  { characters, game }: { characters: ReadonlyMap<string, Character>; game: Game },
): readonly Authored[] {
  return all.map((authored) => {
    if (!telling.has(authored.exchange.kind)) return authored;
    const character = characters.get(authored.npc)!;
    const rows = authored.rows.map((row) => ({
      ...row,
      turns: row.turns.map((turn) => ({ ...turn, answer: factOf(turn, character, game) ?? turn.answer })),
    }));
    return { ...authored, rows };
  });
}

/** The fact that an answer tells; undefined where none does, or where it would not do the same. */
function factOf({ answer, wordings }: SpokenTurn, character: Character, game: Game): string | undefined {
  const said = stems(answer);
  const numbers = new Set(figures(answer).map(({ value }) => value));
  const does = (words: string, speech: string) =>
    JSON.stringify(agree(character, game, { words, speech }).due);
  const [best] = character.facts
    .map(({ fact }) => ({ fact, share: share(fact, said), own: figures(fact).map(({ value }) => value) }))
    .filter(({ own }) => own.length === numbers.size && own.every((value) => numbers.has(value)))
    .filter(({ share: of }) => of >= enough)
    .filter(({ fact }) => wordings.every((words) => does(words, fact) === does(words, answer)))
    .sort((a, b) => b.share - a.share);
  return best?.fact;
}

/** How much of a fact's telling words were said, from 0 to 1. */
function share(fact: string, said: ReadonlySet<string>): number {
  const own = [...keywords(fact)];
  const stemmed = own.map((word) => [...stems(word)][0] ?? word);
  return own.length < 2 ? 0 : stemmed.filter((word) => said.has(word)).length / own.length;
}
