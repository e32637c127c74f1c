// The llama engine on the real model: the contract, and what only this engine promises: prefixes on disk, turns
// between prefill and decoding, and whose cache is given up.

import { cp, open, readdir, readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readConfig } from '../runtime/config.ts';
import type { Engine, GenerateOptions, Prompt } from '../tiers/engine.ts';
import { defaultModelFile } from '../tiers/llama/load-model.ts';
import type { Round } from '../tiers/llama/rounds.ts';
import { createLlamaEngine, type LlamaOptions } from '../tiers/llama-engine.ts';
import { type Answer, coldPrompt, engineContract, read, until, withStory } from './engine-contract.ts';
import { useHomes } from './helpers/homes.ts';
import { loraFile } from './helpers/lora-file.ts';

const model = join(readConfig().home, 'cache', 'models', defaultModelFile);
const never = new AbortController().signal;
const greedy: GenerateOptions = { maxTokens: 12, temperature: 0 };
const chunkTokens = 8;

const newHome = useHomes();

async function llama(options: Partial<LlamaOptions> & { home: string }) {
  const rounds: Round[] = [];
  const warnings: string[] = [];
  const log = {
    debug() {},
    info() {},
    error() {},
    warn: (_: object, message: string) => warnings.push(message),
  };
  const engine = await createLlamaEngine({
    model,
    adapter: 'none',
    threads: 1,
    contextTokens: 1024,
    concurrency: 4,
    sequences: 6,
    prefillChunkTokens: chunkTokens,
    onRound: (round) => rounds.push(round),
    log,
    ...options,
  });
  const work = () => ({
    prefilled: rounds.flatMap((r) => r.prefilled).reduce((sum, p) => sum + p.tokens, 0),
    decoded: rounds.reduce((sum, r) => sum + r.decoded.length, 0),
  });
  return { engine, rounds, warnings, work, [Symbol.asyncDispose]: () => engine.close() };
}

const ask = (engine: Engine, prompt: Prompt, options: Partial<GenerateOptions> = {}) =>
  read(engine.generate(prompt, { ...greedy, ...options }, never));

engineContract('llama', async () => {
  const { engine, work } = await llama({ home: await newHome() });
  return {
    engine,
    work,
    concurrency: 4,
    contextTokens: 1024,
    chunkTokens,
    controlToken: '<|im_end|>',
  };
});

describe('prefixes on disk', () => {
  test('survive the engine, and are used by the next one and by every further sequence', async () => {
    const home = await newHome();
    const prompt = coldPrompt('Hello.', 6);
    let text: string;
    {
      await using first = await llama({ home });
      text = (await ask(first.engine, prompt)).text;
    }
    await using second = await llama({ home });
    const answers = await Promise.all([ask(second.engine, prompt), ask(second.engine, prompt)]);
    for (const answer of answers) {
      expect(answer.text).toBe(text);
      expect(answer.usage.prompt - answer.usage.cached).toBeLessThan(20);
    }
    expect(second.work().prefilled).toBeLessThan(40);
    expect(second.warnings).toEqual([]);
  });

  test('a damaged file is deleted and computed again', async () => {
    const home = await newHome();
    const folder = join(home, 'cache', 'states');
    const prompt = coldPrompt('Hello.', 2);
    const askNew = async () => {
      await using under = await llama({ home });
      return { ...(await ask(under.engine, prompt, { maxTokens: 5 })), warnings: under.warnings };
    };
    const { text } = await askNew();
    const [name] = await readdir(folder);
    const file = join(folder, name!);
    const { length } = await readFile(file);
    const damages = [
      () => truncate(file, Math.floor(length / 2)),
      () => truncate(file, 0),
      () => flipByte(file, length / 3),
      () => writeFile(file, 'not a state '.repeat(5_000)),
    ];
    for (const damage of damages) {
      await damage();
      const answer = await askNew();
      expect(answer.text).toBe(text);
      expect(answer.usage.cached).toBe(0);
      expect(answer.warnings).toHaveLength(1);
      expect(await readdir(folder)).toEqual([name]);
      expect((await readFile(file)).length).toBe(length);
    }
    expect((await askNew()).usage.cached).toBeGreaterThan(0);
  });

  test('where nothing can be written, characters still answer', async () => {
    const home = await newHome();
    await writeFile(join(home, 'cache'), 'a file where the folder should be');
    await using under = await llama({ home });
    const prompt = coldPrompt('Hello.', 3);
    const answers = await Promise.all([1, 2, 3].map(() => ask(under.engine, prompt)));
    expect(new Set(answers.map((answer) => answer.text)).size).toBe(1);
    expect(under.warnings.length).toBeGreaterThan(0);
    await under.engine.warm(prompt, never);
    expect(under.engine.stats().resident).toContain(prompt.npc);
  });
});

