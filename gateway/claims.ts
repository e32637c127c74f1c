// Claims: an arriving connection becomes the player's newest in the whole cluster, with the session that it asks to
// resume or with a new one. Redis decides between gateways; while it is away, sessions of this gateway can still be
// resumed here.

import { randomBytes } from 'node:crypto';
import type { Encoding, Hello } from '../bus/protocol.ts';
import { hashKey, type SessionRecord, type SessionStore, type StreamRecord } from '../bus/session-store.ts';
import type { Config } from '../runtime/config.ts';
import type { Log } from '../runtime/log.ts';
import type { RelayCounts } from '../runtime/metrics.ts';
import type { Peers } from './peers.ts';
import { type PlayerLimitConfig, PlayerLimits } from './player-limits.ts';
import { Session } from './session.ts';
import type { Sessions } from './sessions.ts';

/** Who knocks. */
export interface Arrival {
  readonly player: string;
  readonly tokenExpiresAt: number;
  readonly encoding: Encoding;
  readonly hello: Hello;
}

/** A claim that went through: `welcome` has still to be said. */
export interface Claim {
  readonly session: Session;
  /** The session's epoch by this claim; a later claim raises it. */
  readonly epoch: number;
  readonly key: string;
  readonly resumed: boolean;
  /** Streams that another gateway had, which are not here yet. */
  readonly elsewhere: ReadonlyMap<number, StreamRecord>;
}

export interface ClaimsParts {
  readonly id: string;
  readonly store: SessionStore;
  readonly sessions: Sessions;
  readonly peers: Peers;
  readonly counts: RelayCounts;
  readonly log: Log;
  readonly config: PlayerLimitConfig & Pick<Config, 'pauseBytes'>;
}

export class Claims {
  private readonly parts: ClaimsParts;

  constructor(parts: ClaimsParts) {
    this.parts = parts;
  }

  /**
   * Makes the arriving connection the player's newest: with the session that `hello` asks to resume if that is the
   * player's own, else with a new one. Undefined when a still newer connection overtook it meanwhile.
   */
  async claim(arrival: Arrival): Promise<Claim | undefined> {
    const { resume } = arrival.hello;
    const claim = (resume && (await this.claimOld(arrival, resume))) ?? (await this.claimNew(arrival));
    const { session } = claim;
    const here = this.parts.sessions.of(session.player);
    if (here && here !== session && here.epoch > session.epoch) return undefined;
    session.encoding = arrival.encoding;
    session.tokenExpiresAt = arrival.tokenExpiresAt;
    this.parts.sessions.put(session);
    return claim;
  }

  private async claimOld(arrival: Arrival, resume: NonNullable<Hello['resume']>): Promise<Claim | undefined> {
    // The key stays: one that changed with each welcome would be lost with a welcome that never arrived.
    const { key } = resume;
    const { store, sessions, id, peers } = this.parts;
    const { player } = arrival;
    const keyHash = hashKey(resume.key);
    let record: SessionRecord | undefined;
    try {
      if (store.available) {
        const claim = {
          session: resume.session,
          player,
          keyHash,
          gateway: id,
          ttlS: sessions.ttlS,
        };
        record = await store.resume(claim);
      }
    } catch (error) {
      this.storeFailed(error);
    }
    const here = sessions.of(player);
    if (here?.id === resume.session && (record || here.keyHash === keyHash)) {
      here.epoch = record?.epoch ?? here.epoch + 1;
      // Held elsewhere in between, by a gateway that is gone or slow: what is here may be old, the records are not.
      if (!record || record.gateway === id)
        return { session: here, epoch: here.epoch, key, resumed: true, elsewhere: new Map() };
      sessions.leave(here);
    }
    if (!record) return undefined;
    if (record.gateway !== id)
      peers.moved(record.gateway, { player, session: record.session, epoch: record.epoch });
    const session = this.make(arrival, record.session, record.epoch, key);
    session.limits = new PlayerLimits(this.parts.config, record.limits);
    for (const s of record.streams.keys()) {
      session.lastStream = Math.max(session.lastStream, s);
      session.lastOwnStream = Math.min(session.lastOwnStream, s);
    }
    return { session, epoch: record.epoch, key, resumed: true, elsewhere: record.streams };
  }

  private async claimNew(arrival: Arrival): Promise<Claim> {
    const key = randomBytes(16).toString('base64url');
    const { store, sessions, id, peers } = this.parts;
    const { player } = arrival;
    const sessionId = randomBytes(16).toString('base64url');
    let epoch = (sessions.of(player)?.epoch ?? 0) + 1;
    try {
      if (store.available) {
        const before = await store.open({
          session: sessionId,
          player,
          keyHash: hashKey(key),
          gateway: id,
          ttlS: sessions.ttlS,
        });
        epoch = before.epoch;
        if (before.gateway && before.gateway !== id) {
          peers.moved(before.gateway, { player, session: sessionId, epoch });
        }
      }
    } catch (error) {
      this.storeFailed(error);
    }
    const session = this.make(arrival, sessionId, epoch, key);
    return { session, epoch, key, resumed: false, elsewhere: new Map() };
  }

  private make({ player, encoding }: Arrival, id: string, epoch: number, key: string): Session {
    const { counts, config } = this.parts;
    return new Session({
      id,
      player,
      epoch,
      keyHash: hashKey(key),
      encoding,
      counts,
      pauseBytes: config.pauseBytes,
    });
  }

  private storeFailed(error: unknown): void {
    this.parts.log.warn({ err: error }, 'a session cannot be claimed in Redis; going on without');
  }
}
