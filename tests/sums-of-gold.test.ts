// Sums of gold: what a character is told to say, and where nothing is said because it is not clear what is asked.

import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { type Characters, loadCharacters } from '../npcs/characters.ts';
import { figures } from '../npcs/figures.ts';
import { readExchanges } from '../npcs/read-exchanges.ts';
import { buildPrompt } from '../tiers/prompt.ts';
import { reckon } from '../tiers/sums/gold.ts';

const npcs = join(import.meta.dirname, '..', 'npcs');
let cast: Characters;

beforeAll(async () => {
  cast = await loadCharacters(npcs);
});

function ask(npc: string, words: string, gold?: number, before: readonly string[] = []): string | undefined {
  // Newest first: what the character said, what the player had said, and so on.
  const own = before.filter((_, i) => i % 2 === 1);
  return reckon({ wares: cast.characters.get(npc)!.wares, words, before, own, gold });
}

/** What is said to the last of these turns; what was reckoned is what the character said before. */
function talk(npc: string, turns: string, gold?: number): string | undefined {
  const before: string[] = [];
  let says: string | undefined;
  for (const words of turns.split(' | ')) {
    says = ask(npc, words, gold, before);
    before.unshift(says ?? 'Hm.', words);
  }
  return says;
}

describe('a purse', () => {
  it.each([
    [
      'tobin',
      'three loaves, can my purse take it?',
      7,
      'Yes, that is enough, three loaves of bread cost 6 gold and you have 7.',
    ],
    [
      'tobin',
      'just the one loaf, but i pay with 5 gold. whats coming back to me',
      undefined,
      'A loaf of bread costs 2 gold, so 3 gold is left of your 5.',
    ],
    [
      'yorick',
      'my purse is empty i fear, is that enough to cross?',
      undefined,
      'No, a crossing costs 1 gold and you have only 0, you are 1 short.',
    ],
    [
      'mira',
      'I have 29 gold, can I buy a sword?',
      undefined,
      'No, a sword costs 30 gold and you have only 29, you are 1 short.',
    ],
    [
      'mira',
      'ive twelve coins, is that enough for a shield',
      undefined,
      'No, a shield costs 20 gold and you have only 12, you are 8 short.',
    ],
    ['mira', 'Can I afford a blade?', 45, 'Yes, that is enough, a sword costs 30 gold and you have 45.'],
    [
      'mira',
      '30gold on me. does that buy steel?',
      undefined,
      'Yes, that is just enough, a sword costs 30 gold.',
    ],
    [
      'rosa',
      'Is 5 gold enough for a room and a stew?',
      undefined,
      'No, a room and a bowl of stew cost 6 gold and you have only 5, you are 1 short.',
    ],
    [
      'tobin',
      'do I have enough money for two loaves',
      4,
      'Yes, that is just enough, two loaves of bread cost 4 gold.',
    ],
    [
      'yorick',
      'there are 3 of us with 2 gold, enough?',
      undefined,
      'No, three crossings cost 3 gold and you have only 2, you are 1 short.',
    ],
    [
      'edda',
      'I have no gold. Can I get a tea?',
      undefined,
      'No, a tea costs 1 gold and you have only 0, you are 1 short.',
    ],
  ])('%s: %s', (npc, words, gold, says) => {
    expect(ask(npc, words, gold)).toBe(says);
  });

  it('named before still counts, and so does the thing', () => {
    expect(ask('mira', 'so is that enough for a sword', undefined, ['Good to know.', 'i have 25 gold'])).toBe(
      'No, a sword costs 30 gold and you have only 25, you are 5 short.',
    );
    expect(ask('rosa', 'do i have enough for it?', 3, ['A room is 4 gold.', 'what does a room cost'])).toBe(
      'No, a room costs 4 gold and you have only 3, you are 1 short.',
    );
  });

  it('of the character is none of the player', () => {
    expect(
      ask('tobin', 'is that enough for a loaf', undefined, ['I give it for 2 gold, my last loaf!', 'hi']),
    ).toBe(undefined);
    expect(
      ask('tobin', 'is that enough for a loaf', undefined, [
        'I give it for 2 gold, my last!',
        'i have 1 gold',
      ]),
    ).toContain('1 short');
  });

  it('is counted for who asks', () => {
    expect(ask('mira', 'How much gold do I have?', 12)).toBe('You have 12 gold.');
    expect(ask('bram', 'so how many coins do i have now', undefined, ['Hm.', 'i have 7 gold on me'])).toBe(
      'You have 7 gold.',
    );
    expect(ask('mira', 'How much gold do I have?')).toBe(undefined);
    expect(ask('mira', 'How much gold do I need?', 12)).toBe(undefined);
  });

  it('counts what is told in other ways too', () => {
    expect(ask('yorick', 'What is left of 3 gold after 2 crossings?')).toBe(
      'Two crossings cost 2 gold, so 1 gold is left of your 3.',
    );
    expect(ask('yorick', 'i give you 5 gold for one crossing, what comes back')).toContain('4 gold is left');
    expect(ask('mira', 'me and my sister both want a shield, what does that come to')).toBe(
      'Two shields cost 40 gold.',
    );
    expect(ask('mira', 'we both want a shield')).toBe(undefined);
  });

  it('goes on about what was spoken of last', () => {
    expect(ask('edda', 'how much is it', undefined, ['Tea helps.', 'i need tea'])).toBe(
      'A tea costs 1 gold.',
    );
    expect(ask('rosa', 'and for two nights?', undefined, ['A room is 4 gold.', 'whats a room'])).toBe(
      'Two rooms cost 8 gold.',
    );
    expect(ask('mira', 'and five of them', undefined, ['20 gold a shield.', 'what does a shield cost'])).toBe(
      'Five shields cost 100 gold.',
    );
    expect(ask('mira', 'and two?', undefined, ['30 gold for a sword.', 'what is a sword'])).toBe(
      'Two swords cost 60 gold.',
    );
    expect(ask('mira', 'and two?', undefined, ['I have one brother.', 'how many brothers have you'])).toBe(
      undefined,
    );
    expect(ask('rosa', 'how much', undefined, ['Yorick has one.', 'who has a boat'])).toBe(undefined);
    expect(ask('mira', 'how much longer will you work', undefined, ['20 gold a shield.', 'a shield?'])).toBe(
      undefined,
    );
    expect(ask('mira', 'how much is it', undefined, ['Swords and shields.', 'what do you sell'])).toBe(
      undefined,
    );
  });

  it('is spent on as many as it buys, if that is asked', () => {
    expect(ask('mira', 'how many repairs could i pay with my gold', 18)).toBe(
      'For 18 gold you get three repairs, and 3 gold is left.',
    );
    expect(ask('tobin', 'how many loaves do you bake a day', 12)).toBe(undefined);
    expect(ask('mira', 'how many swords have you made', 12)).toBe(undefined);
  });

  it('is what a bare number means where it must be one', () => {
    expect(ask('mira', 'is twenty enough for a shield')).toContain('just enough');
    expect(ask('mira', 'would 25 do for a sword?')).toContain('5 short');
    expect(ask('mira', 'change from a 50 for a shield?')).toContain('30 gold is left');
    expect(ask('edda', 'got 9 gold here and want three salves, works?')).toContain('just enough');
  });

  it('by itself holds what was not given away', () => {
    expect(ask('bram', 'i have 9 gold and give 3 to a beggar, how much is left')).toBe(
      'Then 6 gold is left.',
    );
    expect(ask('bram', 'if i find 5 more gold how much do i have then', 12)).toBe('Then you have 17 gold.');
    expect(ask('bram', 'I lose 4 coins to a thief, what is left?', 3)).toBe(
      'You cannot, you have only 3 gold.',
    );
    expect(ask('bram', 'How many coins are in my purse?', 0)).toBe('You have no gold.');
    expect(ask('bram', 'how much gold did the goblins steal', 12)).toBe(undefined);
    expect(ask('tobin', 'if i buy two loaves how much gold do i still have', 12)).toContain('8 gold is left');
  });

  it('that is too small is told to who asks for a thing, and no other', () => {
    expect(ask('mira', 'Give me a sword!', 10)).toBe(
      'No, a sword costs 30 gold and you have only 10, you are 20 short.',
    );
    expect(ask('mira', 'Give me a sword!', 30)).toBeUndefined();
    expect(ask('mira', 'Give me a sword!')).toBeUndefined();
  });
});

