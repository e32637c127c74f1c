// A worker of a chaos run: the recorded engine, without the long pauses of the recording (before the first word of
// each answer), so that every silence that a player hears is the fault's and not the model's.

import { createRecordedEngine } from '../../bench/recorded/recorded-engine.ts';
import { type RecordedPiece, readRecording } from '../../bench/recorded/recording.ts';
import { readConfigOrExit } from '../../runtime/config.ts';
import { runWorker } from '../../tiers/run-worker.ts';

/** In the time of the recording, where a word takes ten. */
const longestPauseMs = 15;
const firstMs = 100;

const concurrency = 4_096;
const config = { ...readConfigOrExit(), concurrency };
const recorded = readRecording();
const even = ([text, ms, tokens]: RecordedPiece): RecordedPiece => [
  text,
  Math.min(ms, longestPauseMs),
  tokens,
];

await runWorker(config, async () =>
  createRecordedEngine({
    recording: {
      ...recorded,
      answersTo: (npc, player) =>
        recorded.answersTo(npc, player).map((answer) => ({ ...answer, pieces: answer.pieces.map(even) })),
    },
    speed: Number(process.env.CHAOS_SPEED),
    endless: true,
    firstMs,
    concurrency,
    contextTokens: config.contextTokens,
  }),
);
