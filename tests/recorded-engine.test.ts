// The recorded engine, which load and kill runs lean on: it keeps the contract of every engine, its answers are the
// same wherever they are made, it is cheap for thousands of streams at once, and no player can ever get it.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { createRecordedEngine, type RecordedOptions } from '../bench/recorded/recorded-engine.ts';
import { readRecording } from '../bench/recorded/recording.ts';
import { nowMicros, readStamp } from '../bench/recorded/stamp.ts';
import { repository } from '../scripts/stack/servers.ts';
import type { GenerateOptions, Prompt } from '../tiers/engine.ts';
import { type Answer, engineContract, read } from './engine-contract.ts';

const recording = readRecording();
const never = new AbortController().signal;

engineContract('recorded', async () => ({
  engine: createRecordedEngine({ recording, speed: 10, concurrency: 3 }),
  concurrency: 3,
  contextTokens: 2_048,
  chunkTokens: 8,
  controlToken: '<|im_end|>',
}));

function prompt(npc: string, player: string, said?: string): Prompt {
  return { npc, system: `You are ${npc}.`, examples: [], turns: [], player, said };
}

async function ask(
  options: Partial<RecordedOptions>,
  asked: Prompt,
  generate: Partial<GenerateOptions> = {},
  signal = never,
): Promise<Answer> {
  const engine = createRecordedEngine({ recording, speed: 0, ...options });
  return read(engine.generate(asked, { maxTokens: 1_000, temperature: 0, ...generate }, signal));
}

describe('what it says', () => {
  const told = recording.answersTo('storyteller', '')[0]!;

  test('is what the model said to these words', async () => {
    const answer = await ask({}, prompt('storyteller', told.player));
    expect(answer.pieces).toEqual(told.pieces.map(([text]) => text));
    expect(answer.reason).toBe('stop');
    expect(answer.usage.completion).toBe(told.pieces.reduce((sum, [, , tokens]) => sum + tokens, 0));
  });

  test('is decided by the words and the seed alone', async () => {
    const asked = prompt('nobody', 'Have you seen a cat?');
    const answer = await ask({}, asked);
    const elsewhere = { ...asked, turns: [{ player: 'Hello.', npc: 'Hello.' }] };
    expect((await ask({}, elsewhere)).text).toBe(answer.text);
    const seeds = await Promise.all([1, 2, 3, 4].map((seed) => ask({ seed }, asked)));
    expect(new Set(seeds.map(({ text }) => text)).size).toBeGreaterThan(1);
    const words = await Promise.all([1, 2, 3, 4].map((i) => ask({}, prompt('nobody', `And ${i} dogs?`))));
    expect(new Set(words.map(({ text }) => text)).size).toBeGreaterThan(1);
  });

  test('goes on byte for byte from any point, also in the middle of a piece', async () => {
    const asked = prompt('nobody', 'Go on.');
    for (const options of [{}, { endless: true }]) {
      const { text } = await ask(options, asked, { maxTokens: 300 });
      for (let cut = 0; cut <= text.length; cut += 7) {
        const rest = await ask(options, { ...asked, said: text.slice(0, cut) }, { maxTokens: 300 });
        expect(rest.text.startsWith(text.slice(cut))).toBe(true);
        if (!('endless' in options)) expect(rest.text).toBe(text.slice(cut));
      }
    }
  });

  test('follows words of somebody else too', async () => {
    const { text } = await ask({}, prompt('nobody', 'Go on.', 'These words were never recorded'));
    expect(text).toMatch(/^ \S/);
  });

  test('has no end where none is wanted', async () => {
    const answer = await ask({ endless: true }, prompt('nobody', 'Go on.'), { maxTokens: 2_000 });
    expect(answer).toMatchObject({ reason: 'length', usage: { completion: 2_000 } });
  });
});

