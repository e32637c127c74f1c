// A worker dies in mid-sentence: another one goes on, the player reads one text, the history has the same.

import { Redis } from 'ioredis';
import { describe, expect, test } from 'vitest';
import { History, type HistoryTurn } from '../bus/history.ts';
import type { End, Err } from '../bus/protocol.ts';
import { createKeys } from '../bus/subjects.ts';
import { isTerminal } from './helpers/raw-client.ts';
import { sumMetric, TestStack } from './helpers/stack.ts';

const tale = { npc: 'mira', text: 'Tell me a long tale of the mine and of your brother.', maxTokens: 80 };

async function withStack(
  workers: number,
  run: (stack: TestStack, history: History) => Promise<void>,
  env = {},
): Promise<void> {
  const stack = new TestStack();
  await stack.start({ workers, env });
  const redis = new Redis(stack.local.redisUrl('worker'));
  try {
    await run(stack, new History({ redis, keys: createKeys('parley'), turns: 10, ttlS: 60 }));
  } finally {
    redis.disconnect();
    await stack.stop();
  }
}

/** The worker that decodes now. */
async function busy(stack: TestStack) {
  for (;;) {
    for (const worker of stack.local.workers) {
      const text = await (await fetch(`http://127.0.0.1:${worker.listening.metricsPort}/metrics`)).text();
      if (sumMetric(text, 'parley_worker_requests_total', 'result="accepted"') > 0) return worker;
    }
  }
}

async function committed(history: History, player: string): Promise<HistoryTurn> {
  for (;;) {
    const [turn] = await history.read(player, 'mira');
    if (turn) return turn;
  }
}

describe('with another worker', () => {
  test('a killed worker: the other one continues, n goes on, one turn is committed', async () => {
    await withStack(2, async (stack, history) => {
      const player = stack.newPlayer();
      const client = await stack.join({ player });
      client.send({ t: 'say', s: 1, ...tale });
      await client.until(() => client.of(1).length >= 4);
      process.kill((await busy(stack)).pid!, 'SIGKILL');
      const end = (await client.terminal(1)) as End;
      expect(end).toMatchObject({ t: 'end', source: 'live', attempts: 2 });
      expect(client.of(1).filter(isTerminal)).toHaveLength(1);
      expect((await committed(history, player)).npc).toBe(client.text(1));
      expect(await stack.metric('parley_gateway_fail_overs_total')).toBe(1);
    });
  });

  test('a frozen worker: the other one continues, and what the frozen one says when it wakes is not heard', async () => {
    await withStack(
      2,
      async (stack, history) => {
        const player = stack.newPlayer();
        const client = await stack.join({ player });
        client.send({ t: 'say', s: 1, ...tale });
        await client.until(() => client.of(1).length >= 4);
        const frozen = await busy(stack);
        process.kill(frozen.pid!, 'SIGSTOP');
        const end = (await client.terminal(1)) as End;
        process.kill(frozen.pid!, 'SIGCONT');
        expect(end).toMatchObject({ t: 'end', attempts: 2 });
        const turn = await committed(history, player);
        expect(turn.npc).toBe(client.text(1));
        // It wakes, hears that it was given up, and neither speaks nor commits.
        client.send({ t: 'say', s: 2, npc: 'bram', text: 'Hello', maxTokens: 5 });
        await client.terminal(2);
        expect(client.of(1).filter(isTerminal)).toHaveLength(1);
        expect((await history.read(player, 'mira')).map((t) => t.npc)).toEqual([turn.npc]);
      },
      { PARLEY_STALL_MS: '700' },
    );
  });

  test('a worker that is told to stop lets its streams finish and takes no new ones', async () => {
    await withStack(2, async (stack) => {
      const client = await stack.join();
      client.send({ t: 'say', s: 1, ...tale, maxTokens: 40 });
      await client.next('tok', 1);
      const leaving = await busy(stack);
      const stopped = leaving.stop();
      client.send({ t: 'say', s: 2, ...tale, maxTokens: 5, mode: 'alongside' });
      expect(await client.terminal(1)).toMatchObject({ t: 'end', attempts: 1 });
      expect(await client.terminal(2)).toMatchObject({ t: 'end', source: 'live' });
      await stopped;
    });
  });
});

describe('without another worker', () => {
  test('after the first piece the stream is lost, honestly, and remembered as far as it was read', async () => {
    await withStack(1, async (stack, history) => {
      const player = stack.newPlayer();
      const client = await stack.join({ player });
      client.send({ t: 'say', s: 1, ...tale });
      await client.until(() => client.of(1).length >= 4);
      process.kill(stack.local.workers[0]!.pid!, 'SIGKILL');
      expect((await client.terminal(1)) as Err).toMatchObject({ t: 'err', code: 'lost', partial: true });
      expect(await committed(history, player)).toMatchObject({ npc: client.text(1), reason: 'lost' });
    });
  });

  test('before the first piece it is the authored line', async () => {
    await withStack(1, async (stack) => {
      const client = await stack.join();
      const [worker] = stack.local.workers;
      process.kill(worker!.pid!, 'SIGSTOP');
      client.send({ t: 'say', s: 1, ...tale });
      expect(await client.terminal(1)).toMatchObject({ t: 'end', source: 'authored' });
      process.kill(worker!.pid!, 'SIGKILL');
    });
  });
});
