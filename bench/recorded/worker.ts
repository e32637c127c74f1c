// A worker with the recorded engine: the entry file of load, kill and soak runs, named by benches and tests as
// `workerEntry` of the local stack. Its settings are not Parley's: `npm start` knows neither them nor this file.

import { readConfigOrExit } from '../../runtime/config.ts';
import { runWorker } from '../../tiers/run-worker.ts';
import { createRecordedEngine } from './recorded-engine.ts';

/** What a run sets, as environment of the worker. README.md says what each does. */
const { env } = process;
const number = (name: string, fallback: number): number => {
  const value = env[name] ? Number(env[name]) : fallback;
  if (Number.isFinite(value) && value >= 0) return value;
  process.stderr.write(`${name} must be a number from 0 on; it is ${env[name]}\n`);
  process.exit(2);
};
const options = {
  speed: number('RECORDED_SPEED', 1),
  seed: number('RECORDED_SEED', 0),
  endless: number('RECORDED_ENDLESS', 0) > 0,
  firstMs: env.RECORDED_FIRST_MS ? number('RECORDED_FIRST_MS', 0) : undefined,
  stamped: number('RECORDED_STAMPED', 0) > 0,
};
// Far more streams than a setting of a real worker may ask for.
const config = { ...readConfigOrExit(), concurrency: number('RECORDED_CONCURRENCY', 4_096) };

await runWorker(config, async () =>
  createRecordedEngine({
    ...options,
    concurrency: config.concurrency,
    contextTokens: config.contextTokens,
  }),
);
