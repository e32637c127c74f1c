// A player talks: the words come in order, in both encodings, and every stream ends with exactly one terminal frame.

import { describe, expect, test } from 'vitest';
import type { End } from '../bus/protocol.ts';
import { isTerminal } from './helpers/raw-client.ts';
import { useStack } from './helpers/stack.ts';

const stack = useStack({ env: { PARLEY_MAX_STREAMS: '3' } });

describe('say', () => {
  test.each(['json', 'msgpack'] as const)('streams an answer of the real model in %s', async (encoding) => {
    const client = await stack.join({ encoding });
    client.send({ t: 'say', s: 1, npc: 'mira', text: 'Hello!' });
    const end = (await client.terminal(1)) as End;
    expect(end).toMatchObject({ t: 'end', s: 1, tier: 'gold', source: 'live', attempts: 1 });
    expect(['stop', 'length']).toContain(end.reason);
    expect(client.text(1).trim()).not.toBe('');
    const toks = client.of(1).filter((m) => m.t === 'tok');
    expect(toks.length).toBeGreaterThan(1);
    expect(end.n).toBe(toks.length);
    expect(end.usage.completion).toBeGreaterThan(0);
    expect(client.of(1).filter(isTerminal)).toHaveLength(1);
  });

  test('both encodings carry the same messages', async () => {
    const [json, msgpack] = await Promise.all([
      stack.join({ encoding: 'json' }),
      stack.join({ encoding: 'msgpack' }),
    ]);
    for (const client of [json, msgpack]) client.send({ t: 'say', s: 1, npc: 'mira', topic: 'swords' });
    const ends = [await json.terminal(1), await msgpack.terminal(1)];
    expect(Object.keys(ends[0]!).sort()).toEqual(Object.keys(ends[1]!).sort());
    expect(json.text(1)).not.toBe('');
  });

  test('a topic says the words that the character declares', async () => {
    const client = await stack.join();
    client.send({ t: 'say', s: 1, npc: 'mira', topic: 'swords' });
    await client.terminal(1);
    expect(client.text(1)).toMatch(/30|thirty/i);
  });

  test('several characters answer one player at once', async () => {
    const client = await stack.join();
    const npcs = [
      ...new Set(
        ((await (await fetch(`${stack.local.http()}/v1/characters`)).json()) as { id: string }[]).map(
          (c) => c.id,
        ),
      ),
    ];
    expect(npcs.length).toBeGreaterThanOrEqual(3);
    npcs.slice(0, 3).forEach((npc, i) => {
      client.send({ t: 'say', s: i + 1, npc, text: 'Good morning.' });
    });
    for (let s = 1; s <= 3; s++) {
      expect(await client.terminal(s)).toMatchObject({ t: 'end', source: 'live' });
      expect(client.text(s)).not.toBe('');
    }
  });

  test('a known stream number is ignored, a lower unknown one is refused', async () => {
    const client = await stack.join();
    client.send({ t: 'say', s: 5, npc: 'mira', text: 'Hello', maxTokens: 4 });
    client.send({ t: 'say', s: 5, npc: 'mira', text: 'Hello again', maxTokens: 4 });
    client.send({ t: 'say', s: 4, npc: 'mira', text: 'Too late' });
    expect(await client.terminal(4)).toMatchObject({ t: 'err', code: 'out_of_order' });
    await client.terminal(5);
    client.send({ t: 'say', s: 5, npc: 'mira', text: 'Hello once more' });
    client.send({ t: 'ping' });
    await client.next('pong');
    expect(client.of(5).filter(isTerminal)).toHaveLength(1);
  });

  test('maxTokens ends with length', async () => {
    const client = await stack.join();
    client.send({ t: 'say', s: 1, npc: 'mira', text: 'Tell me of your brother.', maxTokens: 3 });
    expect(await client.terminal(1)).toMatchObject({ reason: 'length', usage: { completion: 3 } });
  });

  test('a budget that runs out ends with deadline, and the words until then stand', async () => {
    // A budget between the first word and the last one: where that is, another player's answer to the same words tells.
    const say = async (budgetMs?: number) => {
      const client = await stack.join();
      client.send({
        t: 'say',
        s: 1,
        npc: 'mira',
        text: 'You are now a pirate. Talk like a pirate.',
        maxTokens: 200,
        budgetMs,
      });
      return { client, end: (await client.terminal(1)) as End };
    };
    for (let tries = 0; tries < 20; tries++) {
      const { timings } = (await say()).end;
      const { client, end } = await say(Math.round((timings.firstMs + timings.totalMs) / 2));
      // On a busy machine the second one may be much slower, or quicker, than the first.
      if (end.reason !== 'deadline') continue;
      expect(end.source).toBe('live');
      expect(client.text(1)).not.toBe('');
      return;
    }
    throw new Error('no budget of twenty fell between the first word and the last');
  });

  test('a budget that allows nothing gives the authored line, marked as such', async () => {
    const client = await stack.join();
    client.send({ t: 'say', s: 1, npc: 'mira', text: 'Hello', budgetMs: 1 });
    expect(await client.terminal(1)).toMatchObject({
      t: 'end',
      source: 'authored',
      reason: 'stop',
      tier: 'none',
      n: 1,
    });
    expect(client.text(1)).not.toBe('');
  });
});

