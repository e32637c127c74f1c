// The sessions of this gateway: one a player, the newer connection wins; a lost socket leaves the session for the
// grace time; a resume finds it again. Everything that begins or ends a session or one of its streams passes here.

import { newTraceparent } from '../bus/headers.ts';
import type { Hello, Say, Welcome, StreamState as WelcomeState } from '../bus/protocol.ts';
import type { Character } from '../npcs/characters.ts';
import type { Config } from '../runtime/config.ts';
import type { ErrorName } from '../runtime/errors.ts';
import { admit } from './admit.ts';
import type { Placement } from './placement.ts';
import type { Session } from './session.ts';
import { Stream } from './stream.ts';

export interface SessionsParts {
  readonly placement: Placement;
  readonly characters: () => ReadonlyMap<string, Character>;
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
  >;
}

/** How long ended streams of a session can still be asked for, and how many. */
const endedKeptMs = 60_000;
const endedKept = 16;

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

  /** The session that `hello` asks to go on with, if it is this player's and the key fits. */
  resumable(player: string, resume: Hello['resume']): Session | undefined {
    const session = resume && this.byPlayer.get(player);
    return session?.id === resume?.session && session?.fits(resume!.key) ? session : undefined;
  }

  /** Takes a new session in and welcomes the player. One that the player had before ends. */
  open(session: Session, resume: Hello['resume']): void {
    const older = this.byPlayer.get(session.player);
    if (older) this.end(older);
    this.byPlayer.set(session.player, session);
    session.epoch++;
    const streams: WelcomeState[] = (resume?.streams ?? []).map(({ s }) => ({ s, state: 'lost' }));
    session.send(this.welcome(session, false, streams));
  }

  /**
   * The player is back: asks for each stream that the client named, welcomes, and lets what was missed follow. The
   * socket is already the session's. A running stream that the client does not name is no longer wanted.
   */
  async resume(session: Session, resume: NonNullable<Hello['resume']>): Promise<void> {
    clearTimeout(session.graceTimer);
    session.epoch++;
    const { epoch } = session;
    session.waiting = [];
    const named = new Map(resume.streams.map(({ s, n }) => [s, n]));
    for (const stream of session.streams?.values() ?? []) {
      if (!stream.ended && !named.has(stream.s)) this.parts.placement.cancel(stream);
    }
    const states = await Promise.all([...named].map(([s, n]) => this.resumeStream(session, s, n)));
    // Replaced meanwhile by a still newer connection, which waits for its own answers.
    if (session.epoch === epoch) session.release(this.welcome(session, true, states));
  }

  /** Begins a stream, or says why not; undefined when there is nothing to say. */
  say(session: Session, say: Say): ErrorName | undefined {
    const admission = admit(say, session, this.parts.characters(), this.parts.config);
    if (!admission.admitted) return admission.repeat ? undefined : admission.code;
    session.streams ??= new Map();
    if (say.mode !== 'alongside') {
      for (const other of session.streams.values()) {
        if (other.say.npc === say.npc) this.parts.placement.cancel(other);
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

  /** Stops a stream; one that is unknown or over is left alone. */
  cancel(session: Session, s: number): void {
    const stream = session.streams?.get(s);
    if (stream) this.parts.placement.cancel(stream);
  }

  /** The socket is gone without a goodbye: streams go on for the grace time, for a player who comes back. */
  lostSocket(session: Session): void {
    session.socket = undefined;
    session.waiting = undefined;
    const { resumeGraceMs } = this.parts.config;
    if (resumeGraceMs === 0) return this.end(session);
    clearTimeout(session.graceTimer);
    session.graceTimer = setTimeout(() => this.end(session), resumeGraceMs);
  }

  /** Ends a session for good: its streams are cancelled. */
  end(session: Session): void {
    clearTimeout(session.graceTimer);
    session.socket = undefined;
    for (const stream of session.streams?.values() ?? []) this.parts.placement.cancel(stream);
    if (this.byPlayer.get(session.player) === session) this.byPlayer.delete(session.player);
  }

  private async resumeStream(session: Session, s: number, n: number): Promise<WelcomeState> {
    const stream = session.streams?.get(s);
    if (!stream) return { s, state: s > session.lastStream ? 'unknown' : 'lost' };
    return { s, state: await this.parts.placement.attach(stream, n) };
  }

  private forgetEnded(session: Session, now: number): void {
    let tooMany = session.streams!.size - session.running - endedKept;
    for (const stream of session.streams!.values()) {
      if (!stream.ended) continue;
      if (tooMany <= 0 && now - stream.endedAt < endedKeptMs) return;
      session.streams!.delete(stream.s);
      tooMany--;
    }
  }

  private welcome(session: Session, resumed: boolean, streams: WelcomeState[]): Welcome {
    const { config } = this.parts;
    return {
      t: 'welcome',
      v: 1,
      session: session.id,
      key: session.newKey(),
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
