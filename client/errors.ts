// What can go wrong, as a game sees it: an `err` of the edge, or a connection that is closed for good. The codes
// and what may be retried come from the one catalogue in runtime/errors.ts.

import type { Err } from '../bus/protocol.ts';
import { type CloseCode, closeCodes, errorCodes } from '../runtime/errors.ts';

/** The edge refused something, or could not go on with it. `message` may be shown to a player. */
export class ServerError extends Error {
  /** One of the error codes of PROTOCOL.md, or one that a newer edge has added. */
  readonly code: string;
  /** Whether the same request may be sent again, with a new `say`. */
  readonly retry: boolean;
  /** How long to wait before that, where the edge said so. */
  readonly retryMs: number | undefined;

  constructor(err: Pick<Err, 'code' | 'message' | 'retryMs'>) {
    super(err.message);
    this.name = 'ServerError';
    this.code = err.code;
    this.retry = (errorCodes as Record<string, { retry: boolean }>)[err.code]?.retry ?? false;
    this.retryMs = err.retryMs;
  }
}

/** An answer that was refused or broke off. */
export class StreamError extends ServerError {
  readonly s: number;
  /** Whether a part of the answer was delivered before. */
  readonly partial: boolean;

  constructor(s: number, err: Pick<Err, 'code' | 'message' | 'retryMs' | 'partial'>) {
    super(err);
    this.name = 'StreamError';
    this.s = s;
    this.partial = err.partial ?? false;
  }
}

/** The connection is closed and the client does not come back by itself. */
export class ClosedError extends Error {
  /** The WebSocket close code; 1006 where there was none. */
  readonly code: number;
  readonly reason: string;
  /** Whether a new client may connect: as the table of close codes in PROTOCOL.md says. */
  readonly retry: CloseCode['retry'];

  constructor(code: number, reason: string, options?: { cause?: unknown }) {
    super(`the connection is closed: ${code}${reason ? ` (${reason})` : ''}`, options);
    this.name = 'ClosedError';
    this.code = code;
    this.reason = reason;
    this.retry = retryOf(code);
  }
}

/**
 * Whether a client may come back after this close code. Codes that are in no table are judged by their class: 44xx is
 * the client's fault, everything else is the network's or ours.
 */
export function retryOf(code: number): CloseCode['retry'] {
  const known = Object.values(closeCodes).find((c) => c.code === code);
  if (known) return known.retry;
  return code >= 4400 && code < 4500 ? 'no' : 'yes';
}
