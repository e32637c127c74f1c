// What a player does, as the game tells it, on its way to whoever wants to know: predictors and backends. At most once
// and without an answer. Here it only matters near whom the player stands (pins.ts).

import type { NatsConnection } from '@nats-io/nats-core';
import { encode, maxDepth } from '../bus/codec.ts';
import type { Observe } from '../bus/protocol.ts';
import type { Subjects } from '../bus/subjects.ts';
import type { GatewayMetrics } from '../runtime/metrics.ts';
import type { Refusal } from './admit.ts';
import type { Pins } from './pins.ts';
import type { Session } from './session.ts';

export interface ObserveParts {
  readonly connection: NatsConnection;
  readonly connected: () => boolean;
  readonly subjects: Subjects;
  readonly metrics: GatewayMetrics;
  readonly pins: Pick<Pins, 'observed'>;
}

/** Publishes it, or says why not. While the bus is away it is dropped: old news is none. */
export function observe(
  session: Session,
  message: Observe,
  { connection, connected, subjects, metrics, pins }: ObserveParts,
): Refusal | undefined {
  const { player, id } = session;
  const { t: _t, kind, ...data } = message;
  // In the envelope it lies one level deeper, and must still be a message for whoever reads it.
  if (deeperThan(data, maxDepth - 1))
    return { code: 'bad_message', detail: `message: at most ${maxDepth - 1} levels` };
  pins.observed(session, kind, data.npc);
  if (!connected()) {
    metrics.observations.inc({ result: 'dropped' });
    return undefined;
  }
  const payload = encode({ v: 1, player, session: id, kind, at: Date.now(), data }, 'json');
  if (payload.length > (connection.info?.max_payload ?? 0))
    return { code: 'bad_message', detail: 'message: too much' };
  connection.publish(subjects.observed(player), payload);
  metrics.observations.inc({ result: 'published' });
  return undefined;
}

/** Recurses no deeper than `levels`. */
function deeperThan(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return false;
  return levels === 0 || Object.values(value).some((inner) => deeperThan(inner, levels - 1));
}
