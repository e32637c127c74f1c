// What a character has counted: how many are left, how many more, and who outnumbers whom, reckoned by the program.

import { expect, it } from 'vitest';
import { reckonCount } from '../tiers/reckon-counts.ts';

const counts = [{ name: 'goblin', many: 'goblins', count: 20 }];

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
