// What a small model learns beside the authors' words: sums by the hundred, and facts in the words of the facts.

import { describe, expect, test } from 'vitest';
import { loadCharacters } from '../npcs/characters.ts';
import type { SpokenTurn } from '../npcs/exchange.ts';
import { figures } from '../npcs/figures.ts';
import { type Authored, readExchanges } from '../npcs/read-exchanges.ts';
import { agree } from '../tiers/agreement.ts';
import { faultsOfHeldOut, readHeldOut } from '../training/authoring/held-out.ts';
import { drills } from '../training/drills.ts';
import { plain } from '../training/plain.ts';

const shipped = new URL('../npcs/', import.meta.url).pathname;
const questions = new URL('../evaluation/questions/', import.meta.url).pathname;
const set = await loadCharacters(shipped);
const { all } = await readExchanges(shipped, set.characters);

function turnsOf(
  exchanges: readonly Authored[],
): (SpokenTurn & { npc: string; id: string; gold?: unknown })[] {
  return exchanges.flatMap(({ npc, exchange, rows }) =>
    rows.flatMap(({ turns, state }) =>
      turns.map((turn) => ({ ...turn, npc, id: exchange.id, gold: state.gold })),
    ),
  );
}

/** What the words of this turn make the character do. */
function deeds(turn: SpokenTurn & { npc: string }): string[][] {
  const character = set.characters.get(turn.npc)!;
  return turn.wordings.map((words) =>
    agree(character, set.game, { words, speech: turn.answer }).due.map(({ verb, args }) =>
      JSON.stringify({ verb, args }),
    ),
  );
}

describe('drills', () => {
  const drilled = drills(set.characters);

  test('everybody who sells something is drilled, for each ware', () => {
    const sellers = new Set(drilled.map(({ npc }) => npc));
    expect([...sellers].sort()).toEqual(['edda', 'mira', 'rosa', 'tobin', 'yorick']);
    expect(new Set(drilled.map(({ exchange }) => exchange.id)).size).toBe(drilled.length);
  });

  test('a purse is told to be enough exactly when it is', () => {
    for (const { answer, gold, id } of turnsOf(drilled)) {
      const words = /^(Yes|No),/.exec(answer)?.[1];
      if (!words) continue;
      const numbers = figures(answer).map(({ value }) => value);
      const [purse, price] = words === 'Yes' ? numbers : [numbers[1], numbers[0]];
      expect(purse! >= price!, `${id}: ${answer}`).toBe(words === 'Yes');
      if (gold !== undefined) expect(purse).toBe(gold);
    }
  });

  test('what is left, and what two cost, is reckoned right', () => {
    const answers = turnsOf(drilled).map(({ answer, wordings }) => ({
      answer,
      asked: figures(wordings[0]!)[0]?.value,
    }));
    const left = answers.filter(({ answer }) => answer.endsWith('is left.'));
    const two = answers.filter(({ answer }) => answer.includes('so two are'));
    expect(left.length).toBeGreaterThan(50);
    for (const { answer, asked } of left) {
      const [price, rest] = figures(answer).map(({ value }) => value);
      expect(rest, answer).toBe(asked! - price!);
    }
    expect(two.length).toBeGreaterThan(5);
    for (const { answer } of two) {
      const [price, , both] = figures(answer).map(({ value }) => value);
      expect(both, answer).toBe(2 * price!);
    }
  });

  test('the hand follows the words', () => {
    for (const turn of turnsOf(drilled)) {
      const wanted = turn.does.map((act) => JSON.stringify(act));
      for (const done of deeds(turn)) expect(done, turn.id).toEqual(wanted);
    }
  });

  test('none is a held-out question', async () => {
    expect(faultsOfHeldOut(drilled, await readHeldOut(questions))).toEqual([]);
  });
});

describe('facts made plain', () => {
  const before = new Map(turnsOf(all).map((turn) => [JSON.stringify([turn.id, turn.wordings]), turn]));
  const after = turnsOf(plain(all, set));

  test('an answer stays, or becomes one of the facts with the same numbers and the same acts', () => {
    let made = 0;
    for (const turn of after) {
      const facts = set.characters.get(turn.npc)!.facts.map(({ fact }) => fact);
      const authored = before.get(JSON.stringify([turn.id, turn.wordings]))!;
      if (turn.answer === authored.answer || !facts.includes(turn.answer)) continue;
      made++;
      expect(deeds(turn), turn.id).toEqual(deeds({ ...turn, answer: authored.answer }));
    }
    expect(made).toBeGreaterThan(300);
  });

  test('refusals, small talk and other tongues keep their own words', () => {
    const kept = (exchanges: readonly Authored[]) =>
      turnsOf(
        exchanges.filter(({ exchange }) =>
          ['unknown', 'safety', 'smalltalk', 'language'].includes(exchange.kind),
        ),
      );
    expect(kept(plain(all, set)).map(({ answer }) => answer)).toEqual(kept(all).map(({ answer }) => answer));
  });
});
