// Going away without a player noticing: no new sockets, a hint to reconnect spread over the window, running
// streams finish within it, then the sockets are closed.

import type { Log } from '../runtime/log.ts';
import type { Door } from './door.ts';
import type { Placement } from './placement.ts';
import type { Sessions } from './sessions.ts';

/** Clients are told to come back (elsewhere) within this part of the window. */
const hintShare = 0.5;
const pollMs = 25;

/** Resolves when every socket of a session has been closed. */
export async function drain({
  door,
  sessions,
  placement,
  drainMs,
  log,
}: {
  door: Door;
  sessions: Sessions;
  placement: Placement;
  drainMs: number;
  log: Log;
}): Promise<void> {
  const until = performance.now() + drainMs;
  log.info({ sessions: sessions.size, streams: placement.running.size }, 'draining');
  for (const session of sessions.all()) {
    session.send({ t: 'reconnect', afterMs: Math.floor(Math.random() * drainMs * hintShare) });
  }
  // Streams finish here, or move with their players; who still listens at the end is cut off and resumes elsewhere.
  const busy = () => placement.running.size > 0 || [...sessions.all()].some((s) => s.socket);
  while (busy() && performance.now() < until) {
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
  if (placement.running.size > 0)
    log.warn({ streams: placement.running.size }, 'streams go on without this gateway');
  for (const session of [...sessions.all()]) {
    door.closeSession(session, 'goingAway');
    sessions.leave(session);
  }
}
