// Keeps an eye on the workers that have streams of ours: a worker that misses beats is probed, and when the probe
// finds nobody its streams go elsewhere at once. One that neither beats nor answers may be frozen or only slow:
// its streams go elsewhere when they have been silent for too long. Attempts fence off whoever wakes up.

import { errors, type NatsConnection } from '@nats-io/nats-core';
import { encode } from '../bus/codec.ts';
import type { WorkerDirectory } from '../bus/directory.ts';
import type { Subjects, Tier } from '../bus/subjects.ts';
import type { Config } from '../runtime/config.ts';
import type { Log } from '../runtime/log.ts';
import type { GatewayMetrics } from '../runtime/metrics.ts';
import type { Placement } from './placement.ts';
import type { Stream } from './stream.ts';

const probeMs = 750;
/** After our own reconnect, workers have this long to come back too before silence means anything. */
const reconnectGraceMs = 5_000;

interface Suspect {
  probing: boolean;
  /** Monotonic ms since when no probe was answered; 0 while one is. */
  unansweredSince: number;
  /** How far each stream had come when it was last looked at, and since when. */
  readonly progress: Map<Stream, { seen: number; since: number }>;
}

export class Watch {
  private readonly suspects = new Map<string, Suspect>();
  private graceUntil = 0;
  private readonly parts: {
    connection: NatsConnection;
    connected: () => boolean;
    subjects: Subjects;
    directory: WorkerDirectory;
    placement: Placement;
    metrics: GatewayMetrics;
    log: Log;
    config: Pick<Config, 'stallMs'>;
  };

  constructor(parts: Watch['parts']) {
    this.parts = parts;
  }

  /** NATS is back: frames may be missing, and each worker's streams are asked for again when it is heard. */
  reconnected(): void {
    this.graceUntil = performance.now() + reconnectGraceMs;
    this.suspects.clear();
    const owners = [...this.parts.placement.running].flatMap(({ tier, worker }) =>
      worker ? { tier, worker } : [],
    );
    this.parts.directory.awaitAll(owners);
  }

  /** A worker's first beat since then. */
  heardAgain(tier: Tier, worker: string): void {
    for (const stream of this.of(tier, worker)) {
      if (stream.state === 'running') void this.parts.placement.attach(stream, stream.seen);
    }
  }

  /** Looks at every worker that has streams. Called about once a beat. */
  sweep(): void {
    const { connected, directory, placement } = this.parts;
    const now = performance.now();
    if (!connected() || now < this.graceUntil) return;
    const seen = new Set<string>();
    for (const { tier, worker, state } of placement.running) {
      if (worker === undefined || state === 'placing') continue;
      const key = `${tier} ${worker}`;
      if (seen.has(key)) continue;
      seen.add(key);
      if (directory.suspect(tier, worker)) this.look(key, tier, worker, now);
      else this.suspects.delete(key);
    }
    for (const key of this.suspects.keys()) if (!seen.has(key)) this.suspects.delete(key);
  }

  private look(key: string, tier: Tier, worker: string, now: number): void {
    let suspect = this.suspects.get(key);
    if (!suspect) {
      suspect = { probing: false, unansweredSince: 0, progress: new Map() };
      this.suspects.set(key, suspect);
    }
    if (!suspect.probing) void this.probe(suspect, tier, worker);
    if (suspect.unansweredSince === 0) return;
    for (const stream of this.of(tier, worker)) {
      const before = suspect.progress.get(stream);
      if (before?.seen !== stream.seen) {
        suspect.progress.set(stream, { seen: stream.seen, since: before ? now : suspect.unansweredSince });
      } else if (now - before.since >= this.parts.config.stallMs || stream.seen === 0) {
        this.parts.placement.moveOn(stream);
      } else this.parts.placement.askAgain(stream);
    }
  }

  private async probe(suspect: Suspect, tier: Tier, worker: string): Promise<void> {
    const { connection, subjects, metrics, log, placement } = this.parts;
    suspect.probing = true;
    try {
      const probe = encode({ v: 1, op: 'probe' }, 'msgpack');
      await connection.request(subjects.workerControl(tier, worker), probe, { timeout: probeMs });
      suspect.unansweredSince = 0;
      metrics.probes.inc({ result: 'alive' });
    } catch (error) {
      if (isNoResponders(error)) {
        metrics.probes.inc({ result: 'gone' });
        const streams = this.of(tier, worker);
        log.warn({ tier, worker, streams: streams.length }, 'a worker is gone; its streams go elsewhere');
        for (const stream of streams) placement.moveOn(stream);
      } else {
        metrics.probes.inc({ result: 'silent' });
        if (suspect.unansweredSince === 0) suspect.unansweredSince = performance.now() - probeMs;
      }
    } finally {
      suspect.probing = false;
    }
  }

  private of(tier: Tier, worker: string): Stream[] {
    return [...this.parts.placement.running].filter(
      (s) => s.tier === tier && s.worker === worker && s.state !== 'placing',
    );
  }
}

function isNoResponders(error: unknown): boolean {
  return (
    error instanceof errors.NoRespondersError ||
    (error instanceof errors.RequestError && error.isNoResponders())
  );
}
