// Long conversations: when their beginning is dropped, the model has read what is left before the player speaks again.

import { expect, test } from 'vitest';
import type { End } from '../bus/protocol.ts';
import { sumMetric, useStack } from './helpers/stack.ts';

const stack = useStack({ env: { PARLEY_HISTORY_TOKENS: '260' } });

test('the words of a player are all that is left to read, also where the history was cut', async () => {
  const client = await stack.join();
  const { metricsPort } = stack.local.workers[0]!.listening;
  const counted = async (labels = '') => {
    const text = await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text();
    return sumMetric(text, 'parley_worker_read_ahead_total', labels);
  };
  const said = [
    'hello there',
    'what costs a sword',
    'and a shield',
    'who is tam',
    'where is he',
    'who bakes bread',
  ];
  const usages: End['usage'][] = [];
  for (let s = 1; s <= 14; s++) {
    client.send({ t: 'say', s, npc: 'mira', text: said[s % said.length]! });
    const { usage } = (await client.terminal(s)) as End;
    usages.push(usage);
    while ((await counted()) < s);
  }
  expect(await counted('result="read"')).toBeGreaterThan(0);
  expect(await counted('result="failed"')).toBe(0);
  // A turn of this game is some forty tokens, and what a conversation may take is six of them.
  for (const { prompt, cached } of usages.slice(1)) expect(prompt - cached).toBeLessThan(70);
  expect(Math.max(...usages.map(({ prompt }) => prompt))).toBeLessThan(usages[0]!.prompt + 350);
});
