// How long to wait before the next try. Exponential with full jitter: after a gateway dies, its players come back
// spread over the window instead of all at once.

export interface ReconnectOptions {
  /** Width of the first window. */
  minMs?: number;
  /** Width of the widest. */
  maxMs?: number;
  /** Tries in a row without a `welcome` before the client gives up. */
  attempts?: number;
}

/** Delay before try number `attempt` (from 1): anything from 0 to the window, which doubles with each try. */
export function backoffMs(attempt: number, { minMs = 250, maxMs = 5_000 }: ReconnectOptions): number {
  return Math.random() * Math.min(maxMs, minMs * 2 ** (attempt - 1));
}