describe('in a conversation', () => {
  it.each([
    ['yorick', 'what does it cost | and for me with my two sons?', 'Three crossings cost 3 gold.'],
    ['yorick', 'i go over and back, three days in a row. whats the total', 'Six crossings cost 6 gold.'],
    ['edda', 'How much is the tea? | and if i take three of them', 'Three teas cost 3 gold.'],
    ['mira', 'how much for a repair | ok and how much if its two', 'Two repairs cost 10 gold.'],
    [
      'tobin',
      'i have 9 gold | how many loaves could i get | and what is left over',
      '1 gold is left of your 9',
    ],
    ['tobin', 'i have 12 gold | what do loaves cost | how many can i buy then', 'six loaves'],
    ['tobin', 'what costs a loaf | what about a dozen', '24 gold'],
    ['rosa', 'i have 5 gold | can i get a room with that | and a stew on top?', '1 short'],
    ['mira', 'what is a sword | and with a shield too, what do i pay', 'sword and a shield cost 50 gold'],
    ['mira', 'i have 45 gold, can i get a sword | is it enough for a shield too', '5 short'],
    ['yorick', 'we are four | what do we pay', 'Four crossings cost 4 gold.'],
    ['yorick', "we're five | total? | and the way back", 'Ten crossings cost 10 gold.'],
    ['yorick', 'i got 10 gold | can all five of us cross with it', 'five crossings cost 5 gold'],
    ['mira', 'i have 45 gold | can i get both', '5 short'],
    [
      'mira',
      'my purse holds 45 gold | whats the price of a shield | can i have two for that',
      'two shields cost 40',
    ],
    ['edda', "i have 7 gold | what's a salve | can i get two", 'two salves cost 6 gold'],
  ])('%s: %s', (npc, turns, says) => {
    expect(talk(npc, turns)).toContain(says);
  });

  it('who takes what was spoken of is told when the purse is too small', () => {
    expect(talk('mira', 'what costs a sword | alright give it to me', 12)).toContain('18 short');
    expect(talk('mira', 'what costs a sword | ok i take it', 35)).toBe(undefined);
  });

  it.each([
    ['yorick', 'i need a weapon | who sells them | what do they cost there'],
    ['yorick', 'i have 12 gold | do i have enough for a sword'],
    ['mira', 'what is a sword | where can i sleep | what does it cost there'],
    ['yorick', 'tell me about tobin | how do i get there | and back to the ferry, what was the price'],
    ['yorick', 'who crossed with you on this day ten years back'],
    ['mira', 'how much is a sword | who is tam | and back to the swords, how much'],
    ['mira', 'would you give me ten gold for my old sword'],
    ['tobin', 'who is bram | two loaves? a day?'],
    ['edda', "i'm one coin short for a salve"],
    ['mira', 'what is a sword | do you have shields too?'],
    ['mira', 'what is a sword | too dear. what does a shield cost?'],
    ['mira', 'what is a sword | is a shield 30 too?'],
    ['rosa', 'what is a room | got any ale as well?'],
  ])('what is not sold here, or not asked, is not reckoned: %s: %s', (npc, turns) => {
    expect(talk(npc, turns)).toBe(undefined);
  });
});

