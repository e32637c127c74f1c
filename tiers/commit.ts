// What becomes of an answer in the history: written once, by the worker that ended it, unless the gateway has placed
// the stream elsewhere meanwhile.

import type { History, HistoryTurn } from '../bus/history.ts';
import { wordsOf } from '../npcs/characters.ts';
import type { Log } from '../runtime/log.ts';
import type { WorkerMetrics } from '../runtime/metrics.ts';
import type { Job } from './answer.ts';

export interface CommitParts {
  readonly history: History;
  /** Resolves when everything that NATS had for this worker has been heard. */
  readonly caughtUp: () => Promise<void>;
  readonly metrics: WorkerMetrics;
  readonly log: Log;
}

/** Writes the turn with the text that was really emitted. Never rejects. */
export async function commitTurn(job: Job, reason: HistoryTurn['reason'], parts: CommitParts): Promise<void> {
  const { request, character, stream } = job;
  const { history, caughtUp, metrics, log } = parts;
  const text = stream.text();
  // A broken answer of a player may be continued elsewhere: its gateway decides, and commits if nobody can.
  if (text === '' || !request.memory || (reason === 'lost' && request.session !== undefined)) return;
  try {
    // A process that was frozen wakes up with its timers first: before it writes, it hears whether the stream has
    // gone elsewhere meanwhile.
    await caughtUp();
    if (job.givenUp) return;
    const key = { player: request.player, npc: request.npc, session: request.session, stream: request.s };
    const words = wordsOf(character, request);
    const added = await history.commit(key, { player: words, npc: text, reason, at: Date.now() });
    metrics.commits.inc({ result: added ? 'added' : 'known' });
  } catch (error) {
    metrics.commits.inc({ result: 'failed' });
    log.warn({ err: error, npc: request.npc }, 'a turn could not be written to history');
  }
}
