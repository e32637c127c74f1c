// Recall by meaning: what was written for some words comes back for others that mean the same, as long as it still holds.

import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { StateFacts } from '../bus/state.ts';
import { loadCharacters } from '../npcs/characters.ts';
import { readExchanges } from '../npcs/read-exchanges.ts';
import { Bank, type Memory, memoriesOf } from '../tiers/recollection/bank.ts';
import { type Encoder, nearness, openEncoder } from '../tiers/recollection/encoder.ts';
import { Recollection, vectorsFile } from '../tiers/recollection/recollection.ts';
import { keyOf, readVectors, writeVectors } from '../tiers/recollection/vectors.ts';
import { reckon } from '../tiers/sums/gold.ts';

const npcs = new URL('../npcs/', import.meta.url).pathname;
const shipped = join(npcs, 'recall', 'encoder.gguf');
const set = await loadCharacters(npcs);
const { all } = await readExchanges(npcs, set.characters);

let encoder: Encoder;
let folder: string;
beforeAll(async () => {
  encoder = await openEncoder(shipped);
  folder = await mkdtemp(join(tmpdir(), 'parley-recollection-'));
});
afterAll(async () => {
  await encoder?.close();
  await rm(folder, { recursive: true, force: true });
});

describe('the encoder', () => {
  test('puts near what means the same, whatever the words', async () => {
    const [price, other, mine, shouted] = await Promise.all(
      [
        'What would a sword set me back?',
        'price of a blade',
        'Who took the iron mine?',
        'WHAT WOULD A SWORD SET ME BACK?',
      ].map((text) => encoder.encode(text)),
    );
    expect(nearness(price!, price!)).toBeCloseTo(1, 1);
    expect(nearness(price!, other!)).toBeGreaterThan(nearness(price!, mine!) + 0.3);
    expect(nearness(price!, shouted!)).toBeCloseTo(1, 1);
  });

  test('takes any text: empty, endless, of other letters', async () => {
    for (const text of ['', ' ', 'sword '.repeat(2_000), '\u4f60\u597d', '\ud83d\ude00'.repeat(300)])
      expect(await encoder.encode(text)).toHaveLength(encoder.dimensions);
  });

  test('names a file that is none', async () => {
    const broken = join(folder, 'broken.gguf');
    await writeFile(broken, (await readFile(shipped)).subarray(0, 100_000));
    for (const file of [broken, join(folder, 'missing.gguf')])
      await expect(openEncoder(file)).rejects.toThrow(file);
  });
});

