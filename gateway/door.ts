// The door: one connection from its first byte to its last. Checks size, encoding, order and rate of what a client
// sends, lets `hello` in, and hands well-formed messages on. Bad input is answered to whoever sent it and counted.

import { decode } from '../bus/codec.ts';
import {
  type ClientMessage,
  type Encoding,
  type Hello,
  parseClientMessage,
  type Say,
} from '../bus/protocol.ts';
import type { Config } from '../runtime/config.ts';
import { type CloseName, closeCodes, type ErrorName, errorCodes, ParleyError } from '../runtime/errors.ts';
import type { Log } from '../runtime/log.ts';
import { type Authenticate, type Player, Unauthenticated } from './authenticate.ts';
import type { Claims } from './claims.ts';
import type { GameLimit } from './game-limit.ts';
import type { HandshakeLimits } from './handshake-limits.ts';
import { type ObserveParts, observe } from './observe.ts';
import type { Pins } from './pins.ts';
import type { Session, Socket } from './session.ts';
import type { Sessions } from './sessions.ts';
import { TokenBucket } from './token-bucket.ts';
import type { WebSocket } from './uws.ts';
import type { Welcome } from './welcome.ts';

/** What is kept for each socket. Small: ten thousand of them idle. */
export interface Connection {
  readonly encoding: Encoding;
  /** Where it comes from; forgotten once it is in. */
  address: string;
  /** Decided at the handshake: it is only opened to be told why it is closed. */
  readonly refused?: CloseName;
  ws?: WebSocket<Connection>;
  session?: Session;
  closed?: boolean;
  helloTimer?: NodeJS.Timeout;
  /** From `hello` to `welcome`: what arrives meanwhile waits here. */
  early?: Record<string, unknown>[];
  bucket?: TokenBucket;
  refusedInRow?: number;
}

export interface DoorParts extends ObserveParts {
  readonly pins: Pick<Pins, 'observed' | 'spoke'>;
  readonly authenticate: Authenticate;
  readonly sessions: Sessions;
  readonly claims: Claims;
  readonly welcome: Welcome;
  readonly handshakes: HandshakeLimits;
  readonly gameLimit: GameLimit;
  readonly log: Log;
  readonly draining: () => boolean;
  readonly config: Pick<
    Config,
    'helloMs' | 'maxFrameBytes' | 'messagesPerSecond' | 'messageBurst' | 'maxBackpressureBytes'
  >;
}

/** When the whole game has had enough, the next second may be better. */
const gameRetryMs = 1_000;
/** Of what the whole game may do, so that players are heard before characters think. */
const thinkShare = 0.5;

export class Door {
  private readonly parts: DoorParts;

  constructor(parts: DoorParts) {
    this.parts = parts;
  }

  opened(connection: Connection, ws: WebSocket<Connection>): void {
    connection.ws = ws;
    this.parts.metrics.sockets.inc();
    if (connection.refused) {
      this.parts.log.info(
        { audit: true, address: connection.address, why: connection.refused },
        'a socket was refused',
      );
      return this.close(connection, connection.refused);
    }
    connection.helloTimer = setTimeout(
      () => this.close(connection, 'helloTimeout'),
      this.parts.config.helloMs,
    );
  }

  /** `data` is only valid until this returns. */
  received(connection: Connection, data: ArrayBuffer, isBinary: boolean): void {
    const { config } = this.parts;
    if (data.byteLength > config.maxFrameBytes) return this.close(connection, 'tooLarge');
    if (isBinary !== (connection.encoding === 'msgpack')) return this.close(connection, 'malformed');
    let message: Record<string, unknown>;
    try {
      message = decode(new Uint8Array(data), connection.encoding);
    } catch {
      return this.close(connection, 'malformed');
    }
    const { session } = connection;
    if (!session && !connection.early) return this.first(connection, message);
    const retryMs = this.take(connection);
    if (retryMs > 0) return this.tooFast(connection, message, retryMs);
    connection.refusedInRow = 0;
    if (connection.early) connection.early.push(message);
    else this.handle(connection, session!, message);
  }

  /** The socket is closed, whoever did it. */
  closed(connection: Connection, code: number): void {
    connection.closed = true;
    clearTimeout(connection.helloTimer);
    this.parts.metrics.sockets.dec();
    const { session, ws } = connection;
    if (!session || session.socket !== ws) return;
    if (code === closeCodes.bye.code) this.parts.sessions.end(session);
    else this.parts.sessions.lostSocket(session);
  }

