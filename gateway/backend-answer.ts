// How the gateway answers a backend on NATS: with what became of its message, or with a refusal that says why. In the
// encoding of the message, and only where an answer is wanted.

import type { Msg, NatsConnection } from '@nats-io/nats-core';
import { encode, encodingOf } from '../bus/codec.ts';
import { ParleyError } from '../runtime/errors.ts';
import type { Log } from '../runtime/log.ts';

export interface Answering {
  readonly connection: NatsConnection;
  readonly log: Log;
  /** Told of each message that was refused. */
  readonly refused: () => void;
}

/** Listens on a subject; whatever happens, the sender hears what became of it. */
export function answerBackends(
  subject: string,
  queue: string | undefined,
  take: (message: Msg) => Promise<object>,
  { connection, log, refused }: Answering,
): void {
  const answer = async (message: Msg) => {
    let reply: object;
    try {
      reply = await take(message);
    } catch (error) {
      const known = error instanceof ParleyError;
      if (!known) log.error({ err: error, subject: message.subject }, 'a message of a backend failed');
      reply = {
        status: 'refused',
        code: known ? error.code : 'internal',
        message: known ? error.detail : 'failed',
      };
      refused();
    }
    if (message.reply) message.respond(encode(reply, encodingOf(message.data)));
  };
  connection.subscribe(subject, {
    queue,
    callback: (error, message) => {
      if (error) return log.error({ err: error, subject }, 'cannot listen');
      void answer(message);
    },
  });
}
