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
import type { GatewayMetrics, RelayCounts } from '../runtime/metrics.ts';
import { type Authenticate, Unauthenticated } from './authenticate.ts';
import { Session } from './session.ts';
import type { Sessions } from './sessions.ts';
import { TokenBucket } from './token-bucket.ts';
import type { WebSocket } from './uws.ts';

/** What is kept for each socket. Small: ten thousand of them idle. */
export interface Connection {
  readonly encoding: Encoding;
  readonly openedAt: number;
  ws?: WebSocket<Connection>;
  session?: Session;
  closed?: boolean;
  helloTimer?: NodeJS.Timeout;
  /** From `hello` to `welcome`: what arrives meanwhile waits here. */
  early?: Record<string, unknown>[];
  bucket?: TokenBucket;
  refusedInRow?: number;
}

export interface DoorParts {
  readonly authenticate: Authenticate;
  readonly sessions: Sessions;
  readonly counts: RelayCounts;
  readonly metrics: GatewayMetrics;
  readonly log: Log;
  readonly draining: () => boolean;
  readonly config: Pick<
    Config,
    'helloMs' | 'maxFrameBytes' | 'messagesPerSecond' | 'messageBurst' | 'maxBackpressureBytes'
  >;
}

export class Door {
  private readonly parts: DoorParts;
  /** The connection that holds a session now. */
  private readonly holders = new Map<Session, Connection>();

  constructor(parts: DoorParts) {
    this.parts = parts;
  }

  opened(connection: Connection, ws: WebSocket<Connection>): void {
    connection.ws = ws;
    this.parts.metrics.sockets.inc();
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
    const { session } = connection;
    if (!session || this.holders.get(session) !== connection) return;
    this.holders.delete(session);
    if (code === closeCodes.bye.code) this.parts.sessions.end(session);
    else this.parts.sessions.lostSocket(session);
  }

  /** Closes with a code of the catalogue. `closed` follows. */
  close(connection: Connection, name: CloseName): void {
    if (connection.closed) return;
    const { code, reason } = closeCodes[name];
    this.parts.metrics.closes.inc({ code });
    connection.ws!.end(code, reason);
  }

  /** Closes the connection that holds a session. */
  closeSession(session: Session, name: CloseName): void {
    const holder = this.holders.get(session);
    if (holder) this.close(holder, name);
  }

  private first(connection: Connection, message: Record<string, unknown>): void {
    let hello: ClientMessage;
    try {
      hello = parseClientMessage(message);
    } catch {
      return this.close(connection, 'malformed');
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
    const { sessions, counts, config, log, metrics } = this.parts;
    let player: string;
    try {
      player = (await this.parts.authenticate(hello.token)).id;
    } catch (error) {
      if (!(error instanceof Unauthenticated)) throw error;
      log.info({ why: error.why, detail: error.message }, 'a token was refused');
      metrics.refused.inc({ code: `token_${error.why}` });
      return this.close(connection, error.why === 'unavailable' ? 'internal' : 'unauthenticated');
    }
    if (connection.closed) return;
    if (this.parts.draining()) return this.close(connection, 'goingAway');

    const again = sessions.resumable(player, hello.resume);
    const older = sessions.of(player);
    if (older) this.replace(older);
    const session =
      again ??
      new Session({
        player,
        encoding: connection.encoding,
        counts,
        maxBackpressureBytes: config.maxBackpressureBytes,
        tooSlow: (slow) => this.tooSlow(slow),
      });
    connection.session = session;
    this.holders.set(session, connection);
    session.encoding = connection.encoding;
    session.socket = connection.ws;
    if (again) await sessions.resume(session, hello.resume!);
    else sessions.open(session, hello.resume);
    const early = connection.early ?? [];
    connection.early = undefined;
    for (const message of early) {
      if (this.holders.get(session) === connection) this.handle(connection, session, message);
    }
  }

  /** The player has connected again: the older socket goes, and nothing of it reaches the session any more. */
  private replace(session: Session): void {
    const holder = this.holders.get(session);
    this.holders.delete(session);
    session.socket = undefined;
    if (holder) this.close(holder, 'replaced');
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
        this.holders.delete(session);
        sessions.end(session);
        return this.close(connection, 'bye');
      case 'observe':
      case 'refresh':
      case 'job':
        // Parts of the protocol whose service this release does not have.
        return this.refuse(connection, 'not_available', message.t === 'job' ? message.s : undefined);
      case 'hello':
        return this.close(connection, 'malformed');
    }
  }

  private say(connection: Connection, session: Session, say: Say): void {
    if (this.parts.draining()) return this.refuse(connection, 'overloaded', say.s);
    const code = this.parts.sessions.say(session, say);
    if (code) this.refuse(connection, code, say.s);
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
    connection.session?.send({ t: 'err', s, code, message, retryMs });
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

  private tooSlow(session: Session): void {
    this.parts.log.info({ player: session.player }, 'a socket that does not read is closed');
    this.closeSession(session, 'goingAway');
  }
}

/** The stream that a message which could not be read belongs to, if it says so. */
function streamOf(message: Record<string, unknown>): number | undefined {
  const { s } = message;
  return typeof s === 'number' && Number.isInteger(s) && s > 0 && s <= 0x7fffffff ? s : undefined;
}
