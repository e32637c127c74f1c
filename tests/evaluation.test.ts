// The evaluation: that right answers pass and wrong ones do not, each for its reason; that intervals and tests are those
// of the books; that questions are checked, asked through a real stack, kept, and not asked twice.

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { armsOf, settingOf } from '../evaluation/arms.ts';
import { evaluate } from '../evaluation/evaluate.ts';
import { isLabelOf } from '../evaluation/labels.ts';
import { askedHash, loadQuestions, patternOf, type Question } from '../evaluation/questions.ts';
import { rejudge } from '../evaluation/rejudge.ts';
import { report } from '../evaluation/report.ts';
import { type Answer, judge, judgeAll, mostAlike } from '../evaluation/score.ts';
import { comparePaired, shareOf } from '../evaluation/statistics.ts';
import { compare, summarise } from '../evaluation/summary.ts';
import { loadCharacters } from '../npcs/characters.ts';
import { readExchanges } from '../npcs/read-exchanges.ts';
import { readConfig } from '../runtime/config.ts';
import { faultsOfHeldOut, readHeldOut } from '../training/authoring/held-out.ts';

const root = new URL('..', import.meta.url).pathname;
const cast = await loadCharacters(join(root, 'npcs'));
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'parley-evaluation-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const question = (more: Partial<Question> = {}): Question => ({
  id: 'mira-x01',
  npc: 'mira',
  kind: 'fact',
  turns: ['What is the price of a sword?'],
  accept: [],
  forbid: [],
  ...more,
});
const sword = { name: 'give', args: { item: 'sword', price: 30 } };
const answer = (text: string, more: Partial<Answer> = {}): Answer => ({
  said: [text],
  acts: [],
  reason: 'stop',
  source: 'live',
  ...more,
});
const why = (asked: Partial<Question>, given: Answer) =>
  judge(question(asked), given, cast).faults.map((fault) => fault.why);

describe('an answer is right', () => {
  const price = { accept: [['30', 'thirty']], forbid: ['20'] };

  test.each([
    'A sword is 30 gold.',
    'Thirty gold, and not a coin less!',
    '30.',
    'No. Never for less than 30 gold, traveller. That is my last word.',
    'It\u2019s 30 gold \u2013 take it or leave it.',
  ])('%s', (text) => {
    expect(why(price, answer(text))).toEqual([]);
  });

  test.each([
    ['without what must be said', 'A sword is dear.', ['missing']],
    ['with a number that only looks like it', 'A sword is 300 gold.', ['missing']],
    ['with what is wrong', 'A sword is 30 gold, a shield 20.', ['forbidden']],
    ['on two lines', '30 gold.\nWhat else?', ['style']],
    ['of three sentences', '30 gold for it. I made it well. You will like it.', ['style']],
    [
      'too long',
      `30 ${'gold and silver and '.repeat(1)}${'a b c d e f g h i j '.repeat(4)}`,
      ['style', 'repetition'],
    ],
    ['in other letters', 'Une \u00e9p\u00e9e: 30.', ['style']],
    ['with markup', '**30** gold', ['style']],
    ['in a loop', 'It is 30 gold, it is 30 gold, it is 30 gold.', ['repetition']],
    ['that is nothing', '', ['missing', 'style']],
    ['of a model', 'As an AI I would say 30 gold.', ['character']],
    ['that denies to be a model', 'I am no language model. 30 gold.', ['character']],
    ['with a label', 'Mira: 30 gold.', ['character']],
    ['that recites the persona', 'You are Mira, it is 30 gold.', ['character']],
    ['in another name', 'I am Rosa, 30 gold.', ['character']],
  ])('not %s', (_what, text, faults) => {
    expect(why(price, answer(text))).toEqual(faults);
  });

  test.each([
    ['I have 25 gold, is it enough?', 'I have 25 gold, traveller.'],
    ['do you keep a dog here', 'Do you keep a dog here, traveller!'],
    ['30 coins, thats one sword right?', 'A sword is 30 gold, thats one sword right?'],
    ['where do i find this mira', 'Where do I find Mira the blacksmith?'],
  ])('not with the question handed back: %s', (asked, text) => {
    expect(why({ turns: [asked] }, answer(text))).toEqual(['echo']);
  });

  test('with words of the question that answer it', () => {
    expect(why({ turns: ['so a sword costs 30 gold?'] }, answer('A sword costs 30 gold.'))).toEqual([]);
    expect(why({ turns: ['is the north gate open'] }, answer('The north gate is open.'))).toEqual([]);
  });

  test('not when no model made it, it was cut off, or it failed', () => {
    expect(why(price, answer('30 gold.', { source: 'authored' }))).toEqual(['authored']);
    expect(why(price, answer('30 gold, and', { reason: 'length' }))).toEqual(['cut']);
    expect(why(price, { said: ['30 gold'], acts: [], error: 'lost' })).toEqual(['failed']);
  });

  test('in English, whatever it was asked in', () => {
    const asked: Partial<Question> = { kind: 'language', turns: ['Dame un pan, por favor.'] };
    expect(why(asked, answer('Dame un pan, por favor amigo!'))).toContain('character');
    expect(why(asked, answer('I do not know your tongue.'))).toEqual([]);
  });

  test('at most so many times, where there is nothing to know', () => {
    const times = mostAlike + 2;
    const same = (kind: Question['kind']) => {
      const questions = Array.from({ length: times }, (_, i) => question({ id: `${kind}-${i}`, kind }));
      const answers = new Map(questions.map(({ id }) => [id, answer('Who can say, traveller.')]));
      return judgeAll(questions, answers, cast).filter(({ right }) => right).length;
    };
    expect(same('unknown')).toBe(mostAlike);
    expect(same('fact')).toBe(times);
  });
});

