// NATS headers of a request: how much time is left, and the trace it belongs to. Each hop takes off what it
// used, so that a worker can drop what has expired before it spends prefill on it.

import { randomBytes } from 'node:crypto';
import { headers, type MsgHdrs } from '@nats-io/nats-core';

const budgetHeader = 'Parley-Budget-Ms';
const traceHeader = 'traceparent';

export interface RequestHeaders {
  /** Milliseconds left for the whole answer; undefined when the sender names none. */
  readonly budgetMs?: number;
  readonly traceparent?: string;
}

export function writeHeaders({ budgetMs, traceparent }: RequestHeaders): MsgHdrs {
  const h = headers();
  if (budgetMs !== undefined) h.set(budgetHeader, String(Math.floor(budgetMs)));
  if (traceparent !== undefined) h.set(traceHeader, traceparent);
  return h;
}

/** Reads what is well-formed; a header that is not counts as absent. */
export function readHeaders(h: MsgHdrs | undefined): RequestHeaders {
  if (!h) return {};
  const budget = h.get(budgetHeader);
  const trace = h.get(traceHeader);
  return {
    budgetMs: /^-?\d{1,9}$/.test(budget) ? Number(budget) : undefined,
    traceparent: /^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/.test(trace) ? trace : undefined,
  };
}

/** A new trace. Source: W3C Trace Context, "traceparent". */
export function newTraceparent(): string {
  const bytes = randomBytes(24).toString('hex');
  return `00-${bytes.slice(0, 32)}-${bytes.slice(32)}-01`;
}
