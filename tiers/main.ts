// The worker's table of contents: reads the configuration, starts the engine that it names, listens on the bus,
// stops in reverse. Whoever adds an engine adds a case to `startEngine`.

import type { Config } from '../runtime/config.ts';
import { readConfigOrExit } from '../runtime/config.ts';
import type { Log } from '../runtime/log.ts';
import type { WorkerMetrics } from '../runtime/metrics.ts';
import type { Engine } from './engine.ts';
import { createTritonEngine, tritonOptions } from './gold/triton-engine.ts';
import { createLlamaEngine } from './llama-engine.ts';
import { runWorker } from './run-worker.ts';

const config = readConfigOrExit();

function startEngine(log: Log, { engine }: Config, metrics: WorkerMetrics): Promise<Engine> {
  switch (engine) {
    case 'llama':
      return createLlamaEngine({
        ...config,
        log,
        onAdapter: metrics.onAdapter,
        onSpeculation: metrics.onSpeculation,
      });
    case 'triton':
      return createTritonEngine({
        ...tritonOptions(config),
        log,
        ...metrics.triton,
        onSpeculation: metrics.onSpeculation,
      });
  }
}

await runWorker(config, startEngine);
