// What a character has counted: how many are left, how many more, and who outnumbers whom, reckoned by the program.

import { describe, expect, it } from 'vitest';
import { reckonCount } from '../tiers/sums/counted.ts';
import { reckonRate } from '../tiers/sums/rates.ts';

const counts = [{ name: 'goblin', many: 'goblins', count: 20, about: [] }];

it.each([
  ['we killed 5 of your twenty goblins. whats left', 'Then 15 goblins are left.'],
  ['If nineteen goblins run away, how many stay?', 'Then 1 goblin is left.'],
  ['say all 25 goblins die, how many remain', 'There were never more than 20 goblins.'],
  ['if half of the goblins run off how many stay', 'Then 10 goblins are left.'],
  ['ten more goblins joined since you counted, so how many now', 'Then there are 30 goblins.'],
  ['what if the goblins were twice as many, how many is that', 'Then there are 40 goblins.'],
  ['im bringing 12 men. are there more of us than goblins?', 'No, there are 20 goblins and you are only 12.'],
  [
    'if we were 25 swords strong, would we outnumber them goblins',
    'Yes, you are 25 and there are only 20 goblins.',
  ],
  ['20 of us against the goblins, are we as many?', 'You are as many, 20 of you and 20 goblins.'],
  ['four of us, how many goblins each?', 'There are 20 goblins for 4 of you, that is 5 each.'],
  ['split the goblins among 3 men', 'There are 20 goblins for 3 of you, more than 6 each.'],
  ['we kill 8 today and 5 tomorrow, how many goblins left then?', 'Then 7 goblins are left.'],
  ['we are three and each of us kills 4 goblins, how many are left', 'Then 8 goblins are left.'],
  ['all but two of your goblins are dead, how many did i get', 'Then 18 of the 20 goblins are gone.'],
  ['a dozen of the goblins fled, how many still there', 'Then 8 goblins are left.'],
  ['i killed one of the goblins, how many are left', 'Then 19 goblins are left.'],
  ['say we put down 7 of them goblins, how many do we still face', 'Then 13 goblins are left.'],
  ['a quarter of the goblins ran away, how many stay', 'Then 15 goblins are left.'],
  [
    'i have 12 men, how many more do i need to match the goblins',
    'There are 20 goblins and you are 12, that is 8 fewer.',
  ],
])('%s', (words, says) => {
  expect(reckonCount(counts, words)).toBe(says);
});

it.each([
  'how many goblins are there',
  'did you see 3 goblins yesterday?',
  'are the goblins gone?',
  'I killed 5 wolves, how many are left?',
  'we are 5 and 7, more than the goblins?',
  'do 0 of us split the goblins',
  '',
])('says nothing where it is not clear: %s', (words) => {
  expect(reckonCount(counts, words)).toBe(undefined);
});

it('says nothing of what nobody has counted', () => {
  expect(reckonCount([], 'we killed 5 goblins, how many are left')).toBe(undefined);
});

it('goes on about who the players said they are', () => {
  const own = ['how many goblins did you count', 'me and my friends are 12 together'];
  expect(reckonCount(counts, 'so how many more are the goblins than us?', { own })).toBe(
    'There are 20 goblins and you are 12, that is 8 fewer.',
  );
  expect(reckonCount(counts, 'i killed fifteen, how many to go')).toBe('Then 5 goblins are left.');
});

it('goes on about what was spoken of', () => {
  const before = ['I counted twenty goblins.', 'how many goblins are there'];
  expect(reckonCount(counts, 'and if six of them leave, how many are left?', { before })).toBe(
    'Then 14 goblins are left.',
  );
  expect(reckonCount(counts, 'and if six of them leave, how many are left?')).toBe(undefined);
});

describe('what comes to more with time', () => {
  const hour = { name: 'hour', many: 'hours', count: 1, per: 'way' as const, about: ['mine'] };
  const loaf = { name: 'loaf', many: 'loaves', count: 2, per: 'day' as const, about: ['guard'] };
  const bread = { name: 'bread', price: 2, shared: false, service: false, called: ['loaf'] };
  const ask = (words: string, before: readonly string[] = []) =>
    reckonRate({ counts: [hour, loaf], wares: [bread] }, words, before);

  it.each([
    ['how long to the mine and back?', 'There and back is 2 hours.'],
    ['twice to the mine and back, how many hours', 'There and back is 2 hours, so 4 hours in all.'],
    ['how many loaves does the guard eat in a week', 'In 7 days that is 14 loaves.'],
    ['how much gold does the guard spend on bread in three days', 'In 3 days that is 6 loaves, and 12 gold.'],
    ['what does the guard pay for bread every day', 'In a day that is 2 loaves, and 4 gold.'],
  ])('%s', (words, says) => {
    expect(ask(words)).toBe(says);
  });

  it.each(['how far is the mine', 'when did you come back from the mine', 'how often does the guard come'])(
    'is not reckoned where no time is named: %s',
    (words) => {
      expect(ask(words)).toBe(undefined);
    },
  );

  it('is that of what was just spoken of', () => {
    expect(ask('and there and back?', ['The mine is an hour up the road.', 'where is it'])).toBe(
      'There and back is 2 hours.',
    );
    expect(ask('and there and back?')).toBe(undefined);
  });
});
