// What gateways tell each other: a player connected elsewhere, so the session that was here is not here any more.

import type { NatsConnection } from '@nats-io/nats-core';
import { encode } from '../bus/codec.ts';
import { type GatewayControl, readGatewayControl } from '../bus/envelopes.ts';
import type { Subjects } from '../bus/subjects.ts';
import type { Log } from '../runtime/log.ts';

export class Peers {
  private readonly connection: NatsConnection;
  private readonly subjects: Subjects;

  /** `onMoved` hears what others tell this gateway. */
  constructor({
    id,
    connection,
    subjects,
    log,
    onMoved,
  }: {
    id: string;
    connection: NatsConnection;
    subjects: Subjects;
    log: Log;
    onMoved: (moved: GatewayControl) => void;
  }) {
    this.connection = connection;
    this.subjects = subjects;
    connection.subscribe(subjects.gatewayControl(id), {
      callback: (error, message) => {
        if (error) return log.error({ err: error }, 'other gateways cannot be heard');
        try {
          onMoved(readGatewayControl(message.data));
        } catch (cause) {
          log.warn({ err: cause }, 'a message of a gateway that cannot be read');
        }
      },
    });
  }

  /** Tells a gateway that a player's session is elsewhere since `epoch`. */
  moved(gateway: string, moved: Omit<GatewayControl, 'op' | 'v'>): void {
    const message: GatewayControl = { v: 1, op: 'moved', ...moved };
    this.connection.publish(this.subjects.gatewayControl(gateway), encode(message, 'msgpack'));
  }
}
