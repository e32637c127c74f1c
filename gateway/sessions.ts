// The sessions of this gateway: one a player, the newest connection in the cluster wins; a lost socket leaves the
// session for the grace time; a player who comes back, here or from another gateway, finds it again. Redis has what
// other gateways need (bus/session-store.ts); while it is away, sessions stay where they are.

import { randomBytes } from 'node:crypto';
import { newTraceparent } from '../bus/headers.ts';
import type { Encoding, Hello, Say, Welcome, StreamState as WelcomeState } from '../bus/protocol.ts';
import { hashKey, type SessionRecord, type SessionStore, type StreamRecord } from '../bus/session-store.ts';
import type { Character } from '../npcs/characters.ts';
import type { Config } from '../runtime/config.ts';
import type { ErrorName } from '../runtime/errors.ts';
import type { Log } from '../runtime/log.ts';
import type { GatewayMetrics, RelayCounts } from '../runtime/metrics.ts';
import { admit } from './admit.ts';
import { flushStream, flushUnsent } from './delivery.ts';
import type { Peers } from './peers.ts';
import { catchUp, type Placement } from './placement.ts';
import { PlayerLimits } from './player-limits.ts';
import { Session, type Socket } from './session.ts';
import { Stream } from './stream.ts';

export interface SessionsParts {
  readonly id: string;
  readonly store: SessionStore;
  readonly placement: Placement;
  readonly peers: Peers;
  readonly characters: () => ReadonlyMap<string, Character>;
  readonly counts: RelayCounts;
  readonly metrics: GatewayMetrics;
  readonly log: Log;
  /** Closes a socket whose player has connected again. */
  readonly closeReplaced: (socket: Socket) => void;
  readonly config: Pick<
    Config,
    | 'resumeGraceMs'
    | 'pingMs'
    | 'maxFrameBytes'
    | 'maxTextChars'
    | 'maxContextChars'
    | 'maxStreams'
    | 'maxTokens'
    | 'messagesPerSecond'
    | 'budgetMs'
    | 'pauseBytes'
    | 'saysPerSecond'
    | 'sayBurst'
  >;
}

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

