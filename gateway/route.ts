// Which worker gets a request: the one with the lowest predicted time to the first token, from heartbeats and from
// what this gateway has sent since the last one. A worker that holds the character's prefix saves its prefill,
// and that is all the preference it gets, so that one popular character cannot bury one worker.

import type { WorkerDirectory, WorkerEntry } from '../bus/directory.ts';
import type { Tier } from '../bus/subjects.ts';
import { fnv1a } from '../runtime/hash.ts';

/** Assumed until a worker has measured its own. */
const defaultPrefillMs = 8;
const defaultDecodeMs = 20;
/** A typical answer, to turn a queue into a wait. */
const answerTokens = 40;

export interface RouteRequest {
  readonly tier: Tier;
  readonly npc: string;
  /** Tokens of the stable prefix, estimated. */
  readonly prefixTokens: number;
  /** Workers that were asked already. */
  readonly tried: ReadonlySet<string>;
  /** Only workers that can go on with what another one has said. */
  readonly continues: boolean;
}

export class Router {
  private readonly directory: WorkerDirectory;
  /** What was sent to a worker since the beat with this number. */
  private readonly sent = new Map<string, { seq: number; count: number }>();

  constructor(directory: WorkerDirectory) {
    this.directory = directory;
  }

  /** The best worker, or undefined when none is known that was not tried. Counts the request as sent. */
  choose(request: RouteRequest): WorkerEntry | undefined {
    let best: WorkerEntry | undefined;
    let bestMs = Number.POSITIVE_INFINITY;
    for (const worker of this.directory.available(request.tier)) {
      if (request.tried.has(worker.id)) continue;
      if (request.continues && worker.beat.continues !== 'text') continue;
      const ms = this.predictMs(worker, request);
      if (
        ms < bestMs ||
        (ms === bestMs && best && tieBreak(request.npc, worker.id) > tieBreak(request.npc, best.id))
      ) {
        best = worker;
        bestMs = ms;
      }
    }
    if (best) this.count(best);
    return best;
  }

  /**
   * The workers that could keep a character in their cache, best first: where it is pinned already, else by rendezvous, so
   * that all gateways ask the same one. Load does not count: it changes every second, and a cache is slow to move.
   */
  homes(tier: Tier, npc: string): string[] {
    const has = (worker: WorkerEntry) => Number(worker.beat.pinned!.includes(npc));
    return this.directory
      .available(tier)
      .filter(({ beat }) => beat.pinned !== undefined)
      .sort((a, b) => has(b) - has(a) || tieBreak(npc, b.id) - tieBreak(npc, a.id))
      .map(({ id }) => id);
  }

  /** Whether a worker beats and takes work. */
  knows(tier: Tier, id: string): boolean {
    return this.directory.available(tier).some((worker) => worker.id === id);
  }

  /** Whether there is a worker that could be asked and was not. */
  hasOther({ tier, tried, said }: { tier: Tier; tried: ReadonlySet<string>; said?: unknown }): boolean {
    return this.directory
      .available(tier)
      .some(({ id, beat }) => !tried.has(id) && (said === undefined || beat.continues === 'text'));
  }

  private predictMs(worker: WorkerEntry, { npc, prefixTokens }: RouteRequest): number {
    const { beat } = worker;
    const decodeMs = beat.decodeMsPerToken || defaultDecodeMs;
    const prefillMs = beat.prefillMsPerToken || defaultPrefillMs;
    const streams = beat.active + beat.queued + this.sentSince(worker);
    const ahead = Math.max(0, streams + 1 - beat.concurrency);
    const waitMs = (ahead / beat.concurrency) * answerTokens * decodeMs;
    const prefixMs = beat.resident.includes(npc) ? 0 : prefixTokens * prefillMs;
    return waitMs + prefixMs + Math.min(streams, beat.concurrency) * decodeMs;
  }

  private sentSince(worker: WorkerEntry): number {
    const sent = this.sent.get(worker.id);
    return sent?.seq === worker.beat.seq ? sent.count : 0;
  }

  private count(worker: WorkerEntry): void {
    this.sent.set(worker.id, { seq: worker.beat.seq, count: this.sentSince(worker) + 1 });
  }
}

/**
 * Rendezvous hash: every gateway ranks the workers of a character alike without talking to the others.
 * FNV-1a with a final mix, 32 bits.
 */
function tieBreak(npc: string, worker: string): number {
  let h = fnv1a(`${npc}\0${worker}`);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  return (h ^ (h >>> 13)) >>> 0;
}