describe('speech and acts', () => {
  const verdict = (does: string[], text: string, acts: Answer['acts'] = []) => {
    const { right, agrees, actsRight } = judge(question({ kind: 'buy', does }), answer(text, { acts }), cast);
    return { right, agrees, actsRight };
  };

  test('agree when what is handed over in words is given', () => {
    const all = { right: true, agrees: true, actsRight: true };
    expect(verdict(['give sword'], 'Here is your sword.', [sword])).toEqual(all);
    expect(verdict([], 'No, you are 18 gold short.')).toEqual(all);
    expect(verdict([], 'If you had 30 gold, I would say: take this sword.')).toEqual(all);
  });

  test('do not agree when one goes without the other', () => {
    const none = { right: false, agrees: false, actsRight: false };
    expect(verdict(['give sword'], 'Here is your sword.')).toEqual(none);
    expect(verdict([], 'No, you cannot afford it.', [sword])).toEqual(none);
    expect(verdict([], 'Take this sword, traveller.')).toMatchObject({ agrees: false });
  });

  test('may agree on what the situation does not call for', () => {
    expect(verdict([], 'Here is your sword.', [sword])).toEqual({
      right: false,
      agrees: true,
      actsRight: false,
    });
  });

  test('are judged by verb and arguments; a wave more does no harm, a sword more does', () => {
    const wave = { name: 'emote', args: { kind: 'wave' } };
    expect(verdict(['give sword'], 'Here is your sword.', [sword, wave]).right).toBe(true);
    expect(verdict(['give sword'], 'Here is your sword.', [sword, sword]).right).toBe(false);
    expect(verdict(['give shield'], 'Here is your sword.', [sword]).right).toBe(false);
    expect(why({}, answer('Aye, take it.', { acts: [{ name: 'emote', args: { kind: 'fly' } }] }))).toEqual([
      'badAct',
    ]);
    expect(isLabelOf('give sword 30', 'give', sword.args)).toBe(true);
    expect(isLabelOf('give sword 20', 'give', sword.args)).toBe(false);
    expect(isLabelOf('open_gate', 'open_gate', {})).toBe(true);
  });
});

describe('figures', () => {
  test('intervals are those of Wilson', () => {
    // Newcombe 1998, table I: 81 of 263 and 1 of 29.
    expect(shareOf(81, 263)).toMatchObject({
      low: expect.closeTo(0.2553, 4),
      high: expect.closeTo(0.3662, 4),
    });
    expect(shareOf(1, 29)).toMatchObject({ low: expect.closeTo(0.0061, 4), high: expect.closeTo(0.1718, 4) });
    expect(shareOf(0, 20).low).toBe(0);
  });

  test('arms are compared question by question', () => {
    const pairs = (count: number, pair: [boolean, boolean]) => Array.from({ length: count }, () => pair);
    const all = [...pairs(9, [false, true]), ...pairs(1, [true, false]), ...pairs(5, [true, true])];
    // 2 * (1 + 10) / 2^10
    expect(comparePaired(all)).toMatchObject({ of: 15, won: 9, lost: 1, p: expect.closeTo(0.021484, 6) });
    expect(comparePaired(pairs(4, [true, true])).p).toBe(1);
  });

  test('are shares of what was asked, by character and kind', () => {
    const questions = [
      question({ id: 'a', accept: [['30']] }),
      question({ id: 'b', npc: 'rosa', kind: 'sum', accept: [['4']] }),
      question({ id: 'c', kind: 'unknown' }),
    ];
    const answers = new Map([
      ['a', answer('30 gold.')],
      ['b', answer('5 gold.')],
      ['c', answer('Who knows.')],
    ]);
    const scores = summarise(questions, judgeAll(questions, answers, cast), answers);
    expect(scores).toMatchObject({
      accuracy: { right: 1, of: 2 },
      weakest: { npc: 'rosa', right: 0, of: 1 },
      byKind: { fact: { right: 1, of: 1 }, sum: { right: 0, of: 1 } },
      outOfScope: { right: 1, of: 1 },
      faults: { missing: 1 },
    });
  });

  test('speeds are compared only where both arms were asked in one run', () => {
    const questions = ['a', 'b', 'c'].map((id) => question({ id }));
    const arm = (run: string, tokenMs: number) =>
      new Map(questions.map(({ id }) => [id, { right: true, run: id === 'c' ? run : 'same', tokenMs }]));
    expect(compare(questions, [arm('one', 20), arm('two', 25)])).toMatchObject({ speed: 0.8, speedOf: 2 });
  });
});

