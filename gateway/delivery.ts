// From a stream to its player's socket: at once while the socket flows, else later and merged. Text is merged
// between acts, never dropped; a stream's terminal frame comes after its last piece, once.

import { decode, encode, encodingOf } from '../bus/codec.ts';
import { errorCodes } from '../runtime/errors.ts';
import type { Session } from './session.ts';
import type { Stream } from './stream.ts';

/** A frame of pieces has arrived. The hot path: `body` goes to the socket as it is. */
export function deliverPiece(stream: Stream, body: Uint8Array): void {
  const { session } = stream;
  if (session.flowing) {
    stream.sent = stream.seen;
    session.sendBytes(body);
  } else session.owedBytes += body.length;
}

/** The stream is over: its terminal message follows what was delivered, now or when the socket flows again. */
export function deliverTerminal(stream: Stream, terminal: Uint8Array | object): void {
  const { session } = stream;
  if (session.flowing && stream.sent === stream.seen) {
    stream.kept.clear();
    session.sendBytes(terminal instanceof Uint8Array ? terminal : encode(terminal, session.encoding));
  } else {
    // As a message: whoever comes back may speak another encoding.
    stream.terminal = terminal instanceof Uint8Array ? readTerminal(stream, terminal) : terminal;
  }
}

function readTerminal({ s, seen }: Stream, bytes: Uint8Array): object {
  try {
    return decode(bytes, encodingOf(bytes));
  } catch {
    return { t: 'err', s, code: 'lost', message: errorCodes.lost.message, partial: seen > 0 || undefined };
  }
}

/**
 * Sends what a stream still owes its player. Returns false when the gateway has not kept it, so that it must come
 * from the worker again.
 */
export function flushStream(stream: Stream): boolean {
  const { session } = stream;
  if (stream.sent < stream.seen) {
    const messages = stream.written
      ? stream.written.filter((m) => m.t === 'tok' && m.n > stream.sent)
      : stream.kept.messages(stream.s, stream.sent, stream.seen);
    if (!messages) return false;
    for (const message of messages) {
      if (!session.flowing) return true;
      stream.sent = message.n;
      session.sendBytes(encode(message, session.encoding));
    }
  }
  if (session.flowing && stream.terminal && stream.sent === stream.seen) {
    const { terminal } = stream;
    stream.terminal = undefined;
    stream.kept.clear();
    session.sendBytes(encode(terminal, session.encoding));
  }
  return true;
}

/** What waits beside the streams, such as a `pong`. */
export function flushUnsent(session: Session): void {
  const { unsent } = session;
  while (session.flowing && unsent && unsent.length > 0) {
    const bytes = unsent.shift()!;
    session.owedBytes -= bytes.length;
    session.sendBytes(bytes);
  }
}
