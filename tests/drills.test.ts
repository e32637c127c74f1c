// What a small model learns beside the authors' words: sums by the hundred, and to say what its prompt tells.

import { describe, expect, test } from 'vitest';
import { loadCharacters } from '../npcs/characters.ts';
import type { SpokenTurn } from '../npcs/exchange.ts';
import { figures } from '../npcs/figures.ts';
import { type Authored, readExchanges } from '../npcs/read-exchanges.ts';
import { agree } from '../tiers/agreement.ts';
import { faultsOfHeldOut, readHeldOut } from '../training/authoring/held-out.ts';
import { drills } from '../training/drills.ts';
import { plain } from '../training/plain.ts';
import { teacher } from '../training/taught.ts';

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
    let told = 0;
    for (const { answer, gold, id, npc, wordings } of turnsOf(drilled)) {
      const verdict = /^(Yes|No),/.exec(answer)?.[1];
      if (!verdict) continue;
      const at = Number(/-drill-(\d+)-/.exec(id)![1]);
      const { price } = set.characters.get(npc)!.wares[at]!;
      const purse = gold ?? figures(wordings[0]!)[0]!.value;
      expect(Number(purse) >= price, `${wordings[0]} -> ${answer}`).toBe(verdict === 'Yes');
      told++;
    }
    expect(told).toBeGreaterThan(500);
  });

  test('what is left is reckoned right', () => {
    const left = turnsOf(drilled).filter(({ answer }) => answer.includes(' is left of your '));
    expect(left.length).toBeGreaterThan(50);
    for (const { answer } of left) {
      const [price, ...others] = figures(answer).map(({ value }) => value);
      const [rest, purse] = others.length === 2 ? others : [0, others[0]];
      expect(rest, answer).toBe(purse! - price!);
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

describe('a small model is taught', () => {
  const teach = teacher(all, set);
  const told = { npc: 'mira', kind: 'fact', does: [], facts: [] as string[] } as const;
  const { answer } = turnsOf(all).find(({ id }) => id === 'mira-f01')!;
  const { answer: other } = turnsOf(all).find(({ id }) => id === 'mira-f02')!;

  test('what it would be told', () => {
    expect(teach({ ...told, answer, facts: ['Go away.', answer] })).toBe(answer);
    expect(teach({ ...told, answer, facts: ['It is late.', other] })).toBe(other);
    expect(teach({ ...told, kind: 'sum', answer, facts: ['No.'], sum: 'No.' })).toBe('No.');
  });

  test('nothing where it would have to make it up, or would do something else', () => {
    expect(teach({ ...told, answer, facts: [] })).toBeUndefined();
    expect(teach({ ...told, answer, facts: ['Rosa keeps the inn.'] })).toBeUndefined();
    const does = [{ verb: 'give', args: { item: 'sword', price: 30 } }];
    expect(teach({ ...told, answer: 'Here is your sword.', does, facts: [other] })).toBeUndefined();
    expect(teach({ ...told, answer, does, facts: ['No.'], sum: 'No.' })).toBeUndefined();
  });
});
