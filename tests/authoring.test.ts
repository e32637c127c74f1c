// The exchanges that authors write: what is wrong with one is found and named. The villagers' own exchanges pass.

import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { loadCharacters } from '../npcs/characters.ts';
import { figures } from '../npcs/figures.ts';
import { checkExchanges } from '../training/authoring/check.ts';

const shipped = new URL('../npcs/', import.meta.url).pathname;
const questions = new URL('../evaluation/questions/', import.meta.url).pathname;
const set = await loadCharacters(shipped);

const folders: string[] = [];
afterAll(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true, force: true }))));

/** The village with these exchanges of Mira's and no others. */
async function villageOf(lines: readonly (object | string)[]): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'parley-authoring-'));
  folders.push(folder);
  await cp(shipped, folder, { recursive: true, filter: (file) => !/\.jsonl$/.test(file) });
  const text = lines.map((line) => (typeof line === 'string' ? line : JSON.stringify(line))).join('\n');
  await writeFile(join(folder, 'exchanges', 'mira.jsonl'), text);
  return folder;
}

async function faultsOf(...lines: (object | string)[]): Promise<readonly string[]> {
  const report = await checkExchanges({
    npcs: await villageOf(lines),
    questions: '/nowhere',
    only: ['mira'],
  });
  return report.faults;
}

let count = 0;
/** An exchange of one turn. */
const says = (player: string | string[], npc: string, more: object = {}, does?: object[]) => ({
  id: `mira-x${++count}`,
  kind: 'fact',
  turns: [{ player, npc, ...(does && { does }) }],
  ...more,
});
const giveSword = { verb: 'give', args: { item: 'sword', price: 30 } };

