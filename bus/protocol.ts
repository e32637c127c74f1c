// The player's protocol: the messages between a client and the edge, and the check at the door. PROTOCOL.md is
// the specification for people; this file is the one place in code. Workers write the messages to clients, the
// gateway forwards them. The types are used by client/ too.

import { z } from 'zod';
import { ParleyError } from '../runtime/errors.ts';

/** WebSocket subprotocols, one an encoding. */
export const subprotocols = { 'parley.v1.msgpack': 'msgpack', 'parley.v1.json': 'json' } as const;
export type Subprotocol = keyof typeof subprotocols;
export type Encoding = (typeof subprotocols)[Subprotocol];

// ---- client to edge ----

const utf8 = new TextEncoder();

/** Stream numbers are the client's own, 1 to 2^31 - 1, and go up. */
const streamNumber = z.number().int().min(1).max(0x7fffffff);
const pieceNumber = z.number().int().min(0).max(0xffffffff);
/** Rejects lone surrogates: they cannot be written as UTF-8. */
const wellFormed = z.string().refine((s) => s.isWellFormed(), 'is not valid Unicode');
/** As `encodeId` in subjects.ts takes it. */
const id = wellFormed.min(1).refine((s) => utf8.encode(s).length <= 128, 'is longer than 128 bytes');

const resume = z.object({
  session: id,
  key: id,
  /** The last piece that the client has of each stream it has not seen the end of. */
  streams: z
    .array(z.object({ s: z.number().int(), n: pieceNumber }))
    .max(1000)
    .default([]),
});

const clientMessages = z.discriminatedUnion('t', [
  z.object({ t: z.literal('hello'), token: z.string().min(1).max(8192), resume: resume.optional() }),
  z
    .object({
      t: z.literal('say'),
      s: streamNumber,
      npc: id,
      text: wellFormed.optional(),
      topic: id.optional(),
      /**
       * `alongside`: do not cancel what the character is saying to this player. `think`: nobody has spoken; the
       * character decides what to do in the situation that `context` tells, and answers with acts alone.
       */
      mode: z.enum(['alongside', 'think']).optional(),
      context: wellFormed.optional(),
      /** The generation of the intent that is asked for: acts repeat it, and a client refuses those of an older one. */
      g: z.number().int().min(0).max(0xffffffff).optional(),
      budgetMs: z.number().int().min(1).max(3_600_000).optional(),
      maxTokens: z.number().int().min(1).max(1_000_000).optional(),
    })
    .refine((m) => m.mode === 'think' || (m.text === undefined) !== (m.topic === undefined), {
      message: 'needs either text or topic',
      path: ['text'],
    })
    .refine((m) => m.mode !== 'think' || (m.text === undefined && m.topic === undefined), {
      message: 'nobody speaks in mode think: leave out text and topic',
      path: ['mode'],
    }),
  z.object({ t: z.literal('cancel'), s: z.number().int() }),
  z.object({ t: z.literal('observe'), kind: id }).loose(),
  z.object({ t: z.literal('job'), s: streamNumber, kind: id, input: z.unknown() }),
  z.object({ t: z.literal('refresh'), token: z.string().min(1).max(8192) }),
  z.object({ t: z.literal('ping'), c: z.number().optional() }),
  z.object({ t: z.literal('bye') }),
]);

export type ClientMessage = z.output<typeof clientMessages>;
export type Hello = Extract<ClientMessage, { t: 'hello' }>;
export type Say = Extract<ClientMessage, { t: 'say' }>;
export type Observe = Extract<ClientMessage, { t: 'observe' }>;
/** What a client writes: defaults may be left out. */
export type ClientMessageInput = z.input<typeof clientMessages>;
export const clientMessageKinds: ReadonlySet<string> = new Set(
  clientMessages.options.map((o) => o.shape.t.value as string),
);

/**
 * Checks a decoded message from a client. Throws ParleyError: `unknown_type` for a `t` that is not in the protocol,
 * `bad_message` for anything else, with the field in `detail` (the client may see that text: it only repeats what
 * the client sent).
 */