describe('when it says it', () => {
  const { player, pieces } = recording.answersTo('storyteller', '')[1]!;
  const recordedMs = pieces.reduce((sum, [, ms]) => sum + ms, 0);

  test('keeps the recorded rhythm, sped up', async () => {
    const engine = createRecordedEngine({ recording, speed: 5 });
    await engine.warm(prompt('storyteller', ''), never);
    const startedAt = performance.now();
    const at: number[] = [];
    await read(
      engine.generate(prompt('storyteller', player), { maxTokens: 1_000, temperature: 0 }, never),
      () => at.push(performance.now() - startedAt),
    );
    // Never early; how late depends on what else the machine does.
    let due = 0;
    for (const [i, [, ms]] of pieces.entries()) {
      due += ms / 5;
      expect(at[i]).toBeGreaterThan(due - 2);
    }
    expect(at.at(-1)).toBeLessThan((recordedMs / 5) * 3 + 1_000);
    expect(engine.stats().decodeMsPerToken).toBeGreaterThan(0);
  });

  test('a cancel is heard between two pieces of a slow stream, and by no other stream', async () => {
    const engine = createRecordedEngine({ recording, speed: 0.001, firstMs: 0 });
    const options = { maxTokens: 1_000, temperature: 0 };
    const abort = new AbortController();
    const stopped = read(engine.generate(prompt('storyteller', player), options, abort.signal), () =>
      // Its next piece would come in minutes.
      setTimeout(() => abort.abort(), 10),
    );
    expect(await stopped).toMatchObject({ reason: 'aborted', usage: { completion: 1 } });
    expect(engine.stats().active).toBe(0);
    await engine.close();
  });

  test('serves thousands of streams at once, all alike, with room for everything else', async () => {
    const streams = 2_000;
    const tokens = 50;
    const engine = createRecordedEngine({ recording, speed: 0, concurrency: streams, endless: true });
    const counts = new Uint16Array(streams);
    let spread = 0;
    let turns = 0;
    const timer = setInterval(() => turns++, 1);
    const cpuBefore = process.cpuUsage();
    await Promise.all(
      Array.from({ length: streams }, async (_, i) => {
        const chunks = engine.generate(
          prompt('nobody', `${i}`),
          { maxTokens: tokens, temperature: 0 },
          never,
        );
        for await (const chunk of chunks) {
          if (chunk.type === 'text') counts[i]! += chunk.tokens;
          if (i === 0) spread = Math.max(spread, Math.max(...counts) - Math.min(...counts));
        }
      }),
    );
    clearInterval(timer);
    const { user, system } = process.cpuUsage(cpuBefore);
    expect(Math.min(...counts)).toBe(tokens);
    expect(spread).toBeLessThanOrEqual(8);
    expect(turns).toBeGreaterThan(10);
    // About 2 us on the machine where this was written; far above it something is wrong.
    expect((user + system) / (streams * tokens)).toBeLessThan(40);
    await engine.close();
  });

  test('stamps say when a piece was taken', async () => {
    const before = nowMicros();
    const answer = await ask({ stamped: true, endless: true }, prompt('nobody', 'Go on.'), { maxTokens: 9 });
    const stamps = answer.pieces.map((piece) => readStamp(Buffer.from(piece), piece.length));
    expect(stamps).toHaveLength(9);
    expect([...stamps].sort((a, b) => a - b)).toEqual(stamps);
    expect(stamps[0]).toBeGreaterThanOrEqual(before - 1);
    expect(stamps[8]).toBeLessThanOrEqual(nowMicros() + 1);
  });
});

test('nothing that a player can reach imports it', () => {
  const rooms = readdirSync(repository, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.'))
    .map(({ name }) => name)
    .filter((name) => !['node_modules', 'bench', 'tests', 'coverage'].includes(name));
  expect(rooms).toContain('tiers');
  for (const room of rooms) {
    for (const file of readdirSync(join(repository, room), { recursive: true, encoding: 'utf8' })) {
      if (!/\.m?ts$/.test(file)) continue;
      // Load and kill runs that are called by name, as a bench is.
      if (room === 'scripts' && ['chaos.ts', 'soak.ts'].includes(file)) continue;
      const text = readFileSync(join(repository, room, file), 'utf8');
      expect(/from '[^']*bench\//.test(text), `${room}/${file} imports from bench/`).toBe(false);
    }
  }
});