  /** The socket has sent what waited for it. */
  drained(connection: Connection): void {
    const { session, ws } = connection;
    if (session && session.socket === ws && ws!.getBufferedAmount() === 0)
      this.parts.welcome.drained(session);
  }

  /** Closes with a code of the catalogue. `closed` follows. */
  close(connection: Connection, name: CloseName): void {
    if (connection.closed) return;
    const { code, reason } = closeCodes[name];
    this.parts.metrics.closes.inc({ code });
    connection.ws!.end(code, reason);
  }

  /** Closes the socket of a session, if it has one. */
  closeSession(session: Session, name: CloseName): void {
    if (session.socket) this.closeSocket(session.socket, name);
  }

  closeSocket(socket: Socket, name: CloseName): void {
    this.close((socket as WebSocket<Connection>).getUserData(), name);
  }

  /** Closes who has not read for too long, and whose token has run out. Called now and then. */
  sweep(): void {
    const now = Date.now();
    for (const session of this.parts.sessions.all()) {
      if (!session.socket) continue;
      if (!session.flowing && session.owedBytes > this.parts.config.maxBackpressureBytes) {
        this.parts.log.info(
          { player: session.player, owedBytes: session.owedBytes },
          'a client that does not read',
        );
        this.closeSession(session, 'tooSlow');
      } else if (session.tokenExpiresAt < now) this.closeSession(session, 'unauthenticated');
    }
  }

  private first(connection: Connection, message: Record<string, unknown>): void {
    let hello: ClientMessage;
    try {
      hello = parseClientMessage(message);
    } catch {
      const { t, token } = message;
      const isToken = typeof token === 'string' && token.length >= 1 && token.length <= 8_192;
      return this.close(connection, t === 'hello' && !isToken ? 'unauthenticated' : 'malformed');
    }
    if (hello.t !== 'hello') return this.close(connection, 'malformed');
    clearTimeout(connection.helloTimer);
    this.parts.metrics.messages.inc({ t: 'hello' });
    connection.early = [];
    void this.enter(connection, hello).catch((error) => {
      this.parts.log.error({ err: error }, 'hello failed');
      this.close(connection, 'internal');
    });
  }

  private async enter(connection: Connection, hello: Hello): Promise<void> {
    const { sessions, claims, welcome, draining } = this.parts;
    const player = await this.identify(connection, hello.token);
    if (!player || connection.closed) return;
    if (draining()) return this.close(connection, 'goingAway');
    // A resume is only counted when it turns out to be none.
    if (!hello.resume && !this.admitNew(connection)) return;
    const { encoding } = connection;
    const arrival = { player: player.id, tokenExpiresAt: player.tokenExpiresAt, encoding, hello };
    const claim = await claims.claim(arrival);
    if (!claim) return this.close(connection, 'replaced');
    const { session } = claim;
    if (hello.resume && !claim.resumed && !this.admitNew(connection)) return sessions.end(session);
    connection.session = session;
    connection.address = '';
    // Gone before it was welcomed: the session stays for the grace time, as after any loss.
    if (connection.closed) return session.socket ? undefined : sessions.lostSocket(session);
    await welcome.say(claim, connection.ws!, hello.resume);
    const early = connection.early ?? [];
    connection.early = undefined;
    for (const message of early) {
      if (session.socket === connection.ws) this.handle(connection, session, message);
    }
  }

  /** Whether one more new session may come in; closes the connection if not. */
  private admitNew(connection: Connection): boolean {
    if (this.parts.handshakes.admit(connection.address)) return true;
    this.parts.log.info({ audit: true, address: connection.address }, 'too many new sessions');
    this.close(connection, 'tooMany');
    return false;
  }

  /** Who the token says it is. Closes the connection and resolves undefined when it says nothing good. */
  private async identify(connection: Connection, token: string): Promise<Player | undefined> {
    try {
      return await this.parts.authenticate(token);
    } catch (error) {
      if (!(error instanceof Unauthenticated)) throw error;
      this.tokenRefused(error);
      // Guessing costs as much as coming in.
      this.parts.handshakes.admit(connection.address);
      this.close(connection, error.why === 'unavailable' ? 'internal' : 'unauthenticated');
      return undefined;
    }
  }

  private tokenRefused(error: Unauthenticated): void {
    this.parts.log.info({ audit: true, why: error.why, detail: error.message }, 'a token was refused');
    this.parts.metrics.refused.inc({ code: `token_${error.why}` });
  }

