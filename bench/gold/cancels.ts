// How soon a cancel reaches the model through Triton, for a stream that runs alone: from the abort until the model itself
// counts the request as cancelled.

import { percentile } from '../loop/frames.ts';
import type { Arms } from './arms.ts';
import { ask, stranger } from './ask.ts';

const counted = /^parley_local_model_requests_total\{[^}]*outcome="cancelled"[^}]*\} (\S+)$/m;
const givenUpMs = 10_000;

export interface Cancels {
  readonly count: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** Cancels a story in its fifth piece, again and again. Rejects when the model goes on. */
export async function cancels(
  { engine, server }: NonNullable<Arms['triton']>,
  count: number,
): Promise<Cancels> {
  const cancelled = async () => Number(counted.exec(await (await fetch(server.metricsUrl)).text())?.[1] ?? 0);
  const prompt = { ...stranger(), player: 'Tell me a very long story.' };
  const took: number[] = [];
  for (let i = 0; i < count; i++) {
    const before = await cancelled();
    const abort = new AbortController();
    let began = 0;
    await ask(engine, prompt, { maxTokens: 400, temperature: 0.8, seed: i }, abort.signal, (pieces) => {
      if (pieces !== 5) return;
      began = performance.now();
      abort.abort();
    });
    if (began === 0) continue; // it was short
    while ((await cancelled()) === before) {
      if (performance.now() - began > givenUpMs) throw new Error('the model goes on with what was cancelled');
    }
    took.push(performance.now() - began);
  }
  return { count: took.length, p50Ms: percentile(took, 0.5), p99Ms: percentile(took, 0.99) };
}