describe('a bank', () => {
  const memory: Memory = {
    words: 'Is Tam back?',
    before: undefined,
    answer: 'Not yet.',
    kind: 'fact',
    state: {},
    gold: undefined,
    does: false,
    needs: [],
  };
  const question = { words: 'Is Tam back?', before: undefined, told: {}, asked: [] as string[] };

  async function recall(
    memories: readonly Memory[],
    asked: {
      words?: string;
      before?: string;
      named?: string;
      takes?: string;
      told?: StateFacts;
      asked?: string[];
    },
    own = true,
  ): Promise<string | undefined> {
    const texts = memories.flatMap(({ words, before }) => [words, before ?? '']);
    const vectors = new Map(
      await Promise.all(texts.map(async (text) => [text, await encoder.encode(text)] as const)),
    );
    const bank = new Bank(memories, (text) => vectors.get(text)!);
    const all = { ...question, named: undefined, ...asked };
    const [before, named] = await Promise.all(
      [all.before, all.named].map((text) => (text === undefined ? undefined : encoder.encode(text))),
    );
    return bank.recall({ ...all, before, named, vector: await encoder.encode(all.words) }, own);
  }

  test('leaves out what does not hold now, and what is older than the game', async () => {
    const found = { ...memory, answer: 'He is home.', state: { tam_found: true } };
    const both = [memory, found];
    expect(await recall(both, {})).toBe('Not yet.');
    expect(await recall(both, { told: { tam_found: true }, asked: ['tam_found'] })).toBe('He is home.');
    expect(await recall([memory], { told: { tam_found: true }, asked: ['tam_found'] })).toBeUndefined();
  });

  test('an answer that was written for a purse is for that purse, but for what is handed over', async () => {
    const poor = { ...memory, words: 'A sword, please.', answer: 'You have only 3.', gold: 3 };
    const given = { ...memory, words: 'I take a sword.', answer: 'Here it is.', gold: 40, does: true };
    const last = { ...given, words: 'A sword, please!', answer: 'Here it is, for your last 40.' };
    const asked = { words: 'A sword, please.', told: { gold: 50 } };
    expect(await recall([poor, last, given], asked)).toBe('Here it is.');
    expect(await recall([poor, given], { ...asked, told: { gold: 3 } })).toBe('You have only 3.');
  });

  test('an answer of a table with a name in it is for that name alone', async () => {
    const bob = { ...memory, words: 'I am Bob.', answer: 'Welcome, Bob.', needs: ['bob'] };
    const any = { ...memory, words: 'I have a name.', answer: 'Welcome, whoever you are.' };
    expect(await recall([bob, any], { words: 'i am bob' })).toBe('Welcome, Bob.');
    expect(await recall([bob, any], { words: 'i am bobby' })).toBe('Welcome, whoever you are.');
    const names = memoriesOf(all, set.characters.get('mira')!).flatMap(({ needs }) => needs);
    expect(names.length).toBeGreaterThan(0);
  });

  test('tells a question by what was said before it', async () => {
    const where = { ...memory, words: 'Where do I find her?' };
    const healer = { ...where, before: 'I am hurt. Edda mends that.', answer: 'By the well.' };
    const smith = { ...where, before: 'I need a sword. Mira makes them.', answer: 'At the forge.' };
    const asked = { words: 'where is she?' };
    expect(await recall([healer, smith], { ...asked, before: 'my leg bleeds Edda knows' })).toBe(
      'By the well.',
    );
    expect(await recall([healer, smith], { ...asked, before: 'who sells blades? Mira.' })).toBe(
      'At the forge.',
    );
  });

  test('finds by name whom "she" means', async () => {
    const smith = { ...memory, words: 'Is Mira a good smith?', answer: 'The best.' };
    const night = { ...memory, words: 'Is the night good for walking?', answer: 'Stay inside.' };
    const asked = { words: 'is she any good' };
    expect(await recall([night, smith], { ...asked, named: 'is Mira any good' })).toBe('The best.');
  });

  test('hands over what is taken, unless the author has another answer to these very words', async () => {
    const sells = (ware: string, words: string): Memory => ({
      ...memory,
      words,
      answer: `Take this ${ware}.`,
      kind: 'buy',
      does: true,
      serves: true,
      sells: { name: ware, price: 20 },
    });
    const sword = sells('sword', 'Give me one of those swords.');
    const shield = sells('shield', 'I will buy a shield.');
    const aside = { ...memory, words: 'Put one of those swords aside for me.', answer: 'I put none aside.' };
    const all = [sword, shield, aside];
    expect(await recall(all, { words: 'deal, give me one', takes: 'shield' })).toBe('Take this shield.');
    expect(await recall(all, { words: 'deal, give me one', takes: 'sword' })).toBe('Take this sword.');
    expect(await recall(all, { words: 'Put one of those swords aside for me.' })).toBe('I put none aside.');
  });

  test('hands nothing over to who cannot pay it, or where the game says that nobody is served', async () => {
    const sold = { name: 'shield', price: 20 };
    const shield = {
      ...memory,
      words: 'A shield, please.',
      answer: 'Take it.',
      does: true,
      serves: true,
      sells: sold,
    };
    const poor = { ...memory, words: 'I want it all.', answer: 'Who does not?' };
    const night = { ...memory, words: 'Anybody up?', answer: 'Not at night.', kind: 'buy' as const };
    const all = [shield, poor, { ...night, state: { night: true } }];
    const asked = { words: 'a shield please', takes: 'shield' };
    expect(await recall(all, { ...asked, told: { gold: 20 } })).toBe('Take it.');
    expect(await recall(all, { ...asked, told: { gold: 19 } })).toBe('Who does not?');
    expect(await recall(all, { ...asked, told: { gold: 20, night: true } })).toBe('Not at night.');
    expect(await recall(all, { ...asked, told: { gold: 20, night: false } })).toBe('Take it.');
  });

  test('knows what is handed over with an answer', () => {
    const sold = (id: string) =>
      new Set(memoriesOf(all, set.characters.get(id)!).flatMap(({ sells }) => sells?.name ?? []));
    expect(sold('mira')).toEqual(new Set(['sword', 'shield', 'shield + sword']));
    expect(sold('tobin')).toEqual(new Set(['loaf of bread', 'bun', 'bun + loaf of bread']));
    expect(sold('yorick')).toEqual(new Set(['crossing']));
  });

  test('what is written behind several things has one vote', async () => {
    const spread = ['The mine?', 'The inn?', 'The gate?'].map((before) => ({
      ...memory,
      words: 'Where is that?',
      before,
      answer: 'Over there.',
    }));
    const two = ['Where is that place?', 'Where would that be?'].map((words) => ({
      ...memory,
      words,
      answer: 'Up the road.',
    }));
    // Three times the same wording, or two that agree.
    expect(await recall([...spread, ...two], { words: 'and where would that place be' })).toBe(
      'Up the road.',
    );
    expect(await recall([...spread, ...spread], { words: 'where is that' })).toBe('Over there.');
  });

  test('many wordings of one answer outvote one of another, and their own words can be left out', async () => {
    const yes = ['Do you sell bread?', 'Is there bread here?', 'Any bread for sale?'].map((words) => ({
      ...memory,
      words,
      answer: 'Aye.',
    }));
    const no = { ...memory, words: 'Do you sell breeches?', answer: 'No.' };
    expect(await recall([no, ...yes], { words: 'do you sell some bread' })).toBe('Aye.');
    expect(await recall([no, yes[0]!], { words: 'Do you sell bread' }, false)).toBe('No.');
    expect(await recall([], {})).toBeUndefined();
  });

  test('a question that is unlike anything gets a refusal, always the same; a statement does not', async () => {
    const refusals = ['No idea.', 'I never heard of that.'];
    const vector = await encoder.encode(memory.words);
    const bank = new Bank([memory], () => vector, refusals);
    const ask = async (words: string) =>
      bank.recall({ ...question, words, vector: await encoder.encode(words) });
    const strange = await ask('How deep is the ocean?');
    expect(refusals).toContain(strange);
    expect(await ask('How deep is the ocean?')).toEqual(strange);
    expect(await ask('The ocean is deep.')).toBe('Not yet.');
    expect(await ask('is tam back yet?')).toBe('Not yet.');
  });

  test('holds no sum that is reckoned anyway, and no thought', () => {
    const mira = set.characters.get('mira')!;
    const memories = memoriesOf(all, mira);
    expect(memories.length).toBeGreaterThan(1_000);
    for (const { words, gold } of memories)
      expect(reckon({ wares: mira.wares, words, before: [], gold }), words).toBeUndefined();
  });
});

