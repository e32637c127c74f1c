// Characters as data: the villagers that ship, what a faulty file says, and files that change while all runs.

import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  authoredLine,
  type CharacterError,
  type Characters,
  loadCharacters,
  watchCharacters,
  wordsOf,
} from '../npcs/characters.ts';
import { estimateTokens, systemText } from '../tiers/prompt.ts';
import { reminders } from '../tiers/recall.ts';

const shipped = new URL('../npcs/', import.meta.url).pathname;
const good = (id: string, more = '') =>
  `id: ${id}\nname: ${id}\npersona: You are ${id}.\nfallback: [Not now., Later.]\n${more}`;

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'parley-npcs-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));
const write = (name: string, content: string) => writeFile(join(folder, name), content);
const faultsOf = () =>
  loadCharacters(folder).then(
    () => [],
    (error: CharacterError) => error.faults.map((fault) => fault.replace(`${folder}/`, '')),
  );

describe('the villagers of Oakfell', () => {
  test('are six, and whole', async () => {
    const { characters } = await loadCharacters(shipped);
    expect([...characters.keys()]).toEqual(['bram', 'edda', 'mira', 'rosa', 'tobin', 'yorick']);
    for (const character of characters.values()) {
      expect(character.fallback.length).toBeGreaterThanOrEqual(2);
      expect(character.examples.length).toBeGreaterThanOrEqual(2);
      expect(Object.keys(character.topics).length).toBeGreaterThan(5);
      expect(character.facts.filter(({ about }) => about.length > 0).length).toBeGreaterThanOrEqual(12);
      // Each topic brings a fact to mind, so that even a small model has something to say.
      for (const [topic, words] of Object.entries(character.topics))
        expect(reminders({ ...character, otherwise: undefined }, words), topic).toHaveLength(1);
      // A small model forgets who it is in a long prompt.
      expect(estimateTokens(systemText(character))).toBeLessThan(500);
    }
  });

  test('agree about prices, Tam and the mine', async () => {
    const { characters } = await loadCharacters(shipped);
    const all = [...characters.values()].flatMap((c) => c.facts.map((f) => `${c.id}: ${f.fact}`));
    const mira = systemText(characters.get('mira')!);
    for (const part of [
      'sword costs 30 gold',
      'shield costs 20 gold',
      'Repairs cost 5 gold',
      'Tam is missing in the iron mine',
    ]) {
      expect(mira).toContain(part);
    }
    for (const fact of all.filter((f) => f.includes('goblins took') || f.includes('Goblins took'))) {
      expect(fact).toMatch(/Goblins took the iron mine last week/);
    }
    for (const fact of all.filter((f) => /\bTam\b/.test(f))) expect(fact).toMatch(/brother|Mira|mine/);
  });
});

test('what they may do fits what they say: every price is the same in fact and act', async () => {
  const { characters } = await loadCharacters(shipped);
  for (const { id, facts, acts } of characters.values()) {
    for (const { verb, args } of acts) {
      if (verb !== 'give' || !args.price) continue;
      const told = facts.some(
        ({ fact }) => fact.includes(`${args.item}`) && fact.includes(`${args.price} gold`),
      );
      expect(told, `${id} gives ${args.item} for ${args.price}`).toBe(true);
    }
  }
});

describe('loading', () => {
  test('gives defaults, a hash for each character and a version for all', async () => {
    await write('ann.yaml', good('ann'));
    await write('bob.yaml', good('bob'));
    await write('notes.txt', 'no character');
    const first = await loadCharacters(folder);
    const ann = first.characters.get('ann')!;
    expect(ann).toMatchObject({
      importance: 'normal',
      tiers: ['gold'],
      topics: {},
      reminders: 0,
      sampling: { maxTokens: 80 },
    });
    expect(Object.isFrozen(ann.sampling)).toBe(true);
    await write('bob.yaml', good('bob', 'rules: [Be brief.]'));
    const second = await loadCharacters(folder);
    expect(second.version).not.toBe(first.version);
    expect(second.characters.get('ann')!.hash).toBe(ann.hash);
    expect(second.characters.get('bob')!.hash).not.toBe(first.characters.get('bob')!.hash);
  });

  test('reports every fault of every file at once, with its place', async () => {
    await write('ann.yaml', good('anna'));
    await write('bob.yaml', 'id: bob\nname: [oops\npersona: x');
    await write(
      'cat.yaml',
      good('cat', 'sampling: { temperature: 9 }\nexamples: [{ player: Hi }]\nsword: 30'),
    );
    await write('dan.yaml', 'just text');
    await write('eve.yml', good('eve'));
    await write('fay.yaml', 'id: fay\nname: Fay\npersona: " "\nfallback: [Only one.]');
    await write('gus.yaml', '');
    await mkdir(join(folder, 'hal.yaml'));
    const faults = await faultsOf();
    const has = (start: string, part: string) =>
      expect(faults.filter((f) => f.startsWith(start) && f.includes(part))).toHaveLength(1);
    has('ann.yaml: id:', 'ann');
    has('bob.yaml: ', 'line');
    has('cat.yaml: sampling.temperature:', '2');
    has('cat.yaml: examples.0.npc:', 'string');
    has('cat.yaml: the file:', 'sword');
    has('dan.yaml: the file:', 'object');
    has('eve.yml: id:', 'eve.yaml');
    has('fay.yaml: persona:', '1');
    has('fay.yaml: fallback:', 'at least two lines');
    has('gus.yaml: the file:', 'object');
    has('hal.yaml: ', 'cannot be read');
  });

  test('an empty folder, and none, are faults', async () => {
    expect(await faultsOf()).toHaveLength(1);
    await expect(loadCharacters(join(folder, 'nowhere'))).rejects.toThrow(/nowhere: cannot be read/);
  });

  test('aliases that grow without end are refused', async () => {
    const bomb = [
      'a: &a [x, x, x, x, x, x, x, x]',
      ...'bcdefgh'.split('').map((k, i) => {
        const last = 'abcdefgh'[i];
        return `${k}: &${k} [*${last}, *${last}, *${last}, *${last}, *${last}, *${last}, *${last}, *${last}]`;
      }),
    ];
    await write('ann.yaml', good('ann', bomb.join('\n')));
    expect(await faultsOf()).toHaveLength(1);
  });
});

