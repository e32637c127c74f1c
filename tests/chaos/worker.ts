// A worker of a chaos run: the whole of tiers/ around the recorded engine. Its settings are not Parley's: `npm start`
// knows neither them nor this file.

import { createRecordedEngine } from '../../bench/recorded/recorded-engine.ts';
import { readConfigOrExit } from '../../runtime/config.ts';
import { runWorker } from '../../tiers/run-worker.ts';
import { chaosRecording } from './recording.ts';

const firstMs = 100;
// Far more streams than a setting of a real worker may ask for.
const concurrency = 4_096;
const config = { ...readConfigOrExit(), concurrency };
const { CHAOS_SPEED, CHAOS_MERGED } = process.env;

await runWorker(config, async () =>
  createRecordedEngine({
    recording: chaosRecording(Number(CHAOS_MERGED)),
    speed: Number(CHAOS_SPEED),
    endless: true,
    firstMs,
    concurrency,
    contextTokens: config.contextTokens,
  }),
);
