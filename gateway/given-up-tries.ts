// Tries with a tier's queue group that were given up before anybody accepted: nobody knows which worker has them, until
// it accepts too late. Then it is told to stop and to commit nothing.

import type { NatsConnection } from '@nats-io/nats-core';
import { encode } from '../bus/codec.ts';
import { type Control, readAccepted } from '../bus/envelopes.ts';
import type { Subjects, Tier } from '../bus/subjects.ts';
import type { Log } from '../runtime/log.ts';

export class GivenUpTries {
  private readonly parts: { connection: NatsConnection; subjects: Subjects; log: Log };
  private readonly bySubject = new Map<string, { tier: Tier; until: number }>();

  constructor(parts: GivenUpTries['parts']) {
    this.parts = parts;
  }

  /** Remembers a try by its `out` subject, until a monotonic time. */
  add(subject: string, tier: Tier, until: number): void {
    this.bySubject.set(subject, { tier, until });
  }

  /** A worker has accepted something that nobody here waits for. */
  accepted(subject: string, body: Uint8Array): void {
    const { subjects, connection, log } = this.parts;
    const given = this.bySubject.get(subject);
    const to = subjects.parseOut(subject);
    if (!given || !to) return;
    this.bySubject.delete(subject);
    try {
      const { worker } = readAccepted(body);
      const cancel: Control = {
        v: 1,
        op: 'cancel',
        session: to.session,
        s: to.stream,
        // No command is older than this one can be: the try is over, whatever the session did since.
        epoch: Number.MAX_SAFE_INTEGER,
        attempt: to.attempt,
        commit: false,
        reason: 'cancelled',
      };
      connection.publish(subjects.workerControl(given.tier, worker), encode(cancel, 'msgpack'));
    } catch (error) {
      log.warn({ err: error }, 'an acceptance that cannot be read');
    }
  }

  /** Forgets what is too old to be accepted. */
  sweep(): void {
    const now = performance.now();
    for (const [subject, { until }] of this.bySubject) if (until < now) this.bySubject.delete(subject);
  }
}