test('the examples for authors in npcs/README.md can be loaded as they are', async () => {
  const page = await readFile(join(shipped, 'README.md'), 'utf8');
  const [ann, game] = [...page.matchAll(/```yaml\n(.*?)```/gs)].map(([, yaml]) => yaml!);
  await write('ann.yaml', ann!);
  await write('game.yaml', game!);
  expect(await faultsOf()).toEqual([]);
  const { characters, verbs } = await loadCharacters(folder);
  expect(characters.get('ann')!.acts).toHaveLength(1);
  expect(verbs.get('ring_bell')).toMatchObject({ authority: 'client' });
});

describe('watching', () => {
  /** Collects what the watch says; `next` resolves with the next thing. */
  async function watched() {
    const heard: (Characters | Error)[] = [];
    let wake = () => {};
    const say = (what: Characters | Error) => {
      heard.push(what);
      wake();
    };
    const { version } = await loadCharacters(folder);
    const stop = watchCharacters(folder, { version, onChange: say, onFault: say });
    const next = async () => {
      while (heard.length === 0)
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      return heard.shift()!;
    };
    return { stop, next };
  }

  test('hears of a change, of a broken edit, and of its repair', async () => {
    await write('ann.yaml', good('ann'));
    const { next, stop } = await watched();
    await write('ann.yaml', good('ann', 'rules: [Be brief.]'));
    const changed = (await next()) as Characters;
    expect(changed.characters.get('ann')!.rules).toEqual(['Be brief.']);
    await write('ann.yaml', 'id: ann\nname: [');
    expect(await next()).toMatchObject({ name: 'CharacterError' });
    // As many editors do: a new file that is moved over the old one.
    await write('ann.yaml.swp', good('ann', 'rules: [Be very brief.]'));
    await rename(join(folder, 'ann.yaml.swp'), join(folder, 'ann.yaml'));
    const repaired = (await next()) as Characters;
    expect(repaired.characters.get('ann')!.rules).toEqual(['Be very brief.']);
    await write('bob.yaml', good('bob'));
    expect(((await next()) as Characters).characters.size).toBe(2);
    stop();
  });

  test('a file that is written again without a change says nothing', async () => {
    await write('ann.yaml', good('ann'));
    const { next, stop } = await watched();
    await write('ann.yaml', `# a comment\n${await readFile(join(folder, 'ann.yaml'), 'utf8')}`);
    await write('bob.yaml', good('bob'));
    expect(((await next()) as Characters).characters.size).toBe(2);
    stop();
  });
});

describe('what is said', () => {
  const ann = { id: 'ann', topics: { price: 'What is the price?' }, fallback: ['One.', 'Two.', 'Three.'] };

  test('is the text, or the words of the topic', () => {
    expect(wordsOf(ann, { text: 'Hello' })).toBe('Hello');
    expect(wordsOf(ann, { topic: 'price' })).toBe('What is the price?');
    for (const topic of ['prices', 'constructor', '__proto__', '']) {
      expect(() => wordsOf(ann, { topic })).toThrow(expect.objectContaining({ code: 'unknown_topic' }));
    }
    expect(() => wordsOf(ann, {})).toThrow(expect.objectContaining({ code: 'unknown_topic' }));
  });

  test('an authored line is the same for the same seed, and varies', () => {
    const lines = Array.from({ length: 40 }, (_, i) => authoredLine(ann, `seed ${i}`));
    expect(new Set(lines)).toEqual(new Set(ann.fallback));
    expect(authoredLine(ann, 'seed 7')).toBe(lines[7]);
  });
});