describe('a sum', () => {
  it.each([
    ['mira', 'What do three swords cost?', 'Three swords cost 90 gold.'],
    ['edda', 'two salves and one tea, how much?', 'Two salves and a tea cost 7 gold together.'],
    ['yorick', 'How much is there and back?', 'Two crossings cost 2 gold.'],
    [
      'tobin',
      'I pay with 10 gold for a loaf. What do I get back?',
      'A loaf of bread costs 2 gold, so 8 gold is left of your 10.',
    ],
    ['tobin', 'How many loaves for 5 gold?', 'For 5 gold you get two loaves of bread, and 1 gold is left.'],
    [
      'mira',
      'I have 25 gold, what can I buy?',
      'With 25 gold you can have a shield or a repair, but a sword costs 30.',
    ],
    [
      'mira',
      'Which is cheaper, sword or shield?',
      'A sword costs 30 gold and a shield 20, that is 10 gold less.',
    ],
  ])('%s: %s', (npc, words, says) => {
    expect(ask(npc, words)).toBe(says);
  });

  it.each([
    ['yorick', 'me my wife and five kids, whats that to cross', 'Seven crossings cost 7 gold.'],
    ['yorick', 'party of five, how much to cross', 'Five crossings cost 5 gold.'],
    ['yorick', 'how much for two', 'Two crossings cost 2 gold.'],
    ['yorick', 'every day once over and once back, for five days. sum?', 'Ten crossings cost 10 gold.'],
    [
      'edda',
      'for my six brothers a tea each and a salve for me. sum?',
      'Six teas and a salve cost 9 gold together.',
    ],
    [
      'rosa',
      'a stew and an ale for the three of us, total?',
      'Three bowls of stew and three mugs of ale cost 9 gold together.',
    ],
    ['rosa', 'we are 2, two nights each his own room. total pls', 'Four rooms cost 16 gold.'],
    ['tobin', 'one loaf a day for a whole week, what do i pay', 'Seven loaves of bread cost 14 gold.'],
    ['tobin', 'half a dozen loaves, what does that make', 'Six loaves of bread cost 12 gold.'],
  ])('for several: %s: %s', (npc, words, says) => {
    expect(ask(npc, words)).toBe(says);
  });

  it('counts nobody who pays nothing', () => {
    expect(ask('rosa', 'me and my wife need a room, how much')).toBe(undefined);
    expect(ask('yorick', 'me and my brother fought goblins', 12)).toBe(undefined);
    expect(ask('yorick', 'my wife is sick', 3)).toBe(undefined);
  });

  it.each([
    ['mira', 'How much is a sword?'],
    ['mira', 'A sword is 20 gold, right?'],
    ['mira', 'I heard shields are 10 gold.'],
    ['mira', 'shield for 18, come on'],
    ['mira', 'Who took the mine?'],
    ['yorick', 'I come back after sunset, will you be rowing?'],
    ['yorick', 'Can I get some advice?', 5],
    ['yorick', 'Could I ask about the mine?', 5],
    ['bram', 'I have 5 gold, is that enough for a sword?'],
    ['mira', ''],
  ])('is none: %s: %s', (npc, words, gold?: number) => {
    expect(ask(npc, words, gold)).toBeUndefined();
  });
});

