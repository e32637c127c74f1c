// Guessing ahead: the controller by itself, and the llama engine on the real model, which has to say with guesses what
// it says without them. Nothing here looks at the clock but the controller, and that is told its times.

import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readConfig } from '../runtime/config.ts';
import { createRegistry, createWorkerMetrics } from '../runtime/metrics.ts';
import type { AnswerSchema, Engine, GenerateOptions, Prompt } from '../tiers/engine.ts';
import { Speculation, type Step } from '../tiers/gold/speculation.ts';
import { TextAnswer } from '../tiers/gold/triton/answer.ts';
import { textInputs } from '../tiers/gold/triton/requests.ts';
import { bytes, int32, Outputs, type Tensor } from '../tiers/gold/triton/tensors.ts';
import { defaultModelFile } from '../tiers/llama/load-model.ts';
import { findRun } from '../tiers/llama/speculation.ts';
import { createLlamaEngine, type LlamaOptions } from '../tiers/llama-engine.ts';
import { read } from './engine-contract.ts';
import { useHomes } from './helpers/homes.ts';
import { loraFile } from './helpers/lora-file.ts';

describe('the controller', () => {
  const plain = (ms: number): Step => ({ kind: 'none', drafted: 0, accepted: 0, ms, draftMs: 0 });
  const guess = (drafted: number, accepted: number, ms: number): Step => ({
    kind: 'lookup-4',
    drafted,
    accepted,
    ms,
    draftMs: 0,
  });

  /** Lets it work in a world where a step takes `plainMs`, a guessed token `extraMs` more, and every n-th guess is wrong. */
  function live(
    control: Speculation,
    world: { plainMs: number; extraMs: number; wrongEvery: number },
    steps: number,
  ) {
    let made = 0;
    for (let i = 0; i < steps; i++) {
      const n = control.wanted('lookup-4', 100);
      if (n > 0) made++;
      const accepted = i % world.wrongEvery === 0 ? 0 : n;
      const ms = world.plainMs + n * world.extraMs;
      control.saw(n === 0 ? plain(world.plainMs) : guess(n, accepted, ms));
    }
    return made;
  }

  test('guesses as far as it may where guesses are cheap and come true', () => {
    const control = new Speculation({ mode: 'auto', most: 6 });
    expect(live(control, { plainMs: 10, extraMs: 1, wrongEvery: 50 }, 200)).toBeGreaterThan(150);
    control.saw(plain(10));
    expect(control.wanted('lookup-4', 100)).toBe(6);
    expect(control.wanted('lookup-4', 2)).toBe(2);
    expect(control.figures.active).toBe(true);
    expect(control.figures.speedUp).toBeGreaterThan(2);
    expect(control.figures.acceptance).toBeGreaterThan(0.9);
  });

  test('stops where a guessed token costs as much as one decoded, and looks again less and less often', () => {
    const control = new Speculation({ mode: 'auto', most: 4 });
    live(control, { plainMs: 10, extraMs: 9.5, wrongEvery: 5 }, 100);
    expect(control.figures.active).toBe(false);
    const first = live(control, { plainMs: 10, extraMs: 9.5, wrongEvery: 5 }, 1_000);
    const later = live(control, { plainMs: 10, extraMs: 9.5, wrongEvery: 5 }, 1_000);
    expect(first).toBeGreaterThan(0);
    expect(first).toBeLessThan(30);
    expect(later).toBeLessThan(first);
  });

  test('stops where guesses are cheap and wrong', () => {
    const control = new Speculation({ mode: 'auto', most: 4 });
    live(control, { plainMs: 10, extraMs: 3, wrongEvery: 1 }, 300);
    expect(control.figures.active).toBe(false);
    expect(live(control, { plainMs: 10, extraMs: 3, wrongEvery: 1 }, 200)).toBeLessThan(10);
  });

  test('begins again when costs have changed', () => {
    const control = new Speculation({ mode: 'auto', most: 4 });
    live(control, { plainMs: 10, extraMs: 11, wrongEvery: 50 }, 200);
    expect(control.figures.active).toBe(false);
    live(control, { plainMs: 20, extraMs: 2, wrongEvery: 50 }, 3_000);
    expect(control.figures.active).toBe(true);
  });

  test('is not led astray by a step that the machine held up', () => {
    const control = new Speculation({ mode: 'auto', most: 4 });
    live(control, { plainMs: 10, extraMs: 2, wrongEvery: 20 }, 100);
    control.saw(guess(4, 4, 900));
    control.saw(plain(700));
    expect(control.wanted('lookup-4', 100)).toBeGreaterThan(0);
  });

  test('makes a shorter guess where others wait, and none where a plain step is long enough', () => {
    const control = new Speculation({ mode: 'auto', most: 8 });
    live(control, { plainMs: 20, extraMs: 5, wrongEvery: 50 }, 100);
    expect(control.wanted('lookup-4', 100)).toBe(8);
    expect(control.wanted('lookup-4', 100, 40)).toBe(4);
    expect(control.wanted('lookup-4', 100, 20)).toBe(0);
  });

  test('never guesses when it is off, and always when it is on', () => {
    expect(
      live(new Speculation({ mode: 'off', most: 4 }), { plainMs: 9, extraMs: 0, wrongEvery: 99 }, 50),
    ).toBe(0);
    expect(
      live(new Speculation({ mode: 'on', most: 4 }), { plainMs: 9, extraMs: 99, wrongEvery: 1 }, 50),
    ).toBe(50);
  });
});