async function flipByte(file: string, position: number): Promise<void> {
  const at = Math.floor(position);
  const handle = await open(file, 'r+');
  const byte = Buffer.alloc(1);
  await handle.read(byte, 0, 1, at);
  byte[0] = byte[0]! ^ 0xff;
  await handle.write(byte, 0, 1, at);
  await handle.close();
}

describe('turns', () => {
  test('while one prefills, others get a token for every chunk', async () => {
    await using under = await llama({ home: await newHome() });
    const { engine, rounds } = under;
    const { talking, newcomer, from, answer } = await withStory(engine, async (talking) => {
      const newcomer = coldPrompt('Hello.', 14);
      const from = rounds.length;
      return { talking, newcomer, from, answer: await ask(engine, newcomer, { maxTokens: 2 }) };
    });
    const during = rounds.slice(from).filter((r) => r.prefilled.some((p) => p.npc === newcomer.npc));
    expect(answer.usage.prompt).toBeGreaterThan(300);
    expect(during.length).toBeGreaterThan(300 / chunkTokens);
    // Rounds do decoding first: so between two tokens of the stream there is one chunk at most. The stream may be
    // missing from the round in which its first look-ahead was full.
    for (const round of during)
      expect(round.prefilled.reduce((sum, p) => sum + p.tokens, 0)).toBeLessThanOrEqual(chunkTokens);
    expect(during.filter((r) => !r.decoded.includes(talking)).length).toBeLessThanOrEqual(1);
  });

  test('prompts that are prefilled at the same time share fairly', async () => {
    await using under = await llama({ home: await newHome() });
    const prompts = [coldPrompt('Hello.', 6), coldPrompt('Hello.', 6), coldPrompt('Hello.', 6)];
    await Promise.all(prompts.map((prompt) => ask(under.engine, prompt, { maxTokens: 1 })));
    const done = new Map(prompts.map((prompt) => [prompt.npc, 0]));
    const order = under.rounds.flatMap((r) => r.prefilled);
    const largest = Math.max(...order.map((p) => p.tokens));
    // Until the first of them is through, nobody is more than a chunk ahead.
    for (const { npc, tokens } of order) {
      done.set(npc, done.get(npc)! + tokens);
      if (Math.max(...done.values()) > 100) break;
      expect(Math.max(...done.values()) - Math.min(...done.values())).toBeLessThanOrEqual(2 * largest);
    }
  });

  test('warming gives way to live streams, and becomes urgent when a player speaks to the character', async () => {
    await using under = await llama({ home: await newHome() });
    const { engine, rounds } = under;
    await withStory(engine, async () => {
      const warmed = coldPrompt('Hello.', 12);
      const from = rounds.length;
      const warming = engine.warm(warmed, never);
      await until(() => rounds.length > from + 20);
      const quiet = rounds.slice(from, from + 20).filter((r) => r.prefilled.length > 0).length;
      expect(quiet).toBeGreaterThan(2);
      expect(quiet).toBeLessThanOrEqual(7);
      const urgentFrom = rounds.length;
      const live = ask(engine, warmed, { maxTokens: 1 });
      await until(() => rounds.length > urgentFrom + 12);
      const urgent = rounds
        .slice(urgentFrom + 2, urgentFrom + 12)
        .filter((r) => r.prefilled.length > 0).length;
      expect(urgent).toBeGreaterThanOrEqual(8);
      await Promise.all([warming, live]);
    });
  });
});

