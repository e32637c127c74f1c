// Who is there: the workers by their heartbeats. A worker that misses three beats is suspect and gets nothing
// new; after ten it is forgotten. Gateways and the predictor read it; nobody asks NATS on the request path.

import type { NatsConnection } from '@nats-io/nats-core';
import type { Log } from '../runtime/log.ts';
import { type Beat, readBeat } from './envelopes.ts';
import type { Subjects, Tier } from './subjects.ts';

export interface WorkerEntry {
  readonly id: string;
  readonly tier: Tier;
  beat: Beat;
  /** Monotonic milliseconds of the last beat. */
  lastBeatAt: number;
}

const suspectAfterBeats = 3;
const forgetAfterBeats = 10;

export class WorkerDirectory {
  private readonly workers = new Map<string, WorkerEntry>();
  private readonly beatMs: number;
  /** Workers that have not been heard since the connection was lost. */
  private readonly awaited = new Set<string>();
  private readonly onHeardAgain: (tier: Tier, worker: string) => void;

  constructor({
    connection,
    subjects,
    beatMs,
    log,
    onHeardAgain = () => {},
  }: {
    connection: NatsConnection;
    subjects: Subjects;
    beatMs: number;
    log: Log;
    /** Told of a worker's first beat after `awaitAll`. */
    onHeardAgain?: (tier: Tier, worker: string) => void;
  }) {
    this.beatMs = beatMs;
    this.onHeardAgain = onHeardAgain;
    connection.subscribe(subjects.beats, {
      callback: (error, message) => {
        if (error) return log.error({ err: error }, 'heartbeats cannot be heard');
        try {
          const from = subjects.parseBeat(message.subject);
          const beat = readBeat(message.data);
          // The subject is what the worker's NATS user may publish to; the payload is what it says.
          if (from && from.worker === beat.worker && from.tier === beat.tier) this.heard(beat);
        } catch (cause) {
          log.warn({ err: cause, subject: message.subject }, 'a heartbeat that cannot be read');
        }
      },
    });
  }

  /** Workers of a tier that may get new work: fresh beats and not draining. */
  available(tier: Tier): WorkerEntry[] {
    const now = performance.now();
    const found: WorkerEntry[] = [];
    for (const worker of this.workers.values()) {
      if (worker.tier === tier && !worker.beat.draining && !this.late(worker, now, suspectAfterBeats)) {
        found.push(worker);
      }
    }
    return found;
  }

  /** Whether a worker has missed so many beats that its streams are in danger, or was never heard. */
  suspect(tier: Tier, id: string): boolean {
    const worker = this.workers.get(`${tier} ${id}`);
    return !worker || this.late(worker, performance.now(), suspectAfterBeats);
  }

  /**
   * The connection was away: says of each known worker when it is heard again, and of each of `others`, who may have
   * been forgotten meanwhile.
   */
  awaitAll(others: Iterable<{ tier: Tier; worker: string }>): void {
    for (const key of this.workers.keys()) this.awaited.add(key);
    for (const { tier, worker } of others) this.awaited.add(`${tier} ${worker}`);
  }

  /** Drops who has not been heard for ten beats. Called now and then by the owner's sweep. */
  forgetOld(): void {
    const now = performance.now();
    for (const [key, worker] of this.workers) {
      if (this.late(worker, now, forgetAfterBeats)) this.workers.delete(key);
    }
  }

  private heard(beat: Beat): void {
    const key = `${beat.tier} ${beat.worker}`;
    const known = this.workers.get(key);
    if (known) {
      known.beat = beat;
      known.lastBeatAt = performance.now();
    } else this.workers.set(key, { id: beat.worker, tier: beat.tier, beat, lastBeatAt: performance.now() });
    if (this.awaited.delete(key)) this.onHeardAgain(beat.tier, beat.worker);
  }

  private late(worker: WorkerEntry, now: number, beats: number): boolean {
    return now - worker.lastBeatAt > beats * this.beatMs;
  }
}
