// Starts a part of the stack again when it dies, waiting longer each time, until it is stopped on purpose.

import { setTimeout as sleep } from 'node:timers/promises';
import { describeExit } from './child.ts';
import type { Service } from './service.ts';

const firstWaitMs = 500;
const longestWaitMs = 10_000;
const steadyMs = 60_000; // who lived that long starts again at the first wait

/** Watches a service that serves. `say` gets a line for each death and each return. */
export function supervise(service: Service, say: (line: string) => void, onReturn: () => void): void {
  let waitMs = firstWaitMs;
  let since = Date.now();
  service.onDeath = async (exit) => {
    if (Date.now() - since > steadyMs) waitMs = firstWaitMs;
    let why = describeExit(exit);
    for (;;) {
      say(`${service.name} has ended by itself (${why}); starting it again in ${waitMs / 1000} s`);
      await sleep(waitMs);
      waitMs = Math.min(waitMs * 2, longestWaitMs);
      if (!service.isWanted) return;
      try {
        await service.start();
        since = Date.now();
        say(`${service.name} serves again`);
        onReturn();
        return;
      } catch (error) {
        if (!service.isWanted) return;
        why = (error as Error).message;
      }
    }
  };
}