describe('vectors in a file', () => {
  test('are read as they were written, by the same encoder alone', async () => {
    const file = join(folder, 'vectors.bin');
    const texts = ['a sword', 'a shield'];
    const vectors = new Map(
      await Promise.all(texts.map(async (t) => [keyOf(t), await encoder.encode(t)] as const)),
    );
    await writeVectors(file, vectors, encoder);
    expect(await readVectors(file, encoder)).toEqual(vectors);
    const other = { sha256: 'ab', dimensions: encoder.dimensions };
    expect((await readVectors(file, other)).size).toBe(0);
    const whole = await readFile(file);
    for (const damaged of [whole.subarray(0, -1), whole.subarray(3), Buffer.from('{}\n'), Buffer.alloc(0)]) {
      await writeFile(file, damaged);
      expect((await readVectors(file, encoder)).size).toBe(0);
    }
    expect((await readVectors(join(folder, 'nowhere'), encoder)).size).toBe(0);
  });

  test('are shipped for every wording: npm run author -- remember', async () => {
    const vectors = await readVectors(vectorsFile(npcs), encoder);
    const missing = [...set.characters.values()]
      .flatMap((character) => memoriesOf(all, character))
      .filter(({ words }) => !vectors.has(keyOf(words)));
    expect(missing.map(({ words }) => words)).toEqual([]);
  });
});

