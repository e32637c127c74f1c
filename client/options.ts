// What a game gives the client and what it hears from it: options, events and counters of client.ts. Types alone.

import type { Encoding, ServerMessage, Welcome } from '../bus/protocol.ts';
import type { ReconnectOptions } from './backoff.ts';
import type { SocketConstructor } from './connection.ts';
import type { ClosedError, ServerError } from './errors.ts';
import type { Stream } from './stream.ts';
import type { IgnoredWhy } from './streams.ts';

export interface ClientOptions {
  /** The edge, as in `wss://play.example.org/v1/ws`. */
  url: string;
  /** The player's token, or where to get one. It is asked for at the start, and again when the edge refuses the last. */
  token: string | (() => string | Promise<string>);
  /** `msgpack` is the smaller one and the default; `json` reads well in a browser's tools. */
  encoding?: Encoding;
  /** A WebSocket class where the platform has none (Node before 22): that of the package `ws`. */
  WebSocket?: SocketConstructor;
  reconnect?: ReconnectOptions;
  /** Bound of the time from opening a socket to `welcome`. */
  connectMs?: number;
  /** With more bytes than this unsent, observations are dropped. */
  observeBufferBytes?: number;
}

interface Asking {
  npc: string;
  /** What the game wants the character to know just now. */
  context?: string;
  /** The generation of the intent that is asked for: acts repeat it as their `g`. */
  g?: number;
  /** Time for the whole answer. */
  budgetMs?: number;
  /** Aborting it cancels the answer. */
  signal?: AbortSignal;
}

export interface SayOptions extends Asking {
  /** What the player says. Either this or `topic`. */
  text?: string;
  /** One of the character's topics. */
  topic?: string;
  /** `alongside`: what the character is saying to this player goes on. Otherwise it is cancelled. */
  mode?: 'alongside';
  maxTokens?: number;
}

export interface ThinkOptions extends Asking {
  /** The situation, in a few words. It is treated as a player's words are, not as instructions. */
  context: string;
}

export interface ClientEvents {
  /** A connection stands; `resumed` says whether it goes on with the session before. */
  welcome: Welcome;
  /** The connection was lost; the client comes back by itself. */
  disconnected: { code: number; reason: string };
  /** A try to connect follows after `delayMs`. `attempt` counts from 1 since the last good connection. */
  reconnecting: { attempt: number; delayMs: number };
  /** Something from the game's backend. */
  push: Extract<ServerMessage, { t: 'push' }>;
  /** A character speaks by itself. */
  speech: Stream;
  /** The edge refused a message that belongs to no stream. */
  error: ServerError;
  /** A message was left alone: of a kind or a version that this client does not know, or not as the protocol says. */
  ignored: { why: IgnoredWhy; message: { t: string; [field: string]: unknown } };
  /** The connection is closed for good; the client does nothing any more. */
  closed: { code: number; reason: string; error: ClosedError };
}

/**
 * `idle` before `connect`; `connecting` with a try under way; `online`; `waiting` for the next try; `closed` for good.
 */
export type ClientState = 'idle' | 'connecting' | 'online' | 'waiting' | 'closed';

/** Plain counters since the client was made. */
export interface ClientStats {
  /** Connections after the first, and how many of them went on with the session. */
  reconnects: number;
  resumed: number;
  /** What came in; in JSON, characters count as bytes. */
  frames: number;
  bytes: number;
  /** Messages that were left alone. */
  ignored: number;
  /** Observations that were sent, and that were not. */
  observed: number;
  observeDropped: number;
  /** From the last `say` or `think` that was answered to its first piece. */
  lastFirstTokenMs: number | undefined;
}