describe('questions', () => {
  test('those of the repository are whole, and none is near an exchange', async () => {
    const questions = await loadQuestions(join(root, 'evaluation', 'questions'), cast);
    const counts = [...cast.characters.keys()].map((npc) => questions.filter((q) => q.npc === npc).length);
    expect(Math.min(...counts)).toBeGreaterThanOrEqual(40);
    const { all } = await readExchanges(join(root, 'npcs'), cast.characters);
    expect(faultsOfHeldOut(all, await readHeldOut(join(root, 'evaluation', 'questions')))).toEqual([]);
  });

  test('with faults are refused, every fault named with its line', async () => {
    const lines = [
      { id: 'a', kind: 'fact', turns: ['x'] },
      { id: 'a', kind: 'fact', turns: ['y'] },
      { id: 'b', kind: 'riddle', turns: [] },
      { id: 'c', kind: 'buy', turns: ['x'], does: ['give crown'] },
      { id: 'd', kind: 'fact', turns: ['x'], forbid: ['/(/'] },
    ];
    const text = `${lines.map((line) => JSON.stringify(line)).join('\n')}\n{broken\n`;
    await writeFile(join(folder, 'mira.jsonl'), text);
    await writeFile(join(folder, 'nobody.jsonl'), '');
    const error = await loadQuestions(folder, cast).catch((e: Error) => e.message);
    for (const part of [
      'mira.jsonl:2: id a stands at',
      'mira.jsonl:3: kind',
      'mira.jsonl:3: turns',
      'mira.jsonl:4: does: mira has no act "give crown"',
      'mira.jsonl:5: Invalid regular expression',
      'mira.jsonl:6: is no JSON',
      'there is no character nobody',
    ])
      expect(error).toContain(part);
  });

  test('phrases stand between word boundaries, expressions for themselves', () => {
    expect(patternOf('tam').test('My brother TAM!')).toBe(true);
    expect(patternOf('tam').test('tamed')).toBe(false);
    expect(patternOf('too  little').test('too little')).toBe(true);
    expect(patternOf('/swords?$/').test('two Swords')).toBe(true);
  });
});

test('arms that cannot be are refused by name', async () => {
  const config = readConfig({ PARLEY_HOME: folder });
  const fault = (...words: string[]) => armsOf(words, config).catch((error: Error) => error.message);
  expect(await fault('base', 'base')).toContain('twice');
  expect(await fault('sft')).toContain('say which file');
  expect(await fault('sft=no-such-file.gguf')).toContain('no-such-file.gguf');
  expect(await fault('champion')).toContain('npm run promote');
  expect(await fault('base=x.gguf')).toContain('another name');
});

test('questions are asked through a stack, judged, kept, and not asked twice', async () => {
  const { home: _home, ...config } = readConfig();
  const questions = [
    question({ id: 'mira-x01', accept: [['30', 'thirty']] }),
    question({
      id: 'mira-x02',
      kind: 'buy',
      turns: ['Good day.', 'I want a sword.'],
      state: { gold: 50 },
      does: ['give sword'],
    }),
  ];
  const said: string[] = [];
  const options = {
    questions,
    arms: [{ name: 'learnt', path: join(root, 'npcs', 'adapters', 'oakfell.gguf') }],
    setting: await settingOf({ ...config, home: folder }, cast),
    cast,
    home: folder,
    parallel: 2,
    say: (line: string) => void said.push(line),
  };
  const [result] = await evaluate(options);
  expect(result!.answers.map(({ id, right }) => [id, right])).toEqual([
    ['mira-x01', true],
    ['mira-x02', true],
  ]);
  expect(result!.answers[1]).toMatchObject({
    acts: [sword],
    source: 'live',
    agrees: true,
    asked: askedHash(questions[1]!),
  });
  expect(result!.answers[1]!.said).toHaveLength(2);
  expect(said).toContain("the game's server agreed to 1 acts");

  said.length = 0;
  const [again] = await evaluate(options);
  expect(said).toEqual(['learnt: 0 questions to ask, 2 were answered before']);
  expect(again!.answers).toEqual(result!.answers);

  // Judged by other rules, and without what was worded anew.
  const strict = [question({ id: 'mira-x01', forbid: ['30', 'thirty'] }), question({ id: 'mira-x02' })];
  expect(rejudge(result!, strict, cast).answers.map(({ id, right }) => [id, right])).toEqual([
    ['mira-x01', false],
  ]);
  expect(report(questions, [result!])).toMatch(/accuracy.*\n[\s\S]*100\.0 %[\s\S]*I want a sword/);
}, 120_000);
