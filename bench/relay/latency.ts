// What a token takes from its publishing to its socket, at a steady load: the recorded rhythm, sped up to the rate that
// is asked for. Taken in the middle of the answers, when all of them run.

import { readRecording, storyteller } from '../recorded/recording.ts';
import type { Arm, Play } from './stage.ts';

const firstMs = 500;
/** The questions are spread, so that the answers do not march in step. */
const spreadMs = 1_000;
const settleMs = 500;
/** Answers are longer than the window by so much, since no two have the same rhythm. */
const slackMs = 1_000;

export interface Latency {
  readonly framesPerSecond: number;
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly p99Ms: number;
}

/** The recorded rhythm at so many pieces a second and stream. */
export function paced(piecesPerSecond: number): Play {
  // The crier was not recorded, so it is the storyteller who speaks.
  const pieces = readRecording()
    .answersTo(storyteller, '')
    .flatMap((answer) => answer.pieces);
  const recordedMs = pieces.reduce((sum, [, ms]) => sum + ms, 0) / pieces.length;
  return { speed: (recordedMs * piecesPerSecond) / 1_000, firstMs };
}

let s = 1_000_000;

/** One run of so many pieces a second on each socket of the arm, measured for `windowMs`. */
export async function latency({ crowd }: Arm, piecesPerSecond: number, windowMs: number): Promise<Latency> {
  const from = firstMs + spreadMs + settleMs;
  const lastsMs = settleMs + spreadMs + windowMs + slackMs;
  const heard = await crowd.say({
    s: ++s,
    maxTokens: Math.ceil((piecesPerSecond * lastsMs) / 1_000),
    spreadMs,
    window: [from, from + windowMs],
  });
  const { p50Ms, p95Ms, p99Ms, windowFrames } = heard;
  return { framesPerSecond: (windowFrames / windowMs) * 1_000, p50Ms, p95Ms, p99Ms };
}