describe('a worker recalls', () => {
  const nothing = { before: undefined, told: {}, asked: [] };

  test('what was written for the village', async () => {
    const results: string[] = [];
    const onRecall = (result: string) => void results.push(result);
    await using recollection = await opened({ npcs, setting: '', onRecall });
    await recollection.it.learn(set.characters);
    const ask = async (npc: string, words: string) =>
      (await recollection.it.of(npc, [words]))!({ ...nothing, words });
    expect(await ask('mira', 'how much would you want for a good blade')).toContain('30');
    expect(await ask('rosa', 'got any place to sleep tonight?')).toMatch(/room|bed/);
    const unheard = await ask('tobin', 'which valve fits a diesel injector?');
    expect(set.characters.get('tobin')!.refusals).toContain(unheard);
    expect(results).toEqual(['near', 'near', 'refused']);
    // Not looked up again.
    expect(await ask('tobin', 'which valve fits a diesel injector?')).toEqual(unheard);
    expect(results).toHaveLength(3);
    expect(await recollection.it.of('nobody', ['Hello'])).toBeUndefined();
    const recall = (await recollection.it.of('mira', ['Hello']))!;
    expect(recall({ ...nothing, words: 'never prepared' })).toBeUndefined();
  });

  test('nothing without an encoder, and says which file is none', async () => {
    expect(await Recollection.open({ npcs, setting: 'none' })).toBeUndefined();
    expect(await Recollection.open({ npcs: folder, setting: '' })).toBeUndefined();
    await expect(Recollection.open({ npcs, setting: join(npcs, 'mira.yaml') })).rejects.toThrow('mira.yaml');
  });

  test('a wording that has no vector yet, and an exchange that is broken harms no other', async () => {
    const own = join(folder, 'npcs');
    await cp(npcs, own, { recursive: true, filter: (file) => !/exchanges.|adapters|recall/.test(file) });
    const line = (id: string, player: string, npc: string) =>
      `${JSON.stringify({ id, kind: 'fact', turns: [{ player, npc }] })}\n`;
    await cp(join(npcs, 'exchanges', 'lore.yaml'), join(own, 'exchanges', 'lore.yaml'));
    await writeFile(
      join(own, 'exchanges', 'mira.jsonl'),
      `${line('mira-q1', 'Do you like owls?', 'I hear one every night.')}{"id":"mira-q2"}\n`,
    );
    const warned: object[] = [];
    const log = { info() {}, warn: (fields: object) => void warned.push(fields) };
    await using recollection = await opened({ npcs: own, setting: shipped, log });
    await recollection.it.learn((await loadCharacters(own)).characters);
    const recall = (await recollection.it.of('mira', ['are you fond of owls']))!;
    expect(recall({ ...nothing, words: 'are you fond of owls' })).toBe('I hear one every night.');
    expect(JSON.stringify(warned)).toContain('mira-q2');
  });

  async function opened(options: Parameters<typeof Recollection.open>[0]) {
    const it = (await Recollection.open(options))!;
    return { it, [Symbol.asyncDispose]: () => it.close() };
  }
});
