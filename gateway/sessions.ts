// The sessions of this gateway and their streams: speaking, going, remembering. One session a player; a lost socket
// leaves it for the grace time. Redis has what other gateways need (bus/session-store.ts); while it is away, sessions
// stay where they are. How a player comes in stands in claims.ts and welcome.ts.

import { newTraceparent } from '../bus/headers.ts';
import type { Say } from '../bus/protocol.ts';
import type { SessionStore, StreamRecord } from '../bus/session-store.ts';
import type { Character } from '../npcs/characters.ts';
import type { Config } from '../runtime/config.ts';
import type { Log } from '../runtime/log.ts';
import { admit, type Refusal, replaces } from './admit.ts';
import type { Placement } from './placement.ts';
import { type PlayerLimitConfig, PlayerLimits } from './player-limits.ts';
import type { Session, Socket } from './session.ts';
import { Stream } from './stream.ts';

export interface SessionsParts {
  readonly id: string;
  readonly store: SessionStore;
  readonly placement: Placement;
  readonly characters: () => ReadonlyMap<string, Character>;
  readonly log: Log;
  /** Closes a socket whose player has connected again. */
  readonly closeReplaced: (socket: Socket) => void;
  readonly config: Pick<
    Config,
    'resumeGraceMs' | 'maxTextChars' | 'maxContextChars' | 'maxStreams' | 'maxTokens' | 'budgetMs'
  > &
    PlayerLimitConfig;
}

/** How long ended streams of a session can still be asked for, and how many. */
const endedKeptMs = 60_000;
const endedKept = 16;
/** How long a record in Redis lasts without being written, and when it is renewed at the latest. */
const recordTtlS = 120;
const renewMs = 30_000;

export class Sessions {
  private readonly byPlayer = new Map<string, Session>();
  private readonly parts: SessionsParts;

  constructor(parts: SessionsParts) {
    this.parts = parts;
  }

  get size(): number {
    return this.byPlayer.size;
  }

  all(): Iterable<Session> {
    return this.byPlayer.values();
  }

  /** The player's session here, if there is one. */
  of(player: string): Session | undefined {
    return this.byPlayer.get(player);
  }

  /** From now on this is the player's session here; one that was here before ends. */
  put(session: Session): void {
    const before = this.byPlayer.get(session.player);
    if (before && before !== session) this.replaced(before);
    clearTimeout(session.graceTimer);
    session.renewAt = nextRenewal();
    this.byPlayer.set(session.player, session);
  }

  // ---- speaking ----

  /** Begins a stream, or says why not; undefined when there is nothing to say. */
  say(session: Session, say: Say): Refusal | undefined {
    const admission = admit(say, session, this.parts.characters(), this.parts.config);
    if (!admission.admitted) return admission.repeat ? undefined : admission;
    session.streams ??= new Map();
    for (const other of session.streams.values())
      if (replaces(say, other)) this.parts.placement.cancel(other);
    const startedAt = performance.now();
    const stream = new Stream({
      session,
      s: say.s,
      say,
      character: admission.character,
      tier: admission.character.tiers[0]!,
      traceparent: newTraceparent(),
      startedAt,
      deadlineAt: startedAt + admission.budgetMs,
    });
    session.lastStream = say.s;
    session.streams.set(say.s, stream);
    this.forgetEnded(session, startedAt);
    this.parts.placement.begin(stream);
    return undefined;
  }

  /** The player's own limits, counted from the first message on. */
  limitsOf(session: Session): PlayerLimits {
    session.limits ??= new PlayerLimits(this.parts.config);
    return session.limits;
  }

  /** Stops a stream; one that is unknown or over is left alone. */
  cancel(session: Session, s: number): void {
    const stream = session.streams?.get(s);
    if (stream) this.parts.placement.cancel(stream);
  }

  /** A character speaks to the player of its own accord: a stream with a negative number, whole. */
  speak(
    session: Session,
    character: Character,
    text: string,
    by: { source: 'live' | 'authored'; tier: 'gold' | 'silver' | 'none'; model: string },
  ): void {
    session.streams ??= new Map();
    const s = --session.lastOwnStream;
    const startedAt = performance.now();
    const stream = new Stream({
      session,
      s,
      say: { t: 'say', s, npc: character.id, text: '' },
      character,
      tier: character.tiers[0]!,
      traceparent: newTraceparent(),
      startedAt,
      deadlineAt: startedAt,
    });
    session.streams.set(s, stream);
    this.forgetEnded(session, startedAt);
    this.parts.placement.endings.written(stream, text, by);
  }

