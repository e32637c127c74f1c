// Runs one worker process around an engine: connections, characters, health, the worker itself, and the personas
// prefilled in the background. The engine is handed in, so that load runs can bring their own.

import { randomUUID } from 'node:crypto';
import { setTimeout } from 'node:timers/promises';
import { History } from '../bus/history.ts';
import { connectBus } from '../bus/nats.ts';
import { connectRedis, disconnectRedis } from '../bus/redis.ts';
import { readState } from '../bus/state.ts';
import { createKeys, createSubjects } from '../bus/subjects.ts';
import { openCharacters } from '../npcs/open-characters.ts';
import type { Config } from '../runtime/config.ts';
import { run } from '../runtime/lifecycle.ts';
import { createLog, type Log } from '../runtime/log.ts';
import { createRegistry, createWorkerMetrics, type WorkerMetrics } from '../runtime/metrics.ts';
import type { Engine } from './engine.ts';
import { startHealthServer } from './health-server.ts';
import { Recollection } from './recollection/recollection.ts';
import { VitalSigns } from './vital-signs.ts';
import { warmCharacters } from './warm.ts';
import { WarmAhead } from './warm-ahead.ts';
import { Worker } from './worker.ts';

const mostLearnMs = 5_000;

/** Resolves when the worker serves; from then on it runs until it is told to stop. */
export async function runWorker(
  config: Config,
  startEngine: (log: Log, config: Config, metrics: WorkerMetrics) => Promise<Engine>,
): Promise<void> {
  const id = config.id || `${config.tier}-${randomUUID().slice(0, 8)}`;
  const log = createLog(`worker ${id}`, config.logLevel);

  await run(log, async (life) => {
    const registry = createRegistry({ worker: id, tier: config.tier });
    const metrics = createWorkerMetrics(registry);
    const engine = life.add('engine', await startEngine(log, config, metrics), (e) => e.close());
    log.info({ engine: engine.name, model: engine.model }, 'engine ready');
    const vitalSigns = new VitalSigns({
      engine,
      hangMs: config.hangMs,
      log,
      onProbe: (result) => metrics.probes.inc({ result }),
      onReady: () => worker.readinessChanged(),
      onHang: (words) => {
        log.fatal({ detail: words }, 'the model hangs: this process ends, so that it is started again');
        // An orderly end would wait for the thread that hangs.
        process.kill(process.pid, 'SIGKILL');
      },
    });
    life.add('vital signs', vitalSigns, (v) => v.close());
    // Whoever hears a first beat may ask at once, so the model must have answered before.
    await vitalSigns.begin();

    const redis = life.add(
      'redis',
      await connectRedis({
        url: config.redisUrl,
        name: `worker-${id}`,
        log,
        onState: (up) => metrics.redis.set(Number(up)),
      }),
      disconnectRedis,
    );
    const bus = life.add(
      'nats',
      await connectBus({
        url: config.natsUrl,
        role: 'worker',
        id,
        log,
        onState: (up) => metrics.nats.set(Number(up)),
      }),
      (b) => b.close(),
    );
    const recollection = await Recollection.open({
      npcs: config.npcs,
      setting: config.recall,
      log,
      onRecall: (result) => metrics.recalls.inc({ result }),
    });
    if (recollection) life.add('encoder', recollection, (r) => r.close());
    const warm = new AbortController();
    const characters = life.add(
      'characters',
      await openCharacters(config.npcs, {
        log,
        metrics,
        onChange: (set) => {
          void recollection?.learn(set);
          void warmCharacters(engine, set, config, log, warm.signal);
        },
      }),
      (c) => c.stop(),
    );
    // A second, where the vectors lie beside the encoder; what is missing is encoded while streams run.
    await Promise.race([
      recollection?.learn(characters.current()),
      setTimeout(mostLearnMs, undefined, { ref: false }),
    ]);
    const keys = createKeys(config.prefix);
    const worker = new Worker({
      id,
      connection: bus.connection,
      subjects: createSubjects(config.prefix),
      engine,
      caughtUp: () => bus.connection.flush(),
      history: new History({
        redis,
        keys,
        turns: config.historyTurns,
        ttlS: config.historyTtlS,
      }),
      state: (of) => readState(redis, keys, of),
      characters: characters.current,
      game: characters.game,
      recollection,
      isReady: () => vitalSigns.notReady === undefined,
      tier: config.tier,
      contextTokens: config.contextTokens,
      historyTokens: config.historyTokens,
      ahead: new WarmAhead({ engine, metrics, log }),
      metrics,
      log,
      config,
    });
    const health = await startHealthServer({
      port: config.metricsPort,
      registry,
      notReady: () => [
        ...(bus.connected ? [] : ['nats']),
        ...(vitalSigns.notReady === undefined ? [] : ['engine']),
      ],
      hangs: () => vitalSigns.hangs,
    });
    vitalSigns.watch();
    life.add('health', health, (h) => h.close());
    life.add('warm-up', warm, (w) => w.abort());
    life.add('streams', worker, (w) => w.drain());
    await bus.connection.flush();
    log.info({ metricsPort: health.port }, 'serving');
    process.stdout.write(`${JSON.stringify({ event: 'listening', id, metricsPort: health.port })}\n`);
    void warmCharacters(engine, characters.current(), config, log, warm.signal);
  });
}
