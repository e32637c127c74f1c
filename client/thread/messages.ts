// What the two threads say to each other, and the shared numbers that both look at without saying anything. Types and
// numbers alone. Every message's first number is the client that it belongs to.

import type { Act, End, Welcome } from '../../bus/protocol.ts';
import type { ReconnectOptions } from '../backoff.ts';
import type { ClientState, SayOptions } from '../options.ts';

/** What a message is. Of minds the second number is the character and the third the generation, of streams the stream. */
export const kind = {
  /** An `Order` or `News`, as JSON. */
  json: 0,
  /** The same with a game's own data in it, as MessagePack. */
  packed: 1,
  /** To the thread: think of a character; the body has its name's number in two bytes, then its facts. */
  question: 2,
  /** To the thread: that thought is not wanted any more. */
  forget: 3,
  /** To the game: words of a stream; the third number is that of their last piece, the body the words. */
  words: 4,
  /** To the game: a character decided something (the body is the intent), all that it did, or nothing (why). */
  act: 5,
  done: 6,
  failed: 7,
} as const;

/** An error as it goes from thread to thread. */
export type Fault =
  | { of: 'closed'; code: number; reason: string; why?: string }
  | { of: 'server'; code: string; message: string; partial: boolean; retryMs?: number };

/** To the thread. */
export type Order =
  | { op: 'open'; options: ThreadOptions; token?: string }
  | { op: 'connect' }
  | { op: 'token'; ask: number; token?: string; why?: string }
  | { op: 'say'; id: number; words: Omit<SayOptions, 'signal' | 'mode'> & { mode?: SayOptions['mode'] } }
  | { op: 'think'; id: number; words: { npc: string; context: string; g?: number; budgetMs?: number } }
  | { op: 'job'; id: number; kind: string; input: unknown }
  | { op: 'cancel'; id: number }
  | { op: 'observe'; kind: string; details: Record<string, unknown> }
  | { op: 'refresh'; token: string }
  | { op: 'drop' }
  | { op: 'close' }
  /** Of the thread itself: it ends. */
  | { op: 'stop' }
  /** Of the mind: how it asks, what it calls things, and a question in words. */
  | { op: 'mind'; budgetMs?: number; backedUpBytes?: number }
  | { op: 'names'; npcs?: readonly string[]; places?: readonly string[] }
  | { op: 'ask'; index: number; generation: number; npc: string; situation: string };

/** To the game. */
export type News =
  | { op: 'token'; ask: number }
  | { op: 'welcome'; welcome: Welcome }
  | { op: 'disconnected'; code: number; reason: string }
  | { op: 'reconnecting'; attempt: number; delayMs: number }
  | { op: 'push' | 'ignored'; value: unknown }
  | { op: 'error'; fault: Fault }
  | { op: 'closed'; fault: Fault }
  | { op: 'speech'; id: number; npc: string }
  | { op: 'act'; id: number; act: Act }
  | { op: 'end'; id: number; end: End }
  | { op: 'progress' | 'result'; id: number; value: unknown }
  | { op: 'failed'; id: number; fault: Fault };

/** What of a client's options the thread needs; the rest stays with the game. */
export interface ThreadOptions {
  url: string;
  encoding?: 'msgpack' | 'json';
  reconnect?: ReconnectOptions;
  connectMs?: number;
  observeBufferBytes?: number;
}

/** Why a mind has no answer: the body of `failed`. */
export interface Failure {
  retry: boolean;
  retryMs?: number;
  code?: string;
}

/** Clients that one thread can hold. */
export const mostClients = 1_024;
export const states: readonly ClientState[] = ['idle', 'connecting', 'online', 'waiting', 'closed'];
/** Places of a client's numbers, of which the game reads the newest at any time. */
export const shown = {
  state: 0,
  buffered: 1,
  clockOffsetMs: 2,
  clockTripMs: 3,
  reconnects: 4,
  resumed: 5,
  frames: 6,
  bytes: 7,
  ignored: 8,
  observed: 9,
  observeDropped: 10,
  lastFirstTokenMs: 11,
} as const;
export const shownEach = 12;

/** What both threads share; the first message to the thread. */
export interface Shared {
  readonly orders: SharedArrayBuffer;
  readonly news: SharedArrayBuffer;
  /** `shownEach` float64 for each client. */
  readonly shown: SharedArrayBuffer;
  /** int32 by `flag`. */
  readonly flags: SharedArrayBuffer;
}
export const flag = {
  /** 1: the game's loop looks for news by itself, and orders are looked for by the thread; nobody is woken. */
  pumped: 0,
  /** 1: the other side was woken and has not looked yet. */
  gameWoken: 1,
  threadWoken: 2,
} as const;
export const flags = 3;