it('never says what the authors would not: every number of theirs, or of the player', async () => {
  const { all } = await readExchanges(npcs, cast.characters);
  let reckoned = 0;
  let wrong = 0;
  for (const { npc, exchange, rows } of all.filter(({ exchange }) => exchange.kind === 'sum'))
    for (const { turns, state } of rows)
      for (const words of turns[0]!.wordings) {
        const says = ask(npc, words, typeof state.gold === 'number' ? state.gold : undefined);
        if (says === undefined) continue;
        reckoned++;
        const told = new Set([...figures(says), ...figures(words)].map(({ value }) => value));
        // "Yes" to who has enough, "no" to who has not.
        const isNo = /^(?:no|not|sorry)\b/i;
        const isYes = /^(?:yes|they are|it is enough)\b/i;
        const answer = turns[0]!.answer;
        const contradicts =
          (isYes.test(answer) && isNo.test(says)) || (isNo.test(answer) && isYes.test(says));
        if (
          contradicts ||
          figures(answer).every(({ value }) => !told.has(value) && value > 0) === figures(answer).length > 0
        ) {
          wrong++;
          expect.soft(`${exchange.id}: ${words} -> ${says}`, answer).toBe('');
        }
      }
  expect(wrong).toBe(0);
  expect(reckoned).toBeGreaterThan(900);
});

it('stands in the prompt in the place of facts, and says nothing to a character that is not reminded', () => {
  const mira = cast.characters.get('mira')!;
  const state = { beside: ['You have 12 gold, traveller.'], asked: [], facts: { gold: 12 } };
  const parts = { history: [], words: 'Can I afford a sword?', state, contextTokens: 2048, maxTokens: 60 };
  const { player } = buildPrompt({ ...parts, character: mira });
  expect(player).toBe(
    'Can I afford a sword?\n\nFact: No, a sword costs 30 gold and you have only 12, you are 18 short.',
  );
  const large = buildPrompt({ ...parts, character: { ...mira, reminders: 0 } });
  expect(large.player).toBe('Can I afford a sword?\n\nFact: You have 12 gold, traveller.');
});