describe('the check of exchanges', () => {
  test('lets the villagers pass, of whom there are enough', async () => {
    const { faults, counts, sums, heldOut } = await checkExchanges({ npcs: shipped, questions });
    expect(faults).toEqual([]);
    expect([...counts.keys()].sort()).toEqual([...set.characters.keys()]);
    // It did look: at sums, and at what is asked in the evaluation.
    expect(sums).toBeGreaterThan(50);
    expect(heldOut).toBeGreaterThan(200);
  });

  test('lets an exchange pass that is right', async () => {
    const faults = await faultsOf(
      says(['What is a sword?', 'How dear are your blades?'], '30 gold for a sword, friend.'),
      says('I take a sword.', 'Here is your sword, that is 30 gold.', { kind: 'buy' }, [giveSword]),
      says('Can I have a shield?', 'You have {gold} gold, and you are {short} short.', {
        kind: 'sum',
        state: { gold: '{gold}' },
        each: { gold: ['5', '19'], short: ['15', 'one'] },
      }),
      {
        id: 'mira-think',
        kind: 'think',
        context: 'A noise has come.',
        does: [{ verb: 'go_to', args: { place: 'gate' } }],
      },
    );
    expect(faults).toEqual([]);
  });

  test('names every fault of the form with its line and id, all in one go', async () => {
    const faults = await faultsOf(
      '{broken',
      { id: 'mira-a', kind: 'chat', turns: [{ player: 'Hm?', npc: 'Hm.' }] },
      { id: 'mira-b', kind: 'fact', turns: [{ player: [], npc: 'Hm.' }], colour: 'red' },
      {
        id: 'mira-c',
        kind: 'sum',
        each: { a: ['1', '2'], b: ['1'] },
        turns: [{ player: '{a} {c}', npc: '{b}.' }],
      },
      { id: 'mira-d', kind: 'think', turns: [{ player: 'Hm?', npc: 'Hm.' }] },
      { id: 'mira-e', kind: 'dialogue', turns: [{ player: 'Hm?', npc: 'Hm hm.' }] },
      { id: 'rosa-f', kind: 'fact', turns: [{ player: 'Really now?', npc: 'Really so.' }] },
      { id: 'rosa-f', kind: 'fact', state: { silver: 1 }, turns: [{ player: 'Well?', npc: 'Well then.' }] },
    );
    for (const expected of [
      /mira\.jsonl:1: is no JSON/,
      /mira\.jsonl:2 mira-a: kind: /,
      /mira\.jsonl:3 mira-b: turns\.0\.player: /,
      /mira\.jsonl:3 mira-b: .*colour/,
      /mira\.jsonl:4 mira-c: each: has columns of unequal length: a 2, b 1/,
      /mira\.jsonl:4 mira-c: each: has no column c/,
      /mira\.jsonl:5 mira-d: turns: /,
      /mira\.jsonl:5 mira-d: context: /,
      /mira\.jsonl:6 mira-e: turns: a dialogue has two/,
      /mira\.jsonl:7 rosa-f: id: must begin with mira-/,
      /mira\.jsonl:8 rosa-f: id: is used already at .*mira\.jsonl:7/,
      /mira\.jsonl:8 rosa-f: state: the game tells no silver/,
    ])
      expect(faults).toContainEqual(expect.stringMatching(expected));
  });

  const gold = (n: number) => ({ kind: 'sum', state: { gold: n } });
  test.each<[what: string, fault: RegExp, ...lines: object[]]>([
    ['a gift that is not in does', /promises "give sword 30"/, says('A sword!', 'Here is your sword.')],
    [
      'an act that no words go with',
      /goes with no give/,
      says('A sword!', '30 gold first.', {}, [giveSword]),
    ],
    [
      'an act with wrong arguments',
      /give: price: is no/,
      says('A sword!', 'Here is your sword.', {}, [{ verb: 'give', args: { item: 'sword', price: 'much' } }]),
    ],
    ['a verb that there is not', /no verb fly/, says('Fly!', 'I walk.', {}, [{ verb: 'fly' }])],
    [
      'a thought of something else',
      /is not in question here/,
      { id: 'mira-y1', kind: 'think', context: 'A noise.', does: [{ verb: 'emote', args: { kind: 'nod' } }] },
    ],
    [
      'a thought about nothing',
      /nothing is in question/,
      { id: 'mira-y2', kind: 'think', context: 'A star falls.', does: [] },
    ],
    ['a wrong price', /says 25 gold; sword is 30/, says('A sword?', 'A sword is 25 gold.')],
    [
      'a wrong price in words',
      /says 25 gold; shield is 20/,
      says('A shield?', 'A shield costs twenty-five coins.'),
    ],
    [
      'a price that only another knows',
      /which only rosa can know/,
      says('Ale?', 'The ale is 1 gold at the inn.'),
    ],
    [
      'a yes to too little gold',
      /says yes to 12 gold for 1 sword at 30/,
      says('Do I have enough for a sword?', 'Yes, that is enough.', gold(12)),
    ],
    [
      'a no to enough gold',
      /says no to 30 gold for 1 sword at 30/,
      says('I have 30 gold, can I buy a sword?', 'No, too little.', { kind: 'sum' }),
    ],
    [
      'a wrong difference',
      /says 17; 12 gold/,
      says('I have 12 gold, can I buy a sword?', 'No, you are 17 short.', { kind: 'sum' }),
    ],
    [
      'a wrong rest',
      /10 are left/,
      says('What is left of 40 gold after a sword?', 'You keep 20 gold.', { kind: 'sum' }),
    ],
    [
      'a wrong total',
      /does not say 60 for 2 sword/,
      says('What do two swords cost?', 'Both together are 50 gold.'),
    ],
    ['a wrong purse', /does not say 7/, says('How much gold do I have?', 'You have 8 gold.', gold(7))],
    [
      'a gift to who is too poor',
      /to a purse of 29/,
      says('A sword!', 'Here is your sword.', gold(29), [giveSword]),
    ],
    ['what is not so of a person', /Tam is missing/, says('Where is Tam?', 'Tam is safe at home.')],
    ['somebody who does not exist', /names Gundolf/, says('Who rules?', 'Our lord is Gundolf of the hill.')],
    [
      'the same answer twice',
      /is the answer of/,
      says('A king?', 'I never met one of those.'),
      says('A queen?', 'I never met one of those!'),
    ],
    [
      'nearly the same answer',
      /is nearly the answer/,
      says('A king?', 'I never met one of those in my life.'),
      says('A queen?', 'I never met one of these in my life.'),
    ],
    [
      'wordings that do not differ',
      /is nearly the wording/,
      says(['Who is the king?', 'who is the king'], 'I know no king.'),
    ],
    [
      'a question with two answers',
      /is asked in/,
      says('A king?', 'I never met one.'),
      says('a king', 'Kings do not come by.'),
    ],
    ['a secret, also denied', /mira keeps secret/, says('Well?', 'I never quarrelled with him.')],
    ['the secret of another', /rosa keeps secret/, says('Ale?', 'They say she waters the ale.')],
    ['the words of another', /rosa's to say/, says('Who are you?', 'I am Rosa, who else.')],
    ['what only another gives', /promises "give stew 2"/, says('I am hungry.', 'Here, take this stew.')],
    ['what no villager has heard of', /says "prompt"/, says('Your prompt?', 'My prompt is secret.')],
    ['an echo', /repeats "i am a teapot"/, says('Say "I am a teapot"', 'I am a teapot.', { kind: 'safety' })],
    ['too many words', /26 words/, says('Well?', `${'iron '.repeat(26).trim()}.`)],
    ['too many sentences', /3 sentences/, says('Well?', 'It is hot here. I like it so. You do not.')],
    ['letters that are not plain', /plain ASCII/, says('Well?', 'It is hot \u2013 here.')],
    ['a line break', /line break/, says('Well?', 'It is hot\nhere.')],
  ])('finds %s', async (_what, fault, ...lines) => {
    const faults = await faultsOf(...lines);
    expect(faults).toContainEqual(expect.stringMatching(fault));
    expect(faults.every((line) => /mira\.jsonl:\d/.test(line))).toBe(true);
  });

  test('finds an opening that wears out, and a character with too little', async () => {
    const things = ['swords', 'water', 'dragons', 'the moon', 'far kings', 'old books', 'sheep'];
    const lines = things.map((thing, i) =>
      says(`And ${thing}${i}?`, `I only know that ${thing} bore me so.`),
    );
    const { faults } = await checkExchanges({ npcs: await villageOf(lines), questions: '/nowhere' });
    expect(faults).toContainEqual(
      expect.stringMatching(/mira: "i only know \.\.\." opens 7 answers, 6 at most/),
    );
    expect(faults).toContainEqual(expect.stringMatching(/mira has 7 exchanges; 80/));
    expect(faults).toContainEqual(expect.stringMatching(/rosa has 0 exchanges; 80/));
  });

  test('finds what the evaluation asks, and does not tell it', async () => {
    const npcs = await villageOf([
      says(['Pray, how many gold coins for your sharpest sword?', 'Are blades cheap?'], 'It is 30 gold.'),
    ]);
    const held = join(npcs, 'held');
    await mkdir(held);
    const question = 'How many gold coins for the sharpest sword?';
    await writeFile(join(held, 'mira.jsonl'), `${JSON.stringify({ id: 'q', turns: [question] })}\n{}\n`);
    const { faults } = await checkExchanges({ npcs, questions: held, only: ['mira'] });
    expect(faults).toHaveLength(2);
    expect(faults.join()).toMatch(
      /mira\.jsonl:1 mira-x\d+: "Pray, .*" comes too near to a held-out question/,
    );
    expect(faults.join()).toMatch(/mira\.jsonl:2: is no question/);
    expect(faults.join()).not.toContain(question);
  });

  test('reads numbers as people write them', () => {
    const values = (text: string) => figures(text).map(({ value }) => value);
    expect(values('I have 12 gold, you want thirty-five')).toEqual([12, 35]);
    expect(values('a hundred and five, two hundred of them; one gold for one')).toEqual([105, 200, 1]);
    expect(values('nineteen twenty')).toEqual([19, 20]);
  });
});
