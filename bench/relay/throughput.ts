// Frames a second and CPU a frame, from the worker's publishing to the sockets: every player asks, the worker answers
// all of them as fast as it can, and the time until the last frame is taken. The burst is bounded, so that neither
// NATS nor a socket ever holds more than it may.

import { setTimeout as sleep } from 'node:timers/promises';
import { cpuMs } from './process-figures.ts';
import type { Arm, Play } from './stage.ts';

/** Long enough for two thousand questions to be asked and accepted. */
export const unthrottled: Play = { speed: 0, firstMs: 2_500 };
const askedMs = 2_000;

export interface Burst {
  readonly framesPerSecond: number;
  readonly cpuUsPerFrame: number;
}

let s = 0;

/** One burst of `pieces` to each socket of the arm. Rejects when a frame is missing. */
export async function burst({ name, server, crowd }: Arm, sockets: number, pieces: number): Promise<Burst> {
  const said = crowd.say({ s: ++s, maxTokens: pieces, spreadMs: 0 });
  // Asking is no part of it: until the first piece the process is at rest.
  await sleep(askedMs);
  const before = cpuMs(server.pid!);
  const heard = await said;
  const used = cpuMs(server.pid!) - before;
  const due = sockets * (pieces + 1);
  if (heard.frames !== due) throw new Error(`${name}: ${heard.frames} frames instead of ${due}`);
  if (heard.firstMs < askedMs) throw new Error(`${name}: the first frame came before the measuring began`);
  return { framesPerSecond: (heard.frames / heard.ms) * 1_000, cpuUsPerFrame: (used * 1_000) / heard.frames };
}