  // ---- going ----

  /** The socket is gone without a goodbye: streams go on for the grace time, for a player who comes back. */
  lostSocket(session: Session): void {
    session.socket = undefined;
    session.flowing = false;
    session.unsent = undefined;
    const { resumeGraceMs } = this.parts.config;
    if (resumeGraceMs === 0) return this.end(session);
    clearTimeout(session.graceTimer);
    session.graceTimer = setTimeout(() => this.end(session), resumeGraceMs);
  }

  /** Ends a session for good: its streams are cancelled, and it cannot be resumed. */
  end(session: Session): void {
    this.replaced(session);
    if (!this.parts.store.available) return;
    const { id, player, epoch } = session;
    this.parts.store.close({ session: id, player, epoch }).catch((error) => this.storeFailed(error));
  }

  /** The session goes on at another gateway, or will: nothing is cancelled. */
  leave(session: Session): void {
    for (const stream of session.streams?.values() ?? []) this.parts.placement.release(stream);
    this.forget(session);
  }

  /** Another gateway says that the player is there since that epoch. */
  moved(player: string, id: string, epoch: number): void {
    const session = this.byPlayer.get(player);
    if (!session || session.epoch >= epoch) return;
    this.parts.log.info({ player, epoch }, 'a player has connected elsewhere');
    if (session.id === id) this.leave(session);
    else this.replaced(session);
  }

  // ---- remembering ----

  /** Writes to Redis what another gateway would need of a stream, without waiting for it. */
  remember(stream: Stream): void {
    const { session, s } = stream;
    this.write(session, { stream: s, record: stream.record(), limits: session.limits?.save() });
  }

  /** Renews the records that are due; to be called every second. */
  renewDue(): void {
    const now = performance.now();
    for (const session of this.byPlayer.values()) if (session.renewAt <= now) this.write(session, {});
  }

  /** Renews every record; after Redis was away, with everything that happened meanwhile. */
  renew({ all }: { all: boolean }): void {
    for (const session of this.byPlayer.values()) {
      this.write(session, {});
      if (!all) continue;
      for (const stream of session.streams?.values() ?? []) this.remember(stream);
    }
  }

  private write(session: Session, fields: { stream?: number; record?: StreamRecord; limits?: string }): void {
    const { store, id } = this.parts;
    if (!store.available) return;
    const { id: sessionId, player, epoch, keyHash } = session;
    const held = { session: sessionId, player, epoch, keyHash, gateway: id };
    session.renewAt = nextRenewal();
    store.write(held, this.ttlS, fields).then(
      (ours) => {
        if (!ours && this.byPlayer.get(player) === session && session.epoch === epoch) {
          this.moved(player, sessionId, epoch + 1);
        }
      },
      (error) => this.storeFailed(error),
    );
  }

  // ---- small things ----

  /** Over for this gateway: streams are cancelled. */
  private replaced(session: Session): void {
    this.forget(session);
    for (const stream of session.streams?.values() ?? []) this.parts.placement.cancel(stream);
  }

  private forget(session: Session): void {
    clearTimeout(session.graceTimer);
    const { socket } = session;
    session.socket = undefined;
    session.flowing = false;
    if (socket) this.parts.closeReplaced(socket);
    if (this.byPlayer.get(session.player) === session) this.byPlayer.delete(session.player);
  }

  private forgetEnded(session: Session, now: number): void {
    const gone: number[] = [];
    // Thinks end many a second: counted together, they would push out what was said.
    for (const thinks of [false, true]) {
      const ended = [...session.streams!.values()].filter((s) => s.ended && s.thinks === thinks);
      let tooMany = ended.length - endedKept;
      for (const stream of ended) {
        if (tooMany-- <= 0 && now - stream.endedAt < endedKeptMs) break;
        session.streams!.delete(stream.s);
        gone.push(stream.s);
      }
    }
    if (gone.length > 0 && this.parts.store.available) {
      this.parts.store.forgetStreams(session.id, gone).catch((error) => this.storeFailed(error));
    }
  }

  private storeFailed(error: unknown): void {
    this.parts.log.warn({ err: error }, 'a session could not be written to Redis');
  }

  /** How long a record in Redis lasts without being renewed. */
  get ttlS(): number {
    return recordTtlS + Math.ceil(this.parts.config.resumeGraceMs / 1_000);
  }
}

/** Monotonic ms. Thousands that came back in one second are not all renewed in one second. */
function nextRenewal(): number {
  return performance.now() + renewMs * (0.5 + Math.random() / 2);
}
