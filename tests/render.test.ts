// What training reads of the authored exchanges: exactly what a running worker sends to its engine, every wording and row.

import { createInbox, type NatsConnection } from '@nats-io/transport-node';
import { Redis } from 'ioredis';
import { Registry } from 'prom-client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createRecordedEngine } from '../bench/recorded/recorded-engine.ts';
import { type RecordedAnswer, readRecording } from '../bench/recorded/recording.ts';
import { History } from '../bus/history.ts';
import { natsPermissions } from '../bus/permissions.ts';
import { readState } from '../bus/state.ts';
import { createKeys, createSubjects } from '../bus/subjects.ts';
import { loadCharacters } from '../npcs/characters.ts';
import { type Authored, readExchanges } from '../npcs/read-exchanges.ts';
import { readConfig } from '../runtime/config.ts';
import { createLog } from '../runtime/log.ts';
import { createWorkerMetrics } from '../runtime/metrics.ts';
import { connectTo } from '../scripts/stack/connect.ts';
import type { Engine, Prompt } from '../tiers/engine.ts';
import { Recollection } from '../tiers/recollection/recollection.ts';
import { WarmAhead } from '../tiers/warm-ahead.ts';
import { Worker } from '../tiers/worker.ts';
import { linesOf, recallsOf, render } from '../training/render.ts';
import { eventually } from './helpers/processes.ts';
import { isTerminal } from './helpers/raw-client.ts';
import { useStack } from './helpers/stack.ts';

const shipped = new URL('../npcs/', import.meta.url).pathname;
const set = await loadCharacters(shipped);

