// What every engine must do, as a suite that runs on any of them: `engineContract('llama', makeEngine)`. It asks
// in the words of tiers/engine.ts and looks at chunks, usage and counted work, never at the clock.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  type AnswerSchema,
  type Chunk,
  type Engine,
  EngineError,
  type GenerateOptions,
  type Prompt,
  type Usage,
} from '../tiers/engine.ts';

export interface EngineUnderTest {
  readonly engine: Engine;
  readonly concurrency: number;
  /** Longest prompt and answer together. */
  readonly contextTokens: number;
  /** Prompt tokens that are prefilled at a time while others decode. */
  readonly chunkTokens: number;
  /** A control token of the model, as text. */
  readonly controlToken: string;
  /** False where streams that run at once cannot use one prefix: each then computes it for itself. True when absent. */
  readonly sharesPrefixAtOnce?: boolean;
  /** Resolves when the model has ended what was aborted, where it hears of it later and each stream has its own cache. */
  readonly settled?: () => Promise<unknown>;
  /** Tokens of prompts and answers computed so far, where the engine can tell. */
  readonly work?: () => { readonly prefilled: number; readonly decoded: number };
}

export interface Answer {
  readonly text: string;
  readonly pieces: readonly string[];
  readonly tokens: number;
  readonly reason: 'stop' | 'length' | 'aborted';
  readonly usage: Usage;
  readonly confidence?: number;
}

const never = new AbortController().signal;
const greedy: GenerateOptions = { maxTokens: 20, temperature: 0 };
let personas = 0;

/** A prompt for a character that nobody has spoken to yet; `sentences` makes its persona longer. */
export function coldPrompt(player: string, sentences = 4): Prompt {
  personas++;
  const npc = `villager-${personas}`;
  const line = `Villager ${personas} keeps the old mill by the river and grinds the grain of the valley. `;
  return {
    npc,
    system: `You are villager ${personas}, a miller. You tell long stories. ${line.repeat(sentences)}`,
    examples: [{ player: 'Good day.', npc: 'Good day to you. The mill is busy and the river is high.' }],
    turns: [],
    player,
  };
}

/** Reads an answer to its end and checks the order of its chunks. */
export async function read(chunks: AsyncIterable<Chunk>, onPiece?: (count: number) => void): Promise<Answer> {
  const pieces: string[] = [];
  let tokens = 0;
  let last: Extract<Chunk, { type: 'done' }> | undefined;
  for await (const chunk of chunks) {
    if (last) throw new Error('a chunk came after `done`');
    if (chunk.type === 'done') {
      last = chunk;
      continue;
    }
    expect(chunk.text).not.toBe('');
    expect(chunk.text.isWellFormed()).toBe(true);
    expect(chunk.tokens).toBeGreaterThanOrEqual(0);
    pieces.push(chunk.text);
    tokens += chunk.tokens;
    onPiece?.(pieces.length);
  }
  if (!last) throw new Error('the answer ended without `done`');
  const { reason, usage, confidence } = last;
  expect(usage.cached).toBeLessThanOrEqual(usage.prompt);
  expect(tokens).toBeLessThanOrEqual(usage.completion);
  return { text: pieces.join(''), pieces, tokens, reason, usage, confidence };
}

/** Resolves as soon as `condition` holds; looks again every millisecond. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 1));
}

/** Does `work` while another player listens to a long story, told by the character that it is given. */
export async function withStory<T>(engine: Engine, work: (npc: string) => Promise<T>): Promise<T> {
  const prompt = coldPrompt('Tell me a very long story.');
  const abort = new AbortController();
  let said = 0;
  const story = read(
    engine.generate(prompt, { maxTokens: 400, temperature: 0.8, seed: 3 }, abort.signal),
    (count) => {
      said = count;
    },
  );
  await until(() => said > 2);
  try {
    return await work(prompt.npc);
  } finally {
    abort.abort();
    await story;
  }
}