/** How long ended streams of a session can still be asked for, and how many. */
const endedKeptMs = 60_000;
const endedKept = 16;
/** How often records in Redis are renewed, and how long they last without. */
export const renewMs = 30_000;
const recordTtlS = 120;

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

  // ---- coming ----

  /**
   * Makes the arriving connection the player's newest: with the session that `hello` asks to resume if that is the
   * player's own, else with a new one. Undefined when a still newer connection overtook it meanwhile.
   */
  async claim(arrival: Arrival): Promise<Claim | undefined> {
    const { resume } = arrival.hello;
    const claim = (resume && (await this.claimOld(arrival, resume))) ?? (await this.claimNew(arrival));
    const { session } = claim;
    const here = this.byPlayer.get(session.player);
    if (here && here !== session && here.epoch > session.epoch) return undefined;
    if (here && here !== session) this.replaced(here);
    clearTimeout(session.graceTimer);
    session.encoding = arrival.encoding;
    session.tokenExpiresAt = arrival.tokenExpiresAt;
    this.byPlayer.set(session.player, session);
    return claim;
  }

  /** Says `welcome` on the new socket, and lets what was missed follow. */
  async welcome(claim: Claim, socket: Socket, resume: Hello['resume']): Promise<void> {
    const { session, epoch, key, resumed } = claim;
    if (session.epoch !== epoch) return this.parts.closeReplaced(socket);
    const before = session.socket;
    session.socket = socket;
    if (before) this.parts.closeReplaced(before);
    session.flowing = false;
    session.unsent = undefined;
    session.owedBytes = 0;
    const states = resumed ? await this.resumeStreams(claim, resume!) : (resume?.streams ?? []).map(lost);
    // A still newer connection came meanwhile, or the socket is gone: there is nobody to welcome.
    if (session.epoch !== epoch || session.socket !== socket) return;
    for (const { state } of states) this.parts.metrics.resumes.inc({ state });
    session.flowing = true;
    session.send(this.welcomeMessage(session, key, resumed, states));
    this.catchUp(session);
  }

  /** The socket has room again. */
  drained(session: Session): void {
    if (!session.socket || session.flowing) return;
    session.flowing = true;
    this.catchUp(session);
  }

  // ---- speaking ----

  /** Begins a stream, or says why not; undefined when there is nothing to say. */
  say(session: Session, say: Say): ErrorName | undefined {
    const admission = admit(say, session, this.parts.characters(), this.parts.config);
    if (!admission.admitted) return admission.repeat ? undefined : admission.code;
    session.streams ??= new Map();
    if (say.mode !== 'alongside') {
      for (const other of session.streams.values()) {
        if (other.say.npc === say.npc && other.s > 0) this.parts.placement.cancel(other);
      }
    }
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
    store.write(held, this.ttlS(), fields).then(
      (ours) => {
        if (!ours && this.byPlayer.get(player) === session && session.epoch === epoch) {
          this.moved(player, sessionId, epoch + 1);
        }
      },
      (error) => this.storeFailed(error),
    );
  }

  // ---- claims ----

  private async claimOld(arrival: Arrival, resume: NonNullable<Hello['resume']>): Promise<Claim | undefined> {
    // The key stays: one that changed with each welcome would be lost with a welcome that never arrived.
    const { key } = resume;
    const { store, id, peers } = this.parts;
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
          ttlS: this.ttlS(),
        };
        record = await store.resume(claim);
      }
    } catch (error) {
      this.storeFailed(error);
    }
    const here = this.byPlayer.get(player);
    if (here?.id === resume.session && (record || here.keyHash === keyHash)) {
      here.epoch = record?.epoch ?? here.epoch + 1;
      // Held elsewhere in between, by a gateway that is gone or slow: what is here may be old, the records are not.
      if (!record || record.gateway === id)
        return { session: here, epoch: here.epoch, key, resumed: true, elsewhere: new Map() };
      this.leave(here);
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
    const { store, id, peers } = this.parts;
    const { player } = arrival;
    const sessionId = randomBytes(16).toString('base64url');
    let epoch = (this.byPlayer.get(player)?.epoch ?? 0) + 1;
    try {
      if (store.available) {
        const before = await store.open({
          session: sessionId,
          player,
          keyHash: hashKey(key),
          gateway: id,
          ttlS: this.ttlS(),
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

  // ---- streams of a player who came back ----

  private async resumeStreams(claim: Claim, resume: NonNullable<Hello['resume']>): Promise<WelcomeState[]> {
    const { session, elsewhere } = claim;
    const named = new Map(resume.streams.map(({ s, n }) => [s, n]));
    const newestOwn = Math.min(0, ...named.keys());
    for (const [s, record] of elsewhere) this.adopt(session, s, record);
    for (const stream of session.streams?.values() ?? []) {
      if (named.has(stream.s)) continue;
      // What the server said meanwhile is news; what the client no longer names, it no longer wants.
      if (stream.s < newestOwn) named.set(stream.s, 0);
      else this.parts.placement.cancel(stream);
    }
    return Promise.all([...named].map(([s, n]) => this.resumeStream(session, s, n)));
  }

  private async resumeStream(session: Session, s: number, n: number): Promise<WelcomeState> {
    const stream = session.streams?.get(s);
    if (!stream) return { s, state: n === 0 && s > session.lastStream ? 'unknown' : 'lost' };
    const keptEncoding =
      stream.encoding === undefined || stream.encoding === session.encoding || stream.ended;
    const whole = stream.written !== undefined || stream.kept.messages(s, n, stream.seen) !== undefined;
    const over = stream.terminal ?? stream.written?.at(-1);
    const adopted = stream.subject === '' && stream.written === undefined;
    if (
      adopted ||
      stream.state === 'placing' ||
      !whole ||
      !keptEncoding ||
      (stream.ended && !over) ||
      n > stream.seen
    ) {
      return { s, state: await this.parts.placement.attach(stream, n) };
    }
    stream.sent = n;
    stream.terminal = over;
    return { s, state: stream.ended ? 'ended' : 'resumed' };
  }

  /** Makes a stream of what another gateway wrote down about it. */
  private adopt(session: Session, s: number, record: StreamRecord): void {
    const character = this.parts.characters().get(record.npc);
    if (!character) return;
    session.streams ??= new Map();
    const now = performance.now();
    const stream = new Stream({
      session,
      s,
      say: record.say,
      character,
      tier: record.tier,
      traceparent: newTraceparent(),
      startedAt: now,
      deadlineAt: now + record.deadlineAt - Date.now(),
    });
    stream.attempt = record.attempt;
    stream.worker = record.worker;
    stream.state = 'running';
    session.streams.set(s, stream);
    if (record.ended) {
      stream.endedAt = now;
      stream.state = 'ended';
      stream.written = record.written;
      stream.seen = record.written?.some((m) => m.t === 'tok') ? 1 : 0;
    } else this.parts.placement.adopt(stream);
  }

  // ---- small things ----

  private catchUp(session: Session): void {
    flushUnsent(session);
    // What the streams owe is counted anew if the socket fills up again.
    if (session.flowing) session.owedBytes = 0;
    for (const stream of session.streams?.values() ?? []) {
      if (!session.flowing) return;
      if (stream.state === 'attaching') continue;
      if (stream.ended) flushStream(stream);
      else catchUp(stream, this.parts.placement);
    }
  }

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
    let tooMany = session.streams!.size - session.running - endedKept;
    const gone: number[] = [];
    for (const stream of session.streams!.values()) {
      if (!stream.ended) continue;
      if (tooMany <= 0 && now - stream.endedAt < endedKeptMs) break;
      session.streams!.delete(stream.s);
      gone.push(stream.s);
      tooMany--;
    }
    if (gone.length > 0 && this.parts.store.available) {
      this.parts.store.forgetStreams(session.id, gone).catch((error) => this.storeFailed(error));
    }
  }

  private storeFailed(error: unknown): void {
    this.parts.log.warn({ err: error }, 'a session could not be written to Redis');
  }

  private ttlS(): number {
    return recordTtlS + Math.ceil(this.parts.config.resumeGraceMs / 1_000);
  }

  private welcomeMessage(session: Session, key: string, resumed: boolean, streams: WelcomeState[]): Welcome {
    const { config } = this.parts;
    return {
      t: 'welcome',
      v: 1,
      session: session.id,
      key,
      player: session.player,
      pingMs: config.pingMs,
      time: Date.now(),
      limits: {
        frameBytes: config.maxFrameBytes,
        textChars: config.maxTextChars,
        contextChars: config.maxContextChars,
        streams: config.maxStreams,
        messagesPerSecond: config.messagesPerSecond,
      },
      resumed,
      streams,
    };
  }
}

function lost({ s }: { s: number }): WelcomeState {
  return { s, state: 'lost' };
}
