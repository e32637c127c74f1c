// What gateways ask a worker to keep: whose players stand near which character. One lease a character, as long as the
// longest of its holders; a character that is not in the cache yet is computed at once, one after the other. What a pin
// means is the engine's business (gold/kv-pins.ts).

import type { Control, PinAnswer } from '../bus/envelopes.ts';
import type { Character } from '../npcs/characters.ts';
import type { Log } from '../runtime/log.ts';
import type { WorkerMetrics } from '../runtime/metrics.ts';
import { type Engine, EngineError } from './engine.ts';
import { prefixPrompt } from './prompt.ts';

export interface PinLeasesParts {
  readonly engine: Engine;
  readonly characters: () => ReadonlyMap<string, Character>;
  readonly contextTokens: number;
  readonly metrics: Pick<WorkerMetrics, 'pins'>;
  readonly log: Log;
}

type Pin = Extract<Control, { op: 'pin' }>;
type Release = Extract<Control, { op: 'release' }>;

/** Computing a persona beside live streams may take long; then the next character has its turn. */
const mostWarmMs = 60_000;

export class PinLeases {
  private readonly parts: PinLeasesParts;
  /** Ends of leases (ms since the epoch) by character and holder. */
  private readonly holders = new Map<string, Map<string, number>>();
  /** Characters that wait to be computed, in the order in which they were asked for. */
  private readonly cold = new Set<string>();
  private readonly closed = new AbortController();
  private warming = false;

  constructor(parts: PinLeasesParts) {
    this.parts = parts;
  }

  /** Never throws: what is wrong is in the answer. */
  pin({ npc, holder, forMs }: Pin): PinAnswer {
    const answer = this.take(npc, holder, Date.now() + forMs);
    this.parts.metrics.pins.inc({ result: answer.result });
    return answer;
  }

  release({ npc, holder }: Release): void {
    const { engine, metrics } = this.parts;
    if (!this.holders.get(npc)?.delete(holder)) return;
    metrics.pins.inc({ result: 'released' });
    const until = this.longest(npc);
    if (until === undefined) engine.release(npc);
    else engine.pin(npc, until);
  }

  /** Computes nothing more; leases end by themselves. */
  close(): void {
    this.closed.abort();
    this.cold.clear();
  }

  private take(npc: string, holder: string, until: number): PinAnswer {
    const { engine, characters, log } = this.parts;
    if (!characters().has(npc))
      return { v: 1, result: 'unknown_npc', message: `There is no character ${JSON.stringify(npc)} here.` };
    const before = this.longest(npc);
    try {
      engine.pin(npc, Math.max(until, before ?? 0));
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      if (error instanceof EngineError && error.kind === 'kv_full')
        return { v: 1, result: 'kv_full', message };
      log.error({ err: error, npc }, 'a character could not be pinned');
      return { v: 1, result: 'failed', message };
    }
    const holders = this.holders.get(npc) ?? new Map<string, number>();
    this.holders.set(npc, holders.set(holder, until));
    if (!engine.stats().resident.includes(npc)) {
      this.cold.add(npc);
      void this.warm();
    }
    return { v: 1, result: before === undefined ? 'pinned' : 'renewed' };
  }

  /** When the last of its leases ends; those that are over are forgotten. */
  private longest(npc: string): number | undefined {
    const holders = this.holders.get(npc);
    if (!holders) return undefined;
    const now = Date.now();
    for (const [holder, until] of holders) if (until <= now) holders.delete(holder);
    if (holders.size > 0) return Math.max(...holders.values());
    this.holders.delete(npc);
    return undefined;
  }

  /** Brings the cold ones into the cache, one at a time: the engine lets live streams go first. Never rejects. */
  private async warm(): Promise<void> {
    if (this.warming) return;
    this.warming = true;
    const { engine, characters, contextTokens, metrics, log } = this.parts;
    for (const npc of this.cold) {
      this.cold.delete(npc);
      const character = characters().get(npc);
      if (!character || this.longest(npc) === undefined || engine.stats().resident.includes(npc)) continue;
      const signal = AbortSignal.any([this.closed.signal, AbortSignal.timeout(mostWarmMs)]);
      try {
        await engine.warm(prefixPrompt(character, contextTokens), signal);
        metrics.pins.inc({ result: 'warmed' });
      } catch (error) {
        if (this.closed.signal.aborted) break;
        metrics.pins.inc({ result: 'failed' });
        log.warn({ err: error, npc }, 'a pinned character could not be warmed; the next renewal tries again');
      }
    }
    this.warming = false;
  }
}
