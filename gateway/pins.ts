// Near whom the players of this gateway stand, by what their games tell (`observe` near and left) and by whom they speak
// to; and the leases that keep these characters in the cache of the worker where they live. A character costs one message
// every few seconds, however many players stand there. Nothing of this may fail a player: without a lease the character
// answers all the same, later.

import { errors, type NatsConnection } from '@nats-io/nats-core';
import { encode } from '../bus/codec.ts';
import { type Control, type PinAnswer, readPinAnswer } from '../bus/envelopes.ts';
import type { Subjects, Tier } from '../bus/subjects.ts';
import type { Character } from '../npcs/characters.ts';
import type { Config } from '../runtime/config.ts';
import type { Log } from '../runtime/log.ts';
import type { GatewayMetrics } from '../runtime/metrics.ts';
import type { Router } from './route.ts';
import type { Session } from './session.ts';

export interface PinsParts {
  readonly id: string;
  readonly connection: NatsConnection;
  readonly connected: () => boolean;
  readonly subjects: Subjects;
  readonly router: Pick<Router, 'homes' | 'knows'>;
  readonly characters: () => ReadonlyMap<string, Character>;
  readonly metrics: Pick<GatewayMetrics, 'pins' | 'near'>;
  readonly log: Log;
  readonly config: Pick<Config, 'pinLeaseMs'>;
}

/** A character near whom somebody stands, or stood a moment ago. */
interface Near {
  /** Until when each of them counts, monotonic ms; the one who came last at the end. */
  readonly players: Map<Session, number>;
  /** The worker that has the lease. */
  worker: string | undefined;
  tier: Tier;
  /** When it is to be told again, monotonic ms. */
  dueAt: number;
  asking: boolean;
}

/** Near more than so many characters nobody is: the one where the player came first no longer counts. */
const mostNear = 8;
/** Who speaks to a character stands near it for so long, also where the game tells nothing. */
const spokenMs = 60_000;
const answerMs = 1_000;
/** A lease is renewed after this part of it, so that one lost message ends none. */
const renewAfter = 1 / 3;

export class Pins {
  private readonly parts: PinsParts;
  private readonly byNpc = new Map<string, Near>();
  private readonly bySession = new Map<Session, Set<string>>();
  /** Workers that had no room, by character, until when they are not asked again (monotonic ms). */
  private readonly full = new Map<string, number>();

  constructor(parts: PinsParts) {
    this.parts = parts;
  }

  /** What a game told of its player: only `near` and `left` with the id of a character mean something here. */
  observed(session: Session, kind: string, npc: unknown): void {
    if (typeof npc !== 'string') return;
    if (kind === 'near') this.cameNear(session, npc, Number.POSITIVE_INFINITY);
    else if (kind === 'left') this.left(session, npc);
  }

  /** The player has spoken to a character. */
  spoke(session: Session, npc: string): void {
    const until = this.byNpc.get(npc)?.players.get(session) ?? 0;
    this.cameNear(session, npc, Math.max(until, performance.now() + spokenMs));
  }

  /** Renews what is due. `isThere` says whether a session still lives. To be called about every second. */
  sweep(isThere: (session: Session) => boolean): void {
    const now = performance.now();
    for (const [npc, near] of this.byNpc) {
      if (near.asking) continue;
      if (near.worker !== undefined && !this.parts.router.knows(near.tier, near.worker)) {
        // It drains or is gone: the next one need not wait for the renewal.
        near.worker = undefined;
        near.dueAt = now;
      }
      if (near.dueAt > now) continue;
      for (const [session, until] of near.players)
        if (until <= now || !isThere(session)) this.left(session, npc);
      if (near.players.size > 0) void this.pin(npc, near);
      else this.forget(npc, near);
    }
    for (const [key, until] of this.full) if (until <= now) this.full.delete(key);
    this.parts.metrics.near.set(this.byNpc.size);
  }

  private cameNear(session: Session, npc: string, until: number): void {
    const { characters, metrics } = this.parts;
    const character = characters().get(npc);
    // A game may have sheep that Parley does not know.
    if (!character) return metrics.pins.inc({ result: 'unknown_npc' });
    let near = this.byNpc.get(npc);
    if (!near) {
      near = { players: new Map(), worker: undefined, tier: character.tiers[0]!, dueAt: 0, asking: false };
      this.byNpc.set(npc, near);
    }
    near.players.set(session, until);
    const all = this.bySession.get(session) ?? new Set();
    this.bySession.set(session, all);
    all.delete(npc);
    all.add(npc);
    const [first] = all;
    if (all.size > mostNear) this.left(session, first!);
    if (near.dueAt === 0) void this.pin(npc, near);
  }

  private left(session: Session, npc: string): void {
    this.byNpc.get(npc)?.players.delete(session);
    const all = this.bySession.get(session);
    all?.delete(npc);
    if (all?.size === 0) this.bySession.delete(session);
  }

  /** Nobody stands there any more: the lease need not last until its end. */
  private forget(npc: string, { tier, worker }: Near): void {
    this.byNpc.delete(npc);
    if (worker === undefined || !this.parts.connected()) return;
    this.tell(tier, worker, { v: 1, op: 'release', npc, holder: this.parts.id });
    this.parts.metrics.pins.inc({ result: 'released' });
  }

  /** Asks the worker where the character lives, and the next one if that has no room. Never rejects. */
  private async pin(npc: string, near: Near): Promise<void> {
    const { connected, router, metrics, log, config } = this.parts;
    near.asking = true;
    near.dueAt = performance.now() + config.pinLeaseMs * renewAfter;
    const homes = connected() ? router.homes(near.tier, npc) : [];
    let result: PinAnswer['result'] | 'no_worker' | 'unanswered' = 'no_worker';
    for (const worker of homes) {
      const key = `${worker} ${npc}`;
      if (this.full.has(key)) {
        result = 'kv_full';
        continue;
      }
      const answer = await this.ask(near.tier, worker, npc);
      result = answer?.result ?? 'unanswered';
      if (result === 'kv_full') {
        this.full.set(key, performance.now() + config.pinLeaseMs);
        log.debug({ npc, worker, detail: answer?.message }, 'a worker has no room for a lease');
        continue;
      }
      if (result === 'pinned' || result === 'renewed') this.moved(npc, near, worker);
      else log.warn({ npc, worker, result, detail: answer?.message }, 'a character was not pinned');
      break;
    }
    near.asking = false;
    metrics.pins.inc({ result });
  }

  private moved(npc: string, near: Near, worker: string): void {
    const before = near.worker;
    near.worker = worker;
    if (before === undefined || before === worker) return;
    this.tell(near.tier, before, { v: 1, op: 'release', npc, holder: this.parts.id });
  }

  private async ask(tier: Tier, worker: string, npc: string): Promise<PinAnswer | undefined> {
    const { connection, subjects, id, config, log } = this.parts;
    const control: Control = { v: 1, op: 'pin', npc, holder: id, forMs: config.pinLeaseMs };
    try {
      const subject = subjects.workerControl(tier, worker);
      const { data } = await connection.request(subject, encode(control, 'msgpack'), { timeout: answerMs });
      return readPinAnswer(data);
    } catch (error) {
      const silent = error instanceof errors.TimeoutError || error instanceof errors.RequestError;
      if (!silent) log.warn({ err: error, npc, worker }, 'an answer to a pin that cannot be read');
      return undefined;
    }
  }

  private tell(tier: Tier, worker: string, control: Control): void {
    const { connection, subjects } = this.parts;
    connection.publish(subjects.workerControl(tier, worker), encode(control, 'msgpack'));
  }
}
