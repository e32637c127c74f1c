// What a worker adds to a token over the engine alone: from the moment when the engine gives a piece to the moment when a
// backend has its frame, less what a message of that size takes over the same nats-server at the same moment.

import { setTimeout as sleep } from 'node:timers/promises';
import { createInbox, type NatsConnection } from '@nats-io/transport-node';
import { connectTo } from '../../scripts/stack/connect.ts';
import { startStack } from '../../scripts/stack/local-stack.ts';
import { percentile } from '../loop/frames.ts';
import { nowMicros, stamp, stampLength } from '../recorded/stamp.ts';

export interface WorkerCost {
  readonly pieces: number;
  readonly engineToBackendP50Ms: number;
  readonly messageP50Ms: number;
  readonly addedP50Ms: number;
  readonly addedP95Ms: number;
}

const stamped = new RegExp(`\\d{${stampLength}}`);

/** Runs a stack of one worker with the real model; `answers` characters' answers one after the other. */
export async function workerCost(answers: number, tokens: number): Promise<WorkerCost> {
  await using stack = await startStack({
    ephemeral: true,
    gateways: 0,
    workers: 1,
    workerEntry: 'bench/gold/stamping-worker.ts',
    env: { PARLEY_ADAPTER: 'none', PARLEY_NPCS: 'bench/relay/npcs' },
  });
  const backend = await connectTo(stack.natsUrl());
  const other = await connectTo(stack.natsUrl());
  try {
    const bare: number[] = [];
    const mirror = 'parley.player.bench.observed';
    backend.subscribe(mirror, {
      callback: (_error, { data }) =>
        void bare.push(nowMicros() - Number(Buffer.from(data).toString().slice(0, stampLength))),
    });
    await backend.flush();
    const under: number[] = [];
    for (let i = 0; i < answers; i++) under.push(...(await answer(backend, other, mirror, i, tokens)));
    await other.flush();
    await backend.flush();
    const ms = (values: readonly number[], share: number) => percentile(values, share) / 1_000;
    return {
      pieces: under.length,
      engineToBackendP50Ms: ms(under, 0.5),
      messageP50Ms: ms(bare, 0.5),
      addedP50Ms: ms(under, 0.5) - ms(bare, 0.5),
      addedP95Ms: ms(under, 0.95) - ms(bare, 0.95),
    };
  } finally {
    await backend.close();
    await other.close();
  }
}

/** Microseconds that each piece of one answer was under way. After each, a message of its size goes the bare way. */
async function answer(
  backend: NatsConnection,
  other: NatsConnection,
  mirror: string,
  seed: number,
  tokens: number,
): Promise<number[]> {
  const inbox = createInbox();
  const took: number[] = [];
  const mirrored: Promise<void>[] = [];
  const ended = new Promise<void>((resolve, reject) => {
    const subscription = backend.subscribe(inbox, {
      callback: (error, { data }) => {
        const now = nowMicros();
        if (error) return reject(error);
        const text = Buffer.from(data).toString();
        const found = stamped.exec(text);
        if (found) {
          took.push(now - Number(found[0]));
          // Not at once: its own reading would still be under way.
          mirrored.push(sleep(3).then(() => other.publish(mirror, stamp().padEnd(data.length))));
        }
        if (!/"t":"(end|err)"/.test(text)) return;
        subscription.unsubscribe();
        if (text.includes('"t":"err"')) reject(new Error(`the worker answers ${text}`));
        else resolve();
      },
    });
  });
  const request = { npc: 'crier', player: `p${seed}`, text: 'Tell me a very long story.', maxTokens: tokens };
  backend.publish('parley.gold.generate', JSON.stringify(request), { reply: inbox });
  await ended;
  await Promise.all(mirrored);
  return took;
}