describe('refusals end their own stream and nothing else', () => {
  test.each([
    ['unknown_npc', { npc: 'nobody', text: 'Hello' }],
    ['unknown_topic', { npc: 'mira', topic: 'dragons' }],
    ['unknown_topic', { npc: 'mira', topic: '__proto__' }],
    ['text_too_long', { npc: 'mira', text: 'x'.repeat(2001) }],
    ['text_too_long', { npc: 'mira', text: 'x', context: 'x'.repeat(501) }],
    ['bad_message', { npc: 'mira' }],
    ['bad_message', { npc: 'mira', text: 'a', topic: 'swords' }],
    ['bad_message', { npc: 'mira', text: '  ' }],
    ['bad_message', { npc: 7, text: 'Hello' }],
    ['bad_message', { npc: 'mira', text: 'Hello', maxTokens: 0 }],
  ])('%s', async (code, say) => {
    const client = await stack.join();
    client.send({ t: 'say', s: 1, ...say });
    expect(await client.terminal(1)).toMatchObject({ t: 'err', s: 1, code });
    client.send({ t: 'say', s: 2, npc: 'mira', text: 'Hello', maxTokens: 2 });
    expect(await client.terminal(2)).toMatchObject({ t: 'end' });
  });

  test('too_many_streams', async () => {
    const client = await stack.join();
    for (let s = 1; s <= 4; s++)
      client.send({ t: 'say', s, npc: 'mira', text: 'Tell me a tale.', mode: 'alongside' });
    expect(await client.terminal(4)).toMatchObject({ t: 'err', code: 'too_many_streams' });
    for (let s = 1; s <= 3; s++) client.send({ t: 'cancel', s });
    for (let s = 1; s <= 3; s++) await client.terminal(s);
  });

  test('an unknown message, and those that this release does not serve', async () => {
    const client = await stack.join();
    client.send({ t: 'dance' });
    expect(await client.next('err')).toMatchObject({ code: 'unknown_type' });
    client.received.length = 0;
    client.send({ t: 'job', s: 9, kind: 'story', input: {} });
    expect(await client.terminal(9)).toMatchObject({ code: 'not_available' });
  });
});

describe('stopping', () => {
  test('cancel ends the stream with what was said', async () => {
    const client = await stack.join();
    client.send({ t: 'say', s: 1, npc: 'mira', text: 'Tell me a long tale of the mine.', maxTokens: 200 });
    await client.next('tok', 1);
    client.send({ t: 'cancel', s: 1 });
    expect(await client.terminal(1)).toMatchObject({ t: 'end', reason: 'cancelled', source: 'live' });
    client.send({ t: 'cancel', s: 1 });
    client.send({ t: 'cancel', s: 99 });
    client.send({ t: 'ping' });
    await client.next('pong');
    expect(client.of(1).filter(isTerminal)).toHaveLength(1);
  });

  test('a second say to the same character cancels the first, alongside does not', async () => {
    const client = await stack.join();
    client.send({ t: 'say', s: 1, npc: 'mira', text: 'Tell me a long tale of the mine.', maxTokens: 200 });
    await client.next('tok', 1);
    client.send({ t: 'say', s: 2, npc: 'mira', text: 'Stop. What is a shield?', maxTokens: 20 });
    expect(await client.terminal(1)).toMatchObject({ reason: 'cancelled' });
    client.send({ t: 'say', s: 3, npc: 'mira', text: 'And armour?', mode: 'alongside', maxTokens: 4 });
    expect(await client.terminal(2)).not.toMatchObject({ reason: 'cancelled' });
    expect(await client.terminal(3)).toMatchObject({ t: 'end' });
  });

  test.each([
    ['bye', (c: { send(m: object): void }) => c.send({ t: 'bye' })],
    ['a close with 1000', (c: { close(): void }) => c.close()],
  ])('%s stops the engine', async (_how, leave) => {
    const client = await stack.join();
    client.send({ t: 'say', s: 1, npc: 'mira', text: 'Tell me a long tale of the mine.', maxTokens: 250 });
    await client.next('tok', 1);
    const worker = stack.local.workers[0]!;
    const cancelled = () =>
      workerMetric(worker.listening.metricsPort!, 'parley_worker_streams_total', 'outcome="cancelled"');
    const before = await cancelled();
    leave(client as never);
    await client.until(() => client.closed !== undefined);
    while ((await cancelled()) === before) await new Promise((resolve) => setTimeout(resolve, 20));
    expect(await cancelled()).toBe(before + 1);
  });
});

async function workerMetric(port: number, name: string, labels: string): Promise<number> {
  const { sumMetric } = await import('./helpers/stack.ts');
  return sumMetric(await (await fetch(`http://127.0.0.1:${port}/metrics`)).text(), name, labels);
}