export function engineContract(name: string, make: () => Promise<EngineUnderTest>): void {
  describe(`${name}: the contract of an engine`, () => {
    let under: EngineUnderTest;
    let engine: Engine;
    const ask = (prompt: Prompt, options: Partial<GenerateOptions> = {}, signal = never) =>
      read(engine.generate(prompt, { ...greedy, ...options }, signal));

    beforeAll(async () => {
      under = await make();
      engine = under.engine;
    });
    afterAll(() => engine?.close());

    test('streams text and ends with one `done`', async () => {
      const answer = await ask(coldPrompt('Tell me about the river.'));
      expect(answer.pieces.length).toBeGreaterThan(5);
      expect(answer.text).toBe(answer.text.trimStart());
      expect(answer.usage.prompt).toBeGreaterThan(50);
    });

    test('ends with `length` at maxTokens, after exactly so many tokens', async () => {
      const answer = await ask(coldPrompt('Tell me a very long story about the river.'), { maxTokens: 7 });
      expect(answer).toMatchObject({ reason: 'length', tokens: 7, usage: { completion: 7 } });
    });

    test('ends with `stop` at the end of a turn', async () => {
      const prompt = {
        ...coldPrompt('Yes or no?'),
        system: 'You answer yes.',
        examples: [
          { player: 'Is it day?', npc: 'Yes.' },
          { player: 'Is it warm?', npc: 'Yes.' },
        ],
      };
      const answer = await ask(prompt);
      expect(answer.reason).toBe('stop');
      expect(answer.text).toMatch(/^\S/);
    });

    test('says the same again at temperature 0, and from the cache', async () => {
      const prompt = coldPrompt('What do you grind?');
      const first = await ask(prompt);
      const second = await ask(prompt);
      expect(second.text).toBe(first.text);
      expect(second.usage.cached).toBeGreaterThan(first.usage.cached);
    });

    test('the seed decides what is said at a high temperature', async () => {
      const prompt = coldPrompt('Tell me something new.');
      const hot = { temperature: 1.2, topP: 1, topK: 200, minP: 0 };
      const one = await ask(prompt, { ...hot, seed: 1 });
      expect((await ask(prompt, { ...hot, seed: 1 })).text).toBe(one.text);
      expect((await ask(prompt, { ...hot, seed: 2 })).text).not.toBe(one.text);
    });

    test('a stop string ends the answer before it, wherever it is cut between tokens', async () => {
      const prompt = coldPrompt('Tell me about the mill.');
      const { text } = await ask(prompt);
      for (const at of [3, 9, 16]) {
        const stop = text.slice(at, at + 9);
        const answer = await ask(prompt, { stop: [stop] });
        expect(answer.text).toBe(text.slice(0, text.indexOf(stop)));
        expect(answer.reason).toBe('stop');
      }
    });

    test('what only looked like a stop string is said after all', async () => {
      const prompt = coldPrompt('Tell me about the mill.');
      const { text } = await ask(prompt);
      const answer = await ask(prompt, {
        stop: [`${text.slice(-4)}, but not like this`, `${text.slice(5, 9)}#`],
      });
      expect(answer.text).toBe(text);
    });

    test('every piece is whole Unicode', async () => {
      const prompt = {
        ...coldPrompt('🧙🏽‍♀️'),
        system: 'You answer with the same signs.',
        examples: ['🙂🙃', '日本語', '👩‍🚀🚀', 'żółć', '🧙🏽‍♀️🧙🏽‍♀️'].map((s) => ({
          player: s,
          npc: `${s} ${s} ${s}`,
        })),
      };
      const answer = await ask(prompt);
      expect(answer.text).toMatch(/[^\x20-\x7e]/);
      expect(answer.text).not.toContain('\ufffd');
    });

    test('control tokens and broken Unicode in the words of a player are only letters', async () => {
      const prompt = coldPrompt('');
      const plain = await ask({ ...prompt, player: 'x' }, { maxTokens: 1 });
      const hostile = await ask({ ...prompt, player: under.controlToken.repeat(20) }, { maxTokens: 1 });
      // As control tokens they would be one each.
      expect(hostile.usage.prompt - plain.usage.prompt).toBeGreaterThan(3 * 20);
      const broken = await ask({ ...prompt, player: '\ud800 \udfff \u0000 \u0007' }, { maxTokens: 4 });
      expect(broken.usage.completion).toBeGreaterThan(0);
    });

    test('a prompt that does not fit is refused, and the engine goes on', async () => {
      const long = { ...coldPrompt('grain '.repeat(2 * under.contextTokens)) };
      await expect(ask(long)).rejects.toMatchObject({ name: 'EngineError', kind: 'prompt_too_long' });
      expect((await ask(coldPrompt('Hello.'), { maxTokens: 2 })).tokens).toBe(2);
    });

    test('an answer that was begun elsewhere is continued', async () => {
      if (engine.continues === 'none') return;
      const prompt = coldPrompt('Tell me about the river.');
      // So short that no penalty for repeated words has begun to count.
      const { text } = await ask(prompt, { maxTokens: 10 });
      const cut = text.indexOf(' ', text.length / 2);
      const rest = await ask({ ...prompt, said: text.slice(0, cut) });
      expect(rest.text.slice(0, text.length - cut)).toBe(text.slice(cut));
      // The blank was said already; it does not come twice.
      const afterBlank = await ask({ ...prompt, said: text.slice(0, cut + 1) });
      expect(afterBlank.text.slice(0, text.length - cut - 1)).toBe(text.slice(cut + 1));
    });

    test('an answer with a schema is JSON of that form, and nothing else', async () => {
      const prompt = coldPrompt('What do you do now?');
      const schema: AnswerSchema = {
        oneOf: [
          { type: 'object', properties: { do: { const: 'say "hm\\"' }, loud: { type: 'boolean' } } },
          {
            type: 'object',
            properties: {
              do: { enum: ['grind', 'rest'] },
              to: { type: 'string', maxLength: 12 },
              times: { type: 'integer' },
              weight: { type: 'number' },
            },
          },
        ],
      };
      for (const options of [{}, { temperature: 1.5, topP: 1, topK: 1_000, seed: 5 }]) {
        const answer = await ask(prompt, { ...options, schema, maxTokens: 120 });
        expect(answer.usage.completion).toBeGreaterThan(0);
        if (engine.constrains === 'none') continue;
        expect(answer.reason).toBe('stop');
        const value = JSON.parse(answer.text);
        if (value.do === 'say "hm\\"') {
          expect(value).toEqual({ do: value.do, loud: expect.any(Boolean) });
        } else {
          expect(Object.keys(value)).toEqual(['do', 'to', 'times', 'weight']);
          expect(['grind', 'rest']).toContain(value.do);
          expect(value.to.length).toBeLessThanOrEqual(12);
          expect(value.times).toBe(Math.trunc(value.times));
          expect(value.weight).toEqual(expect.any(Number));
        }
        if (answer.confidence === undefined) continue;
        expect(answer.confidence).toBeGreaterThan(0);
        expect(answer.confidence).toBeLessThanOrEqual(1);
      }
      // What goes on from there is not held to it, and says nothing of how sure it was.
      const plain = await ask(prompt);
      expect(plain.confidence).toBeUndefined();
      expect(plain.text).not.toMatch(/^\{/);
    });

    test('an answer with a schema goes on from the speech before it', async () => {
      const prompt = coldPrompt('What do you grind?');
      const first = await ask(prompt);
      const schema: AnswerSchema = { type: 'object', properties: { do: { enum: ['grind', 'rest'] } } };
      const turns = [{ player: prompt.player, npc: first.text }];
      const second = await ask({ ...prompt, turns, player: 'What do you do?' }, { schema, maxTokens: 60 });
      expect(second.usage.cached).toBeGreaterThan(first.usage.prompt);
      expect(second.usage.completion).toBeLessThan(20);
    });

    test('a conversation goes on from its cache', async () => {
      const prompt = coldPrompt('What do you grind?');
      const first = await ask(prompt);
      const second = await ask({
        ...prompt,
        turns: [{ player: prompt.player, npc: first.text }],
        player: 'And who buys it?',
      });
      expect(second.usage.cached).toBeGreaterThan(first.usage.prompt);
    });

    test('warming makes the first request find the prefix', async () => {
      const prompt = coldPrompt('Hello.', 6);
      await engine.warm(prompt, never);
      expect(engine.stats().resident).toContain(prompt.npc);
      const answer = await ask(prompt, { maxTokens: 2 });
      expect(answer.usage.prompt - answer.usage.cached).toBeLessThan(30);
    });

    test('players who speak to a cold character at once prefill its persona once', async () => {
      const prompt = coldPrompt('', 8);
      const before = under.work?.().prefilled ?? 0;
      const questions = Array.from({ length: under.concurrency }, (_, i) => `Question ${i}: who are you?`);
      const answers = await Promise.all(questions.map((player) => ask({ ...prompt, player })));
      const computed = answers.reduce((sum, { usage }) => sum + usage.prompt - usage.cached, 0);
      const whole = answers[0]!.usage.prompt;
      if (under.sharesPrefixAtOnce !== false) expect(computed).toBeLessThan(whole + under.concurrency * 30);
      if (under.work) expect(under.work().prefilled - before).toBeLessThan(whole + under.concurrency * 30);
      // Nobody's words depend on who else is talking.
      for (const [i, player] of questions.entries()) {
        expect((await ask({ ...prompt, player })).text).toBe(answers[i]!.text);
      }
    });

    test('more requests than places wait for their turn and are all answered', async () => {
      const prompt = coldPrompt('Hello.');
      let most = 0;
      const answers = await Promise.all(
        Array.from({ length: under.concurrency + 3 }, () =>
          read(engine.generate(prompt, { ...greedy, maxTokens: 6 }, never), () => {
            most = Math.max(most, engine.stats().active);
          }),
        ),
      );
      expect(answers).toHaveLength(under.concurrency + 3);
      expect(most).toBe(under.concurrency);
      expect(engine.stats()).toMatchObject({ active: 0, concurrency: under.concurrency });
    });

    test('an abort while it decodes stops it within two tokens', async () => {
      const abort = new AbortController();
      const prompt = coldPrompt('Tell me a very long story.');
      let heard = 0;
      const answer = await read(
        engine.generate(prompt, { ...greedy, maxTokens: 200 }, abort.signal),
        (count) => {
          if (count !== 5) return;
          heard = under.work?.().decoded ?? 0;
          abort.abort();
        },
      );
      expect(answer.reason).toBe('aborted');
      expect(answer.usage.completion).toBeLessThanOrEqual(answer.pieces.length + 2);
      if (under.work) expect(under.work().decoded - heard).toBeLessThanOrEqual(2);
      await under.settled?.();
      // What was computed is good and stays.
      const again = await ask(prompt);
      expect(again.text.startsWith(answer.text)).toBe(true);
      expect(again.usage.prompt - again.usage.cached).toBeLessThanOrEqual(1);
    });

    test('an abort while it prefills stops it within one chunk', async () => {
      const { work } = under;
      if (!work) return;
      const prompt = coldPrompt('Hello.', 10);
      const abort = new AbortController();
      const prefilled: number[] = [];
      await withStory(engine, async () => {
        const before = work().prefilled;
        const running = ask(prompt, {}, abort.signal);
        await until(() => work().prefilled > before);
        prefilled.push(work().prefilled);
        abort.abort();
        const answer = await running;
        expect(answer).toMatchObject({ reason: 'aborted', text: '', usage: { completion: 0 } });
        expect(answer.usage.prompt).toBeGreaterThan(10 * under.chunkTokens);
      });
      expect(work().prefilled - prefilled[0]!).toBeLessThanOrEqual(under.chunkTokens);
      // The part that was computed is not lost, and right.
      const again = await ask(prompt);
      expect(work().prefilled - prefilled[0]!).toBeLessThan(again.usage.prompt);
      expect((await ask(prompt)).text).toBe(again.text);
    });

    test('an abort while it waits ends it at once, and nobody else', async () => {
      const prompt = coldPrompt('Tell me a long story.');
      const abort = new AbortController();
      const ended: string[] = [];
      const busy = Array.from({ length: under.concurrency }, () =>
        ask(prompt).then((answer) => ended.push(answer.reason)),
      );
      await until(() => engine.stats().active === under.concurrency);
      const waiting = ask(prompt, {}, abort.signal).then((answer) => {
        ended.push(answer.reason);
        return answer;
      });
      await new Promise((resolve) => setImmediate(resolve));
      abort.abort();
      expect((await waiting).usage.completion).toBe(0);
      await Promise.all(busy);
      expect(ended[0]).toBe('aborted');
      expect(ended.filter((reason) => reason === 'aborted')).toHaveLength(1);
    });

    test('a signal that is aborted already costs nothing', async () => {
      const before = under.work?.();
      const answer = await ask(coldPrompt('Hello.'), {}, AbortSignal.abort());
      expect(answer).toMatchObject({ reason: 'aborted', usage: { completion: 0, cached: 0 } });
      expect(under.work?.()).toEqual(before);
    });

    test('one of several who wait for a cold character gives up, the others go on', async () => {
      const prompt = coldPrompt('Hello.', 8);
      const abort = new AbortController();
      const before = under.work?.().prefilled ?? 0;
      const first = ask(prompt, {}, abort.signal);
      const second = ask({ ...prompt, player: 'Good evening.' });
      if (under.work) await until(() => under.work!().prefilled > before);
      abort.abort();
      expect((await first).reason).toBe('aborted');
      const answer = await second;
      expect(answer.reason).not.toBe('aborted');
      if (under.work) expect(under.work().prefilled - before).toBeLessThan(answer.usage.prompt + 40);
    });

    test('a reader who leaves frees the place', async () => {
      const prompt = coldPrompt('Tell me a very long story.');
      for await (const chunk of engine.generate(prompt, { ...greedy, maxTokens: 200 }, never)) {
        if (chunk.type === 'text') break;
      }
      expect(engine.stats().active).toBe(0);
      const decoded = under.work?.().decoded;
      await ask({ ...prompt, player: 'Hello.' }, { maxTokens: 3 });
      if (decoded !== undefined) expect(under.work!().decoded - decoded).toBeLessThanOrEqual(4);
    });

    test('a slow reader holds up nobody else and misses nothing', async () => {
      const prompt = coldPrompt('Tell me about the river.');
      const alone = await ask(prompt);
      const slow = engine.generate(prompt, greedy, never);
      const reading = slow[Symbol.asyncIterator]();
      const first = await reading.next();
      const others = await Promise.all([ask(prompt), ask(prompt)]);
      expect(others.map((answer) => answer.text)).toEqual([alone.text, alone.text]);
      const rest = await read({ [Symbol.asyncIterator]: () => reading });
      expect((first.value as { text: string }).text + rest.text).toBe(alone.text);
    });

    test('pins are leases', async () => {
      const prompt = coldPrompt('Hello.');
      await engine.warm(prompt, never);
      engine.pin(prompt.npc, Date.now() + 60_000);
      expect(engine.stats().pinned).toContain(prompt.npc);
      engine.pin(prompt.npc, Date.now() - 1);
      expect(engine.stats().pinned).not.toContain(prompt.npc);
      engine.pin(prompt.npc, Date.now() + 60_000);
      engine.release(prompt.npc);
      expect(engine.stats().pinned).not.toContain(prompt.npc);
    });

    test('measures itself, and names its model without a path', async () => {
      const stats = engine.stats();
      expect(stats.prefillMsPerToken).toBeGreaterThan(0);
      expect(stats.decodeMsPerToken).toBeGreaterThan(0);
      expect(engine.model).toMatch(/^[^/\\]+$/);
      await engine.health();
    });

    test('closing ends what runs with an error, never as a clean end', async () => {
      const prompt = coldPrompt('Tell me a very long story.');
      const running = engine.generate(prompt, { ...greedy, maxTokens: 200 }, never)[Symbol.asyncIterator]();
      await running.next();
      const waiting = expect(read({ [Symbol.asyncIterator]: () => running })).rejects.toMatchObject({
        kind: 'unavailable',
      });
      await engine.close();
      await waiting;
      await expect(ask(prompt)).rejects.toBeInstanceOf(EngineError);
      await expect(engine.health()).rejects.toMatchObject({ kind: 'unavailable' });
      await engine.close();
    });
  });
}