describe('what training reads', () => {
  const contextTokens = readConfig({}).contextTokens;
  const options = { ...set, contextTokens };
  let recollection: Recollection;
  /** Of training: what the worker has looked up already would be known to its own. */
  let another: Recollection;
  const stack = useStack({ gateways: 1, workers: 0 });
  const keys = createKeys('parley');
  let all: readonly Authored[];
  /** One of each form. */
  let chosen: readonly Authored[];
  let worker: Worker;
  let own: NatsConnection;
  let backend: NatsConnection;
  let redis: Redis;
  /** Writes what the game tells, as the gateway does for a backend. */
  let operator: Redis;
  let history: History;
  /** What the worker has sent to its engine. */
  const prompts: Prompt[] = [];

  /** The whole worker of tiers/, around an engine that says what the authors wrote. */
  beforeAll(async () => {
    all = (await readExchanges(shipped, set.characters)).all;
    recollection = (await Recollection.learnt({ npcs: shipped, setting: '' }, set.characters))!;
    another = (await Recollection.learnt({ npcs: shipped, setting: '' }, set.characters))!;
    // Before anybody is connected: it takes a while, and nobody is heard meanwhile.
    chosen = someOf(all);
    const recording = authoredAnswers(chosen);
    const { local } = stack;
    const id = 'told';
    const permissions = natsPermissions('worker', { prefix: 'parley', id, tier: 'gold' });
    own = await connectTo(await local.nats.addUser({ name: id, permissions }), `_INBOX_worker_${id}`);
    backend = await connectTo(local.natsUrl());
    redis = new Redis(local.redisUrl('worker'));
    operator = new Redis(local.redisUrl('gateway'));
    const config = { ...readConfig({}), concurrency: 8 };
    const metrics = createWorkerMetrics(new Registry());
    const log = createLog('test', 'silent');
    const engine = createRecordedEngine({ speed: 0, recording });
    const listening = new Proxy(engine, {
      get: (target, key) => {
        if (key === 'generate')
          return (...asked: Parameters<Engine['generate']>) => {
            prompts.push(asked[0]);
            return target.generate(...asked);
          };
        const value: unknown = Reflect.get(target, key);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
    history = new History({ redis, keys, turns: config.historyTurns, ttlS: config.historyTtlS });
    worker = new Worker({
      id,
      connection: own,
      subjects: createSubjects('parley'),
      engine: listening,
      caughtUp: () => own.flush(),
      history,
      state: (of) => readState(redis, keys, of),
      characters: () => set.characters,
      isReady: () => true,
      game: () => set.game,
      recollection,
      tier: 'gold',
      contextTokens,
      historyTokens: config.historyTokens,
      ahead: new WarmAhead({ engine, metrics, log }),
      metrics,
      log,
      config,
    });
    await own.flush();
  });
  afterAll(async () => {
    await worker?.drain();
    await recollection?.close();
    await another?.close();
    await own?.close();
    await backend?.close();
    redis?.disconnect();
    operator?.disconnect();
  });

  function someOf(exchanges: readonly Authored[]): readonly Authored[] {
    const one = (fits: (authored: Authored) => boolean) => {
      const found = exchanges.find(fits);
      expect(found).toBeDefined();
      return found!;
    };
    const forms = (authored: Authored) => render([authored], options).map(({ form }) => form);
    return [
      one(({ exchange: { kind, state } }) => kind === 'sum' && state?.gold !== undefined),
      one(({ exchange: { kind, state } }) => kind === 'dialogue' && state !== undefined),
      one(({ exchange: { kind, turns } }) => kind === 'dialogue' && turns!.length > 2),
      // "Who is he" brings up something else where nobody says by name who was spoken of.
      one(({ exchange: { id } }) => id === 'rosa-x142'),
      one(({ exchange: { kind, context } }) => kind !== 'think' && context !== undefined),
      one((authored) => forms(authored).includes('act')),
      one((authored) => forms(authored).includes('think')),
    ];
  }

  /** What the engine was asked while the worker answered this. */
  async function asked(request: object): Promise<readonly Prompt[]> {
    prompts.length = 0;
    const reply = createInbox();
    const answers = backend.subscribe(reply);
    backend.publish('parley.gold.generate', JSON.stringify(request), { reply });
    for await (const message of answers) if (isTerminal(message.json())) break;
    return [...prompts];
  }

  test('is what a worker sends: facts, state, scene, history and the question about acts', async () => {
    for (const { npc, exchange, rows } of chosen) {
      const player = `trainee-${exchange.id}`;
      const [row] = rows;
      const state = JSON.stringify(row!.state);
      await operator.hset(keys.state('player', player), { version: 1, facts: state });
      const sent: Prompt[] = [];
      const base = { npc, player, memory: true, context: row!.context };
      if (exchange.kind === 'think') sent.push(...(await asked({ ...base, mode: 'think' })));
      for (const [i, { wordings }] of row!.turns.entries()) {
        // A turn is written after its last frame.
        await eventually('the turn before', async () => (await history.read(player, npc)).length === i);
        sent.push(...(await asked({ ...base, text: wordings[0] })));
      }
      // The first conversation of the first row is what the worker was just asked.
      const first = [{ ...row!, turns: row!.turns.map((t) => ({ ...t, wordings: t.wordings.slice(0, 1) })) }];
      const one = { npc, exchange, rows: first, at: '' };
      const recalls = await recallsOf([one], another, set.characters);
      const rendered = render([one], { ...options, recalls });
      expect(rendered.length).toBeGreaterThan(0);
      expect(sent, exchange.id).toEqual(
        rendered.map(({ npc: who, system, examples, turns, player: words }) => ({
          npc: who,
          system,
          examples,
          turns,
          player: words,
        })),
      );
    }
  });

  test('is every wording and row once, in the same order and bytes each time', () => {
    const own = all.filter(({ npc }) => npc === 'mira');
    const examples = render(own, options);
    expect(linesOf(render(own, options))).toBe(linesOf(examples));
    expect(new Set(examples.map(({ id }) => id)).size).toBe(examples.length);
    const bought = examples.find(({ kind, player }) => kind === 'buy' && player.includes('gold, traveller.'));
    // The purse stands beside the price.
    expect(bought!.player).toMatch(/Fact: You have \d+ gold, traveller\.\nFact: ./);
    for (const { form, answer } of examples)
      if (form !== 'speech') expect(JSON.parse(answer)).toEqual({ do: expect.any(String) });
  });

  /** A recording in which every character answers as its authors wrote. */
  function authoredAnswers(exchanges: readonly Authored[]) {
    const recording = readRecording();
    const answers = new Map<string, RecordedAnswer>();
    for (const example of render(exchanges, options).filter(({ form }) => form === 'speech')) {
      const player = example.player.split('\n', 1)[0]!;
      const pieces = [[example.answer, 0, 8]] as const;
      answers.set(JSON.stringify([example.npc, player, example.turns.length]), {
        npc: example.npc,
        player,
        pieces,
      });
    }
    return {
      ...recording,
      answersTo: (npc: string, player: string) => {
        const own = [0, 1, 2, 3].map((turns) => answers.get(JSON.stringify([npc, player, turns])));
        return own.filter((answer) => answer !== undefined).slice(-1);
      },
    };
  }
});
