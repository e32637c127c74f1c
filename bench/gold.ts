// The Gold tier on the real model: cold and warm first words, tokens with several characters at once, hit rate against pin
// budget, speculation, what Triton and what the worker add, and how soon a cancel is heard. Ratios of one run, arms in turns.

import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { repository } from '../scripts/stack/servers.ts';
import { startArms, threads } from './gold/arms.ts';
import { cancels } from './gold/cancels.ts';
import { guessing } from './gold/guessing.ts';
import { firstWords, together, tritonAdds } from './gold/latency.ts';
import { asSvg, asText, atHalf, hitRates } from './gold/pins.ts';
import { workerCost } from './gold/worker-cost.ts';

const parts = ['first', 'together', 'triton', 'cancel', 'pins', 'speculation', 'worker'] as const;
const { quick, part } = parseArgs({
  options: { quick: { type: 'boolean', default: false }, part: { type: 'string' } },
}).values;
if (part !== undefined && !parts.some((name) => name === part)) {
  process.stderr.write(`There is no part ${part}. There are: ${parts.join(', ')}\n`);
  process.exit(2);
}

const say = (line: string) => void process.stderr.write(`${line}\n`);
const round = (value: number | undefined, digits = 3) =>
  value === undefined || !Number.isFinite(value) ? null : Number(value.toFixed(digits));
const ms = (value: number) => `${value.toFixed(1)} ms`.padStart(10);
const runs = async <T>(name: (typeof parts)[number], work: () => Promise<T>): Promise<T | undefined> => {
  if (part !== undefined && part !== name) return undefined;
  const began = performance.now();
  const result = await work();
  say(`(${name}: ${((performance.now() - began) / 1_000).toFixed(0)} s)`);
  return result;
};

await using arms = await startArms(say);
const { llama, triton } = arms;
const engines = triton ? [llama, triton.engine] : [llama];

const first = await runs('first', async () => {
  const found = await firstWords(engines, quick ? 3 : 9);
  say('\nFirst words to a character that nobody has spoken to, and to the next player');
  for (const { engine, promptTokens, coldMs, warmMs, warmToCold } of found)
    say(
      `  ${engine.padEnd(7)} ${promptTokens} tokens  cold ${ms(coldMs)}  warm ${ms(warmMs)}  warm/cold ${warmToCold.toFixed(3)}`,
    );
  return found;
});

const tokens = await runs('together', async () => {
  const found = await together(engines, quick ? 1 : 4, quick ? 16 : 32);
  say('\nMilliseconds a token with so many characters at once');
  for (const { engine, characters, p50Ms, p95Ms, toAlone } of found)
    say(
      `  ${engine.padEnd(7)} ${characters}  p50 ${ms(p50Ms)}  p95 ${ms(p95Ms)}  of one alone ${toAlone.toFixed(2)}`,
    );
  return found;
});

const adds =
  triton &&
  (await runs('triton', async () => {
    const found = await tritonAdds(triton, quick ? 5 : 15, quick ? 16 : 32);
    say('\nWhat Triton and its client add to the same llama.cpp asked by HTTP');
    say(
      `  first token ${ms(found.tritonFirstMs)} beside ${ms(found.httpFirstMs)}, others ${ms(found.tritonTokenMs)} beside ${ms(found.httpTokenMs)}`,
    );
    return found;
  }));

const cancelled =
  triton &&
  (await runs('cancel', async () => {
    const found = await cancels(triton, quick ? 20 : 100);
    say(
      `\nA cancel is counted by the model after ${ms(found.p50Ms)} (p50), ${ms(found.p99Ms)} (p99 of ${found.count})`,
    );
    return found;
  }));

const points = await runs('pins', async () => {
  const found = await hitRates(arms, quick ? [5, 12] : [4, 6, 8, 11, 14], quick ? 60 : 90);
  say('\nPrefix in memory when a player speaks, by the part of 12 characters that leases may hold');
  say(asText(found));
  const folder = join(repository, 'artifacts', 'gold');
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'hit-rate.svg'), asSvg(found));
  say(`  drawn in ${join('artifacts', 'gold', 'hit-rate.svg')}`);
  return found;
});

const guessed = await runs('speculation', async () => {
  const found = await guessing(arms, quick ? 2 : 6);
  say(`\nSpeculation over ${found.questions} questions to villagers`);
  say(
    `  always ${found.onSpeedUp.toFixed(2)} times as fast, where it pays ${found.autoSpeedUp.toFixed(2)}; accepted ${(100 * found.acceptance).toFixed(0)} % of the guesses`,
  );
  say(`  a guess takes ${ms(found.draftMs)}; ${found.different} answers differ`);
  return found;
});

const cost = await runs('worker', async () => {
  const found = await workerCost(quick ? 4 : 12, 100);
  say('\nFrom the engine to a backend, and a bare message of that size');
  say(
    `  p50 ${found.engineToBackendP50Ms.toFixed(3)} and ${found.messageP50Ms.toFixed(3)} ms, of ${found.pieces} pieces: the worker adds ${found.addedP50Ms.toFixed(3)} ms`,
  );
  return found;
});

const alone = (engine: string) => tokens?.find((row) => row.engine === engine && row.characters === 1);
const words = (engine: string) => first?.find((row) => row.engine === engine);
const figures = {
  bench: 'gold',
  engine: llama.name,
  model: llama.model,
  threads,
  coldTtftMs: round(words('llama')?.coldMs, 1),
  warmTtftMs: round(words('llama')?.warmMs, 1),
  warmToCold: round(words('llama')?.warmToCold),
  msPerTokenP50: round(alone('llama')?.p50Ms, 2),
  msPerTokenP95: round(alone('llama')?.p95Ms, 2),
  hitRate: round(points && atHalf(points)),
  leasedEvictions: points?.reduce((sum, { pinned }) => sum + pinned.evicted.leased, 0) ?? null,
  workerAddedP50Ms: round(cost?.addedP50Ms),
  cancelP99Ms: round(cancelled?.p99Ms, 1),
  speculationSpeedup: round(guessed?.autoSpeedUp),
  acceptance: round(guessed?.acceptance),
  differentAnswers: guessed?.different ?? null,
  together:
    tokens?.map(({ engine, characters, p50Ms, toAlone }) => [
      engine,
      characters,
      round(p50Ms, 2),
      round(toAlone, 2),
    ]) ?? null,
  triton: triton
    ? {
        coldTtftMs: round(words('triton')?.coldMs, 1),
        warmTtftMs: round(words('triton')?.warmMs, 1),
        msPerTokenP50: round(alone('triton')?.p50Ms, 2),
        msPerTokenP95: round(alone('triton')?.p95Ms, 2),
        addedFirstMs: round(adds?.addedFirstMs, 2),
        addedTokenMs: round(adds?.addedTokenMs, 2),
      }
    : null,
};
process.stdout.write(`${JSON.stringify(figures)}\n`);
