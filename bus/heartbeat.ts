// A worker's sign of life: what it carries, twice a second, and at once when something changed that routing must
// know. Listeners keep it in the directory.

import type { NatsConnection } from '@nats-io/nats-core';
import { encode } from './codec.ts';
import type { Beat } from './envelopes.ts';
import type { Subjects } from './subjects.ts';

export interface Heartbeat {
  /** Sends one now, out of turn. */
  beatNow(): void;
  stop(): void;
}

/** `read` is called for each beat and must be cheap. */
export function startHeartbeat({
  connection,
  subjects,
  beatMs,
  read,
}: {
  connection: NatsConnection;
  subjects: Subjects;
  beatMs: number;
  read: () => Omit<Beat, 'v' | 'seq'>;
}): Heartbeat {
  let seq = 0;
  const beatNow = () => {
    if (connection.isClosed()) return;
    const beat: Beat = { v: 1, seq: seq++, ...read() };
    connection.publish(subjects.beat(beat.tier, beat.worker), encode(beat, 'msgpack'));
  };
  beatNow();
  const timer = setInterval(beatNow, beatMs);
  return { beatNow, stop: () => clearInterval(timer) };
}