test('a guess is what followed the longest run, and of several the latest', () => {
  const tokens = (...ids: number[]) => ids as never;
  expect(findRun(tokens(1, 2, 3, 4, 9, 2, 3))).toEqual({ length: 2, end: 3 });
  expect(findRun(tokens(1, 2, 3, 7, 0, 2, 3, 8, 5, 2, 3))).toEqual({ length: 2, end: 7 });
  expect(findRun(tokens(1, 2, 3, 7, 0, 2, 3, 8, 1, 2, 3))).toEqual({ length: 3, end: 3 });
  expect(findRun(tokens(5, 5, 5, 5))).toEqual({ length: 3, end: 3 });
  expect(findRun(tokens(1, 2, 3))).toBeUndefined();
  expect(findRun(tokens(7))).toBeUndefined();
});

describe('a draft model behind Triton', () => {
  const options: GenerateOptions = { maxTokens: 8, temperature: 0 };

  test('is asked for so many tokens where the model takes the number', () => {
    const inputs = (draftTokens: number, has: (name: string) => boolean) =>
      textInputs({ options, maxTokens: 8, seed: 1, text: 'Hello', has, draftTokens }).filter(
        ({ name }) => name === 'num_draft_tokens',
      );
    const [asked] = inputs(5, () => true);
    expect(asked).toMatchObject({ datatype: 'INT32', shape: [1, 1] });
    expect(asked!.data.readInt32LE()).toBe(5);
    expect(inputs(0, () => true)).toEqual([]);
    expect(inputs(5, (name) => name !== 'num_draft_tokens')).toEqual([]);
  });

  test('tells with the answer how much of it came true', () => {
    const take = (tensors: Tensor[]) => {
      const answer = new TextAnswer(true, { prompt: 3, options, maxTokens: 8, continues: false }, 1);
      const outputs = new Outputs({
        id: '1',
        parameters: {},
        outputs: tensors.map(({ name, datatype, shape }) => ({ name, datatype, shape })),
        raw_output_contents: tensors.map(({ data }) => data),
      });
      for (const _ of answer.take(outputs));
      return answer.guessed;
    };
    const text = bytes('text_output', ['A sword'], [1, 1]);
    const counts = (drafted: number, accepted: number) => [
      int32('total_draft_tokens', [drafted], [1, 1]),
      int32('total_accepted_draft_tokens', [accepted], [1, 1]),
    ];
    expect(take([text, ...counts(9, 4)])).toEqual({ drafted: 9, accepted: 4 });
    expect(take([text, ...counts(9, 40)])).toEqual({ drafted: 9, accepted: 9 });
    expect(take([text])).toBeUndefined();
  });
});

