// Who is meant by "he", "her", "it" and "there": what was spoken of last and is called so.

import { describe, expect, it } from 'vitest';
import { spokenOfSchema } from '../npcs/spoken-of.ts';
import { byName } from '../tiers/recollection/by-name.ts';

const village = [
  { name: 'Tam', called: ['brother'], as: 'he' },
  { name: 'Bram', called: ['guard'], as: 'he' },
  { name: 'Mira', called: ['blacksmith', 'smith'], as: 'she' },
  { name: 'the goblins', called: ['goblin'], as: 'they' },
  { name: 'the iron mine', called: ['mine'], as: 'it' },
  { name: 'the inn', called: ['copper kettle'], as: 'it' },
].map((one) => spokenOfSchema.parse(one));

const named = (words: string, ...before: string[]) => byName(words, before, village);

describe('words that stand for a name', () => {
  it.each([
    ['and where is he now', 'Tam is missing in the iron mine.', 'and where is Tam now'],
    ['is she good at it?', 'The smith sells swords.', 'is Mira good at it?'],
    ['whats her name', 'Ask the blacksmith.', "whats Mira's name"],
    ['where do i find her?', 'Mira is his sister.', 'where do i find Mira?'],
    ['did you see his lantern', 'Mira lost her brother.', "did you see Tam's lantern"],
    ['how many of them are there', 'Goblins took it.', 'how many of the goblins are there'],
    ['how far is it', 'Goblins took the iron mine last week.', 'how far is the iron mine'],
    ['how do i get there', 'Rosa keeps the inn.', 'how do i get to the inn'],
    ['where is that?', 'The Copper Kettle has beds.', 'where is the inn?'],
    ['is that place safe', 'The mine is an hour up the road.', 'is the iron mine safe'],
  ])('%s (after "%s")', (words, before, says) => {
    expect(named(words, before)).toBe(says);
  });

  it('mean whoever was named last, further back if nobody was', () => {
    expect(named('who is he', 'Bram guards the gate. Tam is missing.')).toBe('who is Tam');
    expect(named('who is he', 'Tam is missing. Bram looks for him.')).toBe('who is Bram');
    expect(named('who is he', 'I do not know.', 'and the price?', 'Bram guards the gate.')).toBe(
      'who is Bram',
    );
  });

  it.each([
    ['who is he', 'Swords are 30 gold.'],
    ['is there an inn', 'Goblins took the mine.'],
    ['who is there', 'Goblins took the mine.'],
    ['that one please', 'The mine is far.'],
    ['what does a sword cost', 'Tam is missing.'],
    ['heroes welcome?', 'Tam is missing.'],
  ])('are none, or nobody is called so: %s (after "%s")', (words, before) => {
    expect(named(words, before)).toBe(undefined);
  });

  it('stand for nobody at the beginning, or where the game lists no names', () => {
    expect(named('where is he')).toBe(undefined);
    expect(byName('where is he', ['Tam is missing.'], [])).toBe(undefined);
  });
});