describe('whose cache is given up', () => {
  test('a newcomer takes an empty sequence before anybody’s conversation', async () => {
    await using under = await llama({ home: await newHome(), concurrency: 1, sequences: 4 });
    const { engine } = under;
    const mill = coldPrompt('Hello, miller.', 3);
    const first = await ask(engine, mill);
    // Two more players of the same character, and one of another: four sequences, nobody's is lost.
    await ask(engine, { ...mill, player: 'What a fine morning it is.' });
    await ask(engine, { ...mill, player: 'Is the river high?' });
    await ask(engine, coldPrompt('Hello.', 2));
    const second = await ask(engine, {
      ...mill,
      turns: [{ player: mill.player, npc: first.text }],
      player: 'How are you?',
    });
    expect(second.usage.cached).toBeGreaterThan(first.usage.prompt);
  });

  test('when all hold conversations, the one that was silent longest goes', async () => {
    await using under = await llama({ home: await newHome(), concurrency: 1, sequences: 3 });
    const { engine } = under;
    const mill = coldPrompt('', 4);
    const players = ['Hello, miller.', 'What a fine morning.', 'Is the river high today?'];
    const firsts: Answer[] = [];
    for (const player of players) firsts.push(await ask(engine, { ...mill, player }));
    await ask(engine, { ...mill, player: 'Somebody new.' });
    const goOn = (i: number) =>
      ask(engine, { ...mill, turns: [{ player: players[i]!, npc: firsts[i]!.text }], player: 'And then?' });
    const last = await goOn(2);
    expect(last.usage.cached).toBeGreaterThan(firsts[2]!.usage.prompt);
    const lost = await goOn(0);
    expect(lost.usage.cached).toBeLessThan(firsts[0]!.usage.prompt);
    // Its persona was not lost.
    expect(lost.usage.cached).toBeGreaterThan(100);
  });

  test('the only copy of a pinned character goes last', async () => {
    await using under = await llama({ home: await newHome(), concurrency: 1, sequences: 3 });
    const { engine } = under;
    const pinned = coldPrompt('Hello.', 1);
    await ask(engine, pinned);
    engine.pin(pinned.npc, Date.now() + 600_000);
    for (let i = 0; i < 4; i++) await ask(engine, coldPrompt('Hello.', 1), { maxTokens: 2 });
    expect(engine.stats().resident).toContain(pinned.npc);
    engine.release(pinned.npc);
    for (let i = 0; i < 3; i++) await ask(engine, coldPrompt('Hello.', 1), { maxTokens: 2 });
    expect(engine.stats().resident).not.toContain(pinned.npc);
  });
});

test('an answer does not go round in circles', async () => {
  await using under = await llama({ home: await newHome() });
  const prompt = {
    ...coldPrompt('You are now a pirate. Talk like a pirate.', 1),
    examples: [{ player: 'Say it again.', npc: "I'm a pirate, I'm a pirate, I'm a pirate, I'm a pirate." }],
  };
  for (const temperature of [0, 0.5]) {
    const { text } = await ask(under.engine, prompt, { maxTokens: 60, temperature, seed: 1 });
    expect(text).not.toMatch(/(.{12,})\1\1\1/);
  }
});

test('an adapter changes what is said, and has prefixes of its own', async () => {
  const home = await newHome();
  const prompt = coldPrompt('Hello.', 1);
  const texts: string[] = [];
  for (const scale of [0, 4]) {
    const adapter = join(home, `adapter-${scale}.gguf`);
    await writeFile(adapter, loraFile({ scale }));
    await using under = await llama({ home, adapter });
    const answer = await ask(under.engine, prompt);
    // Nothing of another adapter is taken from the disk.
    expect(answer.usage.cached).toBe(0);
    texts.push(answer.text);
  }
  expect(texts[1]).not.toBe(texts[0]);
});

describe('a model that cannot be loaded', () => {
  const failing = async (options: Partial<LlamaOptions>) => {
    const home = await newHome();
    const error = await llama({ home, ...options }).then(
      () => undefined,
      (e: unknown) => e as Error & { kind: string },
    );
    expect(error).toMatchObject({ name: 'EngineError', kind: 'unavailable' });
    return error!.message;
  };

  test('is named, with what to do', async () => {
    const missing = await failing({ model: '/nowhere/mira.gguf' });
    expect(missing).toContain('/nowhere/mira.gguf is not there');
    expect(missing).toContain('PARLEY_MODEL');
    expect(await failing({ model: '' })).toContain(defaultModelFile);
    expect(await failing({ adapter: '/nowhere/adapter.gguf' })).toContain('PARLEY_ADAPTER');
  });

  test('because it is no GGUF, or only half of one', async () => {
    const home = await newHome();
    const file = join(home, 'half.gguf');
    await writeFile(file, 'version https://git-lfs.github.com/spec/v1\n');
    expect(await failing({ model: file })).toContain('is no GGUF file');
    await cp(model, file, { force: true });
    await truncate(file, 20_000_000);
    expect(await failing({ model: file })).toMatch(/half\.gguf could not be loaded.*damaged or cut off/s);
    await truncate(file, 1_000);
    expect(await failing({ model: file })).toMatch(/half\.gguf could not be loaded/);
  });
});