describe('the llama engine', () => {
  const model = join(readConfig().home, 'cache', 'models', defaultModelFile);
  const never = new AbortController().signal;
  /** One for all arms of a test: they begin with the same saved prefix. */
  const newHome = useHomes();

  async function llama(home: string, options: Partial<LlamaOptions>) {
    const steps: Step[] = [];
    const engine = await createLlamaEngine({
      home,
      model,
      adapter: 'none',
      threads: 1,
      contextTokens: 1024,
      concurrency: 4,
      sequences: 6,
      prefillChunkTokens: 16,
      onSpeculation: (step) => steps.push(step),
      ...options,
    });
    return { engine, steps, [Symbol.asyncDispose]: () => engine.close() };
  }

  const wares = 'sword shield dagger helmet hammer sickle kettle lantern hoe nail plough anvil chain'.split(
    ' ',
  );
  const facts = wares.slice(0, 6).map((ware, i) => `A ${ware} costs ${7 + 5 * i} gold.`);
  const asking = [
    (ware: string) => `What does a ${ware} cost?`,
    (ware: string) => `And a ${ware}?`,
    (ware: string) => `Praise the ${ware}.`,
    (ware: string) => `Have you a ${ware}?`,
    (ware: string) => `I need a ${ware}.`,
    (ware: string) => `Say: a ${ware} costs`,
    (ware: string) => `Why a ${ware}?`,
    (ware: string) => `Who made the ${ware}?`,
  ];
  const prompt = (player: string, npc = 'smith'): Prompt => ({
    npc,
    system: `You are Mira, the smith of Oakfell. ${facts.join(' ')}`,
    examples: [{ player: 'What does a bell cost?', npc: 'A bell costs 90 gold.' }],
    turns: [],
    player,
  });
  const hundred = wares.flatMap((ware) => asking.map((ask) => ask(ware))).slice(0, 100);
  const wareAndWord: AnswerSchema = {
    type: 'object',
    properties: { ware: { enum: wares }, word: { type: 'string', maxLength: 12 } },
  };

  const ask = (engine: Engine, words: string, options: Partial<GenerateOptions>) =>
    read(engine.generate(prompt(words), { maxTokens: 6, temperature: 0, ...options }, never));

  /** Asks one after the other, or so many at once. */
  async function answers(
    engine: Engine,
    asked: readonly string[],
    options: (i: number) => Partial<GenerateOptions>,
  ) {
    const said: string[] = [];
    for (const [i, words] of asked.entries()) {
      const { text, usage, reason } = await ask(engine, words, options(i));
      said.push(`${text} [${reason}, ${usage.completion}]`);
    }
    return said;
  }

  test('says the same to a hundred prompts at temperature 0, with penalties and grammars too', async () => {
    const home = await newHome();
    const options = (i: number): Partial<GenerateOptions> => {
      if (i % 10 === 3) return { schema: wareAndWord, maxTokens: 20 };
      return i % 3 === 0 ? { repeatPenalty: 1.3 } : i % 7 === 0 ? { stop: ['gold'] } : {};
    };
    await using plain = await llama(home, { speculation: 'off' });
    const expected = await answers(plain.engine, hundred, options);
    await using guessing = await llama(home, { speculation: 'on', speculationTokens: 3 });
    expect(await answers(guessing.engine, hundred, options)).toEqual(expected);
    expect(plain.steps).toEqual([]);
    const { accepted, drafted } = guessing.engine.stats().speculation!;
    expect(accepted).toBeGreaterThan(50);
    expect(drafted).toBeGreaterThan(accepted);
    // The other way round: streams that run at once, of an engine that goes on with what it has.
    const four = hundred.slice(0, 4);
    const options4 = { maxTokens: 20 };
    const alone = await answers(plain.engine, four, () => options4);
    const atOnce = await Promise.all(four.map((words) => ask(guessing.engine, words, options4)));
    expect(atOnce.map(({ text, usage, reason }) => `${text} [${reason}, ${usage.completion}]`)).toEqual(
      alone,
    );
  });

  test('draws the same words by the same seed', async () => {
    const home = await newHome();
    const asked = hundred.slice(0, 12);
    const options = (i: number): Partial<GenerateOptions> => ({
      temperature: 0.9,
      seed: 1_000 + i,
      ...(i % 2 === 0 && { repeatPenalty: 1.2 }),
    });
    await using plain = await llama(home, { speculation: 'off' });
    await using guessing = await llama(home, { speculation: 'on' });
    expect(await answers(guessing.engine, asked, options)).toEqual(
      await answers(plain.engine, asked, options),
    );
    expect(guessing.engine.stats().speculation!.accepted).toBeGreaterThan(5);
  });

  test('with an adapter, which computes otherwise in batches, guesses only what is drawn, by the same odds', async () => {
    const home = await newHome();
    const adapter = join(readConfig().npcs, 'adapters', 'oakfell.gguf');
    await using plain = await llama(home, { adapter, speculation: 'off' });
    await using guessing = await llama(home, { adapter, speculation: 'on', speculationTokens: 3 });
    const words = 'What does a shield cost?';
    expect((await ask(guessing.engine, words, {})).text).toBe((await ask(plain.engine, words, {})).text);
    expect(guessing.steps).toEqual([]);

    const draws = 70;
    const drawn = async (engine: Engine, firstSeed: number) => {
      const counts = new Map<string, number>();
      for (let i = 0; i < draws; i++) {
        const options = { temperature: 1.6, topK: 8, maxTokens: 5, seed: firstSeed + i };
        const { text } = await ask(engine, words, options);
        counts.set(text, (counts.get(text) ?? 0) + 1);
      }
      return counts;
    };
    const without = await drawn(plain.engine, 1);
    const withGuesses = await drawn(guessing.engine, 50_001);
    expect(guessing.engine.stats().speculation!.accepted).toBeGreaterThan(draws / 2);
    const { value, degrees } = chiSquare(without, withGuesses);
    expect(degrees).toBeGreaterThan(0);
    expect(value, JSON.stringify([[...without], [...withGuesses]])).toBeLessThan(oneInAThousand[degrees]!);
  });

  test('takes the guesses of a draft model, and tells what came of them', async () => {
    const home = await newHome();
    const register = createRegistry({});
    const metrics = createWorkerMetrics(register);
    const seen: Step[] = [];
    // Questions without a word of the facts, so that little can be looked up; the model itself is its own draft.
    const asked = ['Sing me a song about the sea.', 'Who was your grandmother?', 'What is beyond the hills?'];
    await using plain = await llama(home, { speculation: 'off' });
    await using guessing = await llama(home, {
      speculation: 'on',
      draftModel: model,
      onSpeculation: (step, speedUp) => {
        seen.push(step);
        metrics.onSpeculation(step, speedUp);
      },
    });
    const options = () => ({ maxTokens: 24 });
    expect(await answers(guessing.engine, asked, options)).toEqual(
      await answers(plain.engine, asked, options),
    );
    const byModel = seen.filter(({ kind, drafted }) => kind === 'model' && drafted > 0);
    const drafted = byModel.reduce((sum, step) => sum + step.drafted, 0);
    const accepted = byModel.reduce((sum, step) => sum + step.accepted, 0);
    expect(accepted / drafted).toBeGreaterThan(0.8);
    expect(await register.metrics()).toContain(
      `parley_worker_guessed_tokens_total{result="accepted",source="model"} ${accepted}`,
    );
  });

  test('says what is wrong with a draft model', async () => {
    const home = await newHome();
    const file = join(home, 'draft.gguf');
    const start = () => llama(home, { speculation: 'auto', draftModel: file });
    await expect(start()).rejects.toThrow(/draft model .*draft\.gguf cannot be used: .*PARLEY_DRAFT_MODEL/s);
    await writeFile(file, loraFile({ scale: 1 }));
    await expect(start()).rejects.toThrow(/PARLEY_DRAFT_MODEL/);
    await writeFile(file, await readFile(model).then((bytes) => renamedToken(bytes)));
    await expect(start()).rejects.toThrow(/token \d+ is ".*" in its vocabulary/);
  });
});

