// Waiting, but not for ever. What is waited for goes on all the same.

import { setTimeout as sleep } from 'node:timers/promises';

/** Resolves when `done` does, or after so many milliseconds; rejects when `done` does before. */
export async function atMost(ms: number, done: Promise<void>): Promise<void> {
  const timer = new AbortController();
  const late = sleep(ms, undefined, { signal: timer.signal }).catch(() => {});
  try {
    await Promise.race([done, late]);
  } finally {
    timer.abort();
  }
}
