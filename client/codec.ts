// The two encodings, as a client needs them, and the messages that it writes. What bytes may do to it is settled in
// messagepack.ts; whether a message has the fields of its kind, the reader of that kind looks.

import type { Encoding } from '../bus/protocol.ts';
import { pack, unpack } from './messagepack.ts';

export interface SayMessage {
  t: 'say';
  s: number;
  npc: string;
  text?: string;
  topic?: string;
  mode?: 'alongside' | 'think';
  context?: string;
  g?: number;
  budgetMs?: number;
  maxTokens?: number;
}
export interface JobMessage {
  t: 'job';
  s: number;
  kind: string;
  input: unknown;
}
export interface HelloMessage {
  t: 'hello';
  token: string;
  resume?: { session: string; key: string; streams: { s: number; n: number }[] };
}
/** What a client sends: bus/protocol.ts without its checks, which only the edge makes. */
export type Outgoing =
  | HelloMessage
  | SayMessage
  | JobMessage
  | { t: 'cancel'; s: number }
  | { t: 'observe'; kind: string; [field: string]: unknown }
  | { t: 'refresh'; token: string }
  | { t: 'ping'; c: number }
  | { t: 'bye' };

/** A message as it came: only its kind is certain. */
export interface Incoming {
  t: string;
  [field: string]: unknown;
}

/** The WebSocket subprotocol of an encoding. */
export const subprotocolOf = (encoding: Encoding) => `parley.v1.${encoding}`;

/** Throws TypeError for what cannot be written, as a function or a circle. Fields that are undefined are left out. */
export function encode(message: Outgoing, encoding: Encoding): string | Uint8Array {
  return encoding === 'json' ? JSON.stringify(message, writable) : pack(message);
}

/** Makes JSON write what MessagePack does: half a character, as a cut-off emoji ends with, is no valid Unicode. */
function writable(_key: string, value: unknown): unknown {
  if (typeof value === 'function' || typeof value === 'symbol')
    throw new TypeError(`a ${typeof value} cannot be sent`);
  return typeof value === 'string' && !value.isWellFormed() ? value.toWellFormed() : value;
}

/** Throws when the frame is no message of this encoding. */
export function decode(data: unknown, encoding: Encoding): Incoming {
  let message: unknown;
  if (encoding === 'json' && typeof data === 'string') message = JSON.parse(data);
  else if (encoding === 'msgpack' && data instanceof ArrayBuffer) message = unpack(new Uint8Array(data));
  if (typeof (message as Incoming | null | undefined)?.t !== 'string') {
    throw new TypeError(`not a message of ${subprotocolOf(encoding)}`);
  }
  return message as Incoming;
}

/** A map: no array, no bytes, nothing empty. */
export function isMap(value: unknown): value is Record<string, unknown> {
  return (
    typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array)
  );
}