export function parseClientMessage(message: object): ClientMessage {
  const t = (message as { t?: unknown }).t;
  if (typeof t !== 'string') throw new ParleyError('bad_message', 't: is missing or no text');
  if (!clientMessageKinds.has(t)) throw new ParleyError('unknown_type', 't: is no message of this protocol');
  const result = clientMessages.safeParse(message);
  if (result.success) return result.data;
  throw new ParleyError('bad_message', firstIssue(result.error));
}

/** "field: what is wrong" of the first issue. */
export function firstIssue(error: z.ZodError): string {
  const issue = error.issues[0];
  return issue ? `${issue.path.join('.') || 'message'}: ${issue.message}` : 'message: invalid';
}

// ---- edge to client ----

export interface Welcome {
  t: 'welcome';
  /** Version of the protocol. */
  v: 1;
  session: string;
  /** Proves that the session is the player's own when it is resumed. A secret. */
  key: string;
  player: string;
  /** Send `ping` when nothing else was sent for this long. */
  pingMs: number;
  /** The server's clock, ms since the epoch. */
  time: number;
  limits: {
    frameBytes: number;
    textChars: number;
    contextChars: number;
    streams: number;
    messagesPerSecond: number;
  };
  /** Whether the session of `hello.resume` goes on. */
  resumed: boolean;
  /** What became of each stream named in `hello.resume`. */
  streams: StreamState[];
}

export interface StreamState {
  s: number;
  /**
   * `resumed`: what was missed follows, then live pieces. `ended`: what was missed follows, with the terminal frame.
   * `unknown`: never arrived, safe to send again. `lost`: it ran, and the rest cannot be had.
   */
  state: 'resumed' | 'ended' | 'unknown' | 'lost';
}

/** A piece of text, or several merged: `n` is the number of the last, `f` of the first when it differs. */
export interface Tok {
  t: 'tok';
  s: number;
  n: number;
  f?: number;
  d: string;
  /** Who speaks, in a stream that the server opened. */
  npc?: string;
}

/** The newest form of `act`; a client leaves acts of a newer one alone. */
export const actVersion = 1;

/** What the character decides. npcs/verbs.ts says which verbs there are and what their `args` are. */
export interface Intent {
  /** The form of the intent; absent: 1. */
  v?: number;
  name: string;
  args: Record<string, unknown>;
  /** Good for so long after it arrived; then the character goes back to its own habits. */
  ttlMs: number;
  /** As in the `say` that it answers. */
  g?: number;
  /** 0 to 1: how sure the model was. Absent: not known. */
  confidence?: number;
}

/** What the character does: an intent, as one piece of a stream. */
export interface Act extends Intent {
  t: 'act';
  s: number;
  n: number;
}

export type EndReason = 'stop' | 'length' | 'cancelled' | 'deadline' | 'filtered';

/** The stream ended as it should; `n` is the number of its last piece (0: there was none). */
export interface End {
  t: 'end';
  s: number;
  n: number;
  reason: EndReason;
  tier: 'gold' | 'silver' | 'bronze' | 'none';
  /** Who made the words: a model just now, a precomputed answer, or the author of the character. */
  source: 'live' | 'ready' | 'authored';
  attempts: number;
  model: string;
  usage: { prompt: number; cached: number; completion: number };
  /** Milliseconds on the worker: waiting for a place, to the first piece, in all. */
  timings: { queueMs: number; firstMs: number; totalMs: number };
}

export interface Err {
  t: 'err';
  /** The stream it ends; without it, the message that it answers is refused and nothing else happens. */
  s?: number;
  code: string;
  message: string;
  /** A part of the answer was delivered before. */
  partial?: boolean;
  retryMs?: number;
}

export type ServerMessage =
  | Welcome
  | Tok
  | Act
  | End
  | Err
  /** Whatever a backend sent. */
  | { t: 'push'; data: Record<string, unknown> }
  | { t: 'job'; s: number; [field: string]: unknown }
  | { t: 'reconnect'; afterMs: number }
  | { t: 'pong'; c?: number; time: number };