  private handle(connection: Connection, session: Session, message: Record<string, unknown>): void {
    try {
      this.dispatch(connection, session, parseClientMessage(message));
    } catch (error) {
      if (!(error instanceof ParleyError)) throw error;
      this.refuse(connection, error.code, streamOf(message), error.detail);
    }
  }

  private dispatch(connection: Connection, session: Session, message: ClientMessage): void {
    const { sessions, metrics } = this.parts;
    metrics.messages.inc({ t: message.t });
    switch (message.t) {
      case 'say':
        return this.say(connection, session, message);
      case 'cancel':
        return sessions.cancel(session, message.s);
      case 'ping':
        return session.send({ t: 'pong', c: message.c, time: Date.now() });
      case 'bye':
        return this.close(connection, 'bye');
      case 'refresh': {
        const retryMs = sessions.limitsOf(session).other();
        if (retryMs > 0) return this.refuse(connection, 'rate_limited', undefined, undefined, retryMs);
        return void this.refresh(connection, session, message.token);
      }
      case 'observe': {
        const refusal = observe(session, message, this.parts);
        return refusal && this.refuse(connection, refusal.code, undefined, refusal.detail);
      }
      case 'job':
        // A part of the protocol whose service this release does not have.
        return this.refuse(connection, 'not_available', message.s);
      case 'hello':
        return this.close(connection, 'malformed');
    }
  }

  private say(connection: Connection, session: Session, say: Say): void {
    const thinks = say.mode === 'think';
    const limits = this.parts.sessions.limitsOf(session);
    const retryMs = thinks ? limits.think() : limits.say();
    if (retryMs > 0) return this.refuse(connection, 'rate_limited', say.s, undefined, retryMs);
    if (!this.parts.gameLimit.admit(thinks ? thinkShare : 1))
      return this.refuse(connection, 'overloaded', say.s, undefined, gameRetryMs);
    const refusal = this.parts.sessions.say(session, say);
    if (refusal) this.refuse(connection, refusal.code, say.s, refusal.detail);
    else if (!thinks) this.parts.pins.spoke(session, say.npc);
  }

  private refuse(
    connection: Connection,
    code: ErrorName,
    s?: number,
    detail?: string,
    retryMs?: number,
  ): void {
    this.parts.metrics.refused.inc({ code });
    const message =
      code === 'bad_message' && detail ? `${errorCodes[code].message} ${detail}` : errorCodes[code].message;
    const { session } = connection;
    // With the number of a known stream it would read as that stream's end.
    const known = s !== undefined && session?.streams?.has(s);
    session?.send({ t: 'err', s: known ? undefined : s, code, message, retryMs });
  }

  private take(connection: Connection): number {
    const { messagesPerSecond, messageBurst } = this.parts.config;
    const now = performance.now();
    connection.bucket ??= new TokenBucket(messageBurst, now);
    return connection.bucket.take(now, messagesPerSecond, messageBurst);
  }

  private tooFast(connection: Connection, message: Record<string, unknown>, retryMs: number): void {
    const inRow = (connection.refusedInRow ?? 0) + 1;
    connection.refusedInRow = inRow;
    if (inRow > this.parts.config.messageBurst) return this.close(connection, 'tooMany');
    this.refuse(
      connection,
      'rate_limited',
      message.t === 'say' ? streamOf(message) : undefined,
      undefined,
      retryMs,
    );
  }

  /** A fresh token for a session that goes on. A bad one is refused and changes nothing. */
  private async refresh(connection: Connection, session: Session, token: string): Promise<void> {
    try {
      const player = await this.parts.authenticate(token);
      if (player.id !== session.player) {
        this.parts.log.info({ audit: true, player: session.player }, 'a fresh token of another player');
        return this.refuse(connection, 'bad_token');
      }
      session.tokenExpiresAt = player.tokenExpiresAt;
    } catch (error) {
      if (!(error instanceof Unauthenticated)) throw error;
      this.tokenRefused(error);
      this.refuse(connection, error.why === 'unavailable' ? 'internal' : 'bad_token');
    }
  }
}

/** The stream that a message which could not be read belongs to, if it says so. */
function streamOf(message: Record<string, unknown>): number | undefined {
  const { s } = message;
  return typeof s === 'number' && Number.isInteger(s) && s > 0 && s <= 0x7fffffff ? s : undefined;
}
