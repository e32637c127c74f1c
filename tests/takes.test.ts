// Who takes which ware: named or not, and everything that sounds like it and takes none.

import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { type Characters, loadCharacters } from '../npcs/characters.ts';
import { declines, taken } from '../tiers/takes/taken.ts';

let cast: Characters;

beforeAll(async () => {
  cast = await loadCharacters(join(import.meta.dirname, '..', 'npcs'));
});

/** `said`: player and character in turns, the last of them takes something or not. */
function takes(npc: string, said: string): string | undefined {
  const [words, ...before] = said.split(' | ').reverse();
  const { wares = [], isUnclear } = taken(words!, before, cast.characters.get(npc)!.wares) ?? {};
  return wares.length === 0 ? undefined : wares.map(({ name }) => name).join(isUnclear ? ' or ' : ' and ');
}

describe('a ware that is named is taken', () => {
  it.each([
    ['mira', "I'll take a sword.", 'sword'],
    ['mira', 'gimme a good strong shield', 'shield'],
    ['mira', 'sword. now.', 'sword'],
    ['mira', 'One shield, please.', 'shield'],
    ['mira', 'right then, no sword for me, just the shield, take my money', 'shield'],
    ['mira', 'changed my mind, the sword it is', 'sword'],
    ['mira', 'Here is the coin, 30 gold, the sword please', 'sword'],
    ['edda', 'nah not the salve, just gimme the tea', 'tea'],
    ['edda', 'could i buy a healing tea now', 'tea'],
    ['rosa', 'dish me up a bowl of your stew', 'bowl of stew'],
    ['tobin', 'bread plz', 'loaf of bread'],
    ['mira', 'a sword and a shield, please', 'sword and shield'],
    ['mira', 'got 22 gold on me, one shield pls', 'shield'],
    ['mira', 'Nobody joins the watch without a sword, so I am buying one', 'sword'],
    ['rosa', "How's the garden? Good. A mug of ale, please.", 'mug of ale'],
  ])('%s: %s', (npc, said, ware) => {
    expect(takes(npc, said)).toBe(ware);
  });

  it.each([
    ['mira', 'What does a sword cost?'],
    ['mira', 'Before I buy the sword tell me what it is made of'],
    ['mira', 'lend me a sword'],
    ['mira', 'give me a sword for free'],
    ['mira', 'I want a sword, but not today'],
    ['mira', "I don't want a sword"],
    ['mira', 'I do not pay. Give me the sword.'],
    ['mira', 'take my horse and give me a sword'],
    ['mira', 'sword for 20, deal?'],
    ['mira', 'Let me have the shield for 10.'],
    ['mira', 'give me two swords'],
    ['mira', 'a sword or a shield, please'],
    ['mira', 'one sword please, though not today'],
    ['mira', 'repair, please'],
    ['mira', 'I made this game, hand me a sword'],
    ['mira', 'Do you have shields, please?'],
    ['rosa', 'gimme a mug of milk'],
    ['rosa', 'the recipe of the stew please'],
    ['edda', 'cheaper tea please'],
  ])('and not, %s: %s', (npc, said) => {
    expect(takes(npc, said)).toBe(undefined);
  });
});

describe('what was spoken of is taken', () => {
  it.each([
    ['mira', 'What about a shield? | A shield costs 20 gold. | Give me one, please.', 'shield'],
    ['mira', 'sword? | A sword is 30 gold. | shield? | Shields are 20. | All right, sold.', 'shield'],
    ['mira', 'sword? | A sword is 30 gold. | shield? | Shields are 20. | the other one then', 'sword'],
    ['mira', 'prices? | Swords are 30 gold, shields 20. | the cheaper one please', 'shield'],
    ['mira', 'prices? | Swords are 30 gold, shields 20. | the first, please', 'sword'],
    ['mira', 'a sword? | I have swords and shields. | deal', 'sword'],
    [
      'edda',
      "what's the tea | It is 1 gold, dear, and helps with fever. | then I'll have one of those",
      'tea',
    ],
    ['tobin', 'a loaf? | Two gold for a loaf. | ok deal', 'loaf of bread'],
    ['mira', 'I have 25 gold | You can have a shield, a sword costs 30. | give me that one', 'shield'],
    ['mira', 'prices? | Swords are 30 gold, shields 20. | give me one', 'sword or shield'],
    ['yorick', 'the fare? | A crossing is 1 gold. | go on then', 'crossing'],
  ])('%s: %s', (npc, said, ware) => {
    expect(takes(npc, said)).toBe(ware);
  });

  it.each([
    ['mira', 'Give me one, please.'],
    ['mira', 'prices? | Swords are 30 gold, shields 20. | ok deal'],
    ['mira', 'sword? | A sword is 30 gold. | and the other one'],
    ['mira', 'sword? | A sword is 30 gold. | 25, deal?'],
    ['mira', 'sword? | A sword is 30 gold. | no deal'],
    ['mira', 'sword? | A sword is 30 gold. | if I take one'],
    ['mira', 'sword? | A sword is 30 gold. | how do I get one'],
    ['mira', "I'll take a sword | Here is your sword, that is 30 gold. | here is the gold"],
    ['mira', 'can you mend it? | Repairs cost 5 gold. | deal'],
    ['mira', 'prices? | Swords are 30 gold, shields 20. | the third, please'],
  ])('and not, or it is not clear which, %s: %s', (npc, said) => {
    expect(takes(npc, said)).toBe(undefined);
  });
});

describe('who says no takes nothing', () => {
  it.each([
    'the water is looking bad. I not go today, sorry',
    "On second thoughts I'll walk round by the bridge.",
    "Leave it shut, I'm staying right here.",
    'I shall keep my coin this day. Farewell.',
    "I don't want the shield after all.",
  ])('%s', (words) => {
    expect(declines(words)).toBe(true);
  });

  it.each([
    'Take me across.',
    "I don't want the shield but the sword",
    'no, the other one please',
    'May I pass?',
    'What do you sell?',
  ])('and not: %s', (words) => {
    expect(declines(words)).toBe(false);
  });
});
