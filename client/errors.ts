// What can go wrong, as a game sees it: something that was asked for is refused or breaks off, or the connection is
// closed for good. The codes and what may be retried come from the one catalogue in runtime/errors.ts.

import type { Err } from '../bus/protocol.ts';
import { type CloseCode, closeCodes, errorCodes } from '../runtime/errors.ts';

/** The edge refused something, or could not go on with it. `message` may be shown to a player. */
export class ServerError extends Error {
  /** One of the error codes of PROTOCOL.md, or one that a newer edge has added, or one of `clientErrors`. */
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

/** An answer or a job that was refused or broke off. */
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

/** What the client itself ends a stream with. None is worth sending again. */
export const clientErrors = {
  /** More came than a client holds of one answer. */
  overflow: 'The answer is longer than can be held.',
  /** The message is larger than `welcome.limits.frameBytes`; sending it would end the session. */
  too_large: 'The message is larger than the server takes.',
  /** A job that was cancelled here. */
  cancelled: 'The job was cancelled.',
} as const;

export function clientError(s: number, code: keyof typeof clientErrors, partial = false): StreamError {
  return new StreamError(s, { code, message: clientErrors[code], partial });
}

/** An `err` as it came, with whatever is missing in it made good. */
export function errOf(frame: { [field: string]: unknown }): Omit<Err, 't' | 's'> {
  const { code, message, partial, retryMs } = frame;
  return {
    code: typeof code === 'string' ? code : 'internal',
    message: typeof message === 'string' ? message : errorCodes.internal.message,
    partial: partial === true,
    retryMs: typeof retryMs === 'number' ? retryMs : undefined,
  };
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
 * The close code for an edge that speaks a version which this client does not know, after HTTP 426, "upgrade
 * required". It is the client's own: no edge sends it.
 */
export const newerVersion = 4426;

/**
 * Whether a client may come back after this close code. Codes that are in no table are judged by their class: 44xx is
 * the client's fault, everything else is the network's or ours.
 */
export function retryOf(code: number): CloseCode['retry'] {
  const known = Object.values(closeCodes).find((c) => c.code === code);
  if (known) return known.retry;
  return code >= 4400 && code < 4500 ? 'no' : 'yes';
}