/** The model's file with one letter of one token changed: the same size of vocabulary, another vocabulary. */
function renamedToken(bytes: Buffer): Buffer {
  const at = bytes.indexOf('grandmother');
  if (at < 0) throw new Error('the model has no such token');
  bytes.write('G', at);
  return bytes;
}

/** The 0.999 quantiles of chi-square by degrees of freedom. */
const oneInAThousand = [
  0, 10.83, 13.82, 16.27, 18.47, 20.52, 22.46, 24.32, 26.12, 27.88, 29.59, 31.26, 32.91,
];

/** Of two samples; what is rare in both together counts as one. */
function chiSquare(a: ReadonlyMap<string, number>, b: ReadonlyMap<string, number>) {
  const all = [...new Set([...a.keys(), ...b.keys()])].map(
    (key) => [a.get(key) ?? 0, b.get(key) ?? 0] as const,
  );
  const common = all.filter(([x, y]) => x + y >= 10);
  const rare = all.filter(([x, y]) => x + y < 10);
  const rest = rare.reduce(([x, y], [dx, dy]) => [x + dx, y + dy] as const, [0, 0] as const);
  const cells = rest[0] + rest[1] > 0 ? [...common, rest] : common;
  const [sumA, sumB] = [cells.reduce((s, [x]) => s + x, 0), cells.reduce((s, [, y]) => s + y, 0)];
  let value = 0;
  for (const [x, y] of cells) {
    const expectedX = ((x + y) * sumA) / (sumA + sumB);
    const expectedY = ((x + y) * sumB) / (sumA + sumB);
    value += (x - expectedX) ** 2 / expectedX + (y - expectedY) ** 2 / expectedY;
  }
  return { value, degrees: cells.length - 1 };
}
