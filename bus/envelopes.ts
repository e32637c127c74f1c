// What travels on the bus besides frames: requests, control messages, heartbeats and acceptances. Each carries
// a version; unknown fields are ignored, because deploys mix versions. A payload is checked here when it
// arrives and believed afterwards.

import { z } from 'zod';
import { ParleyError } from '../runtime/errors.ts';
import { decode, encodingOf } from './codec.ts';
import { type Encoding, firstIssue } from './protocol.ts';

export const envelopeVersion = 1;
const version = z.number().int().min(1).default(envelopeVersion);
/** What `encodeId` takes: it becomes a part of subjects and keys, where nobody expects it to be refused. */
const id = z
  .string()
  .min(1)
  .refine(
    (s) => s.isWellFormed() && Buffer.byteLength(s) <= 128,
    'is not at most 128 bytes of valid Unicode',
  );
const count = z.number().int().min(0);

/**
 * Pieces that were emitted: text (neighbours may be merged) or an act. `last` is the number of the last piece in it;
 * the first is one more than the `last` before.
 */
const segments = z
  .array(
    z.union([
      z.object({ last: count, d: z.string() }),
      z.object({
        last: count,
        act: z.object({
          v: count.optional(),
          name: id,
          args: z.record(z.string(), z.unknown()),
          ttlMs: count,
          g: count.optional(),
          confidence: z.number().min(0).max(1).optional(),
        }),
      }),
    ]),
  )
  .max(100_000);
export type Segments = z.output<typeof segments>;

/** Subject `generate`. A gateway fills everything; a backend needs `npc`, `player` and `text` or `topic`. */
const generateRequest = z
  .object({
    v: version,
    npc: id,
    player: id,
    text: z.string().min(1).max(100_000).optional(),
    topic: id.optional(),
    /** `think`: no words, only what the character decides to do; `context` is the situation. */
    mode: z.literal('think').optional(),
    context: z.string().max(100_000).optional(),
    /** Repeated in the acts of the answer. */
    g: count.optional(),
    maxTokens: z.number().int().min(1).max(1_000_000).optional(),
    /** The stream this answers; absent from a backend's request. */
    session: id.optional(),
    s: z.number().int().default(0),
    attempt: z.number().int().min(1).max(65_535).default(1),
    /** Raised by each `welcome`; commands of an older epoch are ignored. */
    epoch: count.default(0),
    /** What the player's socket speaks. Absent: as the request itself. */
    encoding: z.enum(['msgpack', 'json']).optional(),
    /** How long text may be gathered before it is sent. */
    frameMs: z.number().int().min(0).max(10_000).default(0),
    /** Whether the conversation so far is read and this turn is added to it. */
    memory: z.boolean().default(true),
    /** What another worker has said of this very answer: the new one goes on after it. */
    said: segments.optional(),
  })
  .refine((m) => (m.mode === 'think') !== ((m.text === undefined) !== (m.topic === undefined)), {
    message: 'needs either text or topic, or mode think',
    path: ['text'],
  });
export type GenerateRequest = z.output<typeof generateRequest>;
export type GenerateRequestInput = z.input<typeof generateRequest>;

/** The longest that one message can pin a character. */
const mostLeaseMs = 300_000;

const streamRef = { v: version, session: id, s: z.number().int(), epoch: count.default(0) };

/** Subject `worker.<id>.control`. */
const control = z.discriminatedUnion('op', [
  z.object({
    op: z.literal('cancel'),
    ...streamRef,
    attempt: z.number().int().min(1),
    /** Whether the turn is committed with what was emitted. An attempt that was given up commits nothing. */
    commit: z.boolean(),
    /** Why, as the history will say. */
    reason: z.enum(['cancelled', 'deadline', 'lost']).default('cancelled'),
  }),
  /** The stream goes on elsewhere: answers `accepted`, then what comes after piece `n`, merged, then live. */
  z.object({
    op: z.literal('attach'),
    ...streamRef,
    attempt: z.number().int().min(1),
    n: count,
    encoding: z.enum(['msgpack', 'json']),
    /** Also send what came before, as a `kept` frame: the gateway has none of it and may need it for a fail-over. */
    withKept: z.boolean().default(false),
  }),
  /** Are you there? Answered with nothing but an answer. */
  z.object({ op: z.literal('probe'), v: version }),
  /**
   * Players of `holder` (a gateway) stand near a character: its prefix is to stay in the cache for `forMs` from now on, and
   * to be brought there. Sent again it renews the lease. Answered with a `pinAnswer`.
   */
  z.object({
    op: z.literal('pin'),
    v: version,
    npc: id,
    holder: id,
    forMs: z.number().int().min(1).max(mostLeaseMs),
  }),
  /** None of them does any more; leases of other holders stay. */
  z.object({ op: z.literal('release'), v: version, npc: id, holder: id }),
]);
export type Control = z.output<typeof control>;

/** What became of a pin. */
const pinAnswer = z.object({
  v: version,
  /** `kv_full`: leases of others hold what leases may hold. */
  result: z.enum(['pinned', 'renewed', 'kv_full', 'unknown_npc', 'failed']).catch('failed'),
  /** For operators. */
  message: z.string().optional(),
});
export type PinAnswer = z.output<typeof pinAnswer>;

const beat = z.object({
  v: version,
  worker: id,
  tier: z.enum(['gold', 'silver', 'bronze']),
  /** Counts up; lets a listener see that beats were missed. */
  seq: count,
  model: z.string(),
  engine: z.string(),
  draining: z.boolean(),
  active: count,
  queued: count,
  concurrency: count,
  queueLimit: count,
  prefillMsPerToken: z.number().min(0),
  decodeMsPerToken: z.number().min(0),
  /** Characters whose prefix has KV in this worker's memory. */
  resident: z.array(id).max(10_000),
  /** Characters with a lease. Absent from a worker that takes no pins. */
  pinned: z.array(id).max(10_000).optional(),
  continues: z.enum(['text', 'none']),
});
export type Beat = z.output<typeof beat>;

/** Body of the first frame of a stream. */
const accepted = z.object({
  v: version,
  worker: id,
  attempt: z.number().int().min(1),
  /** How many requests wait before it. */
  queued: count,
  /** In answer to `attach`: whether the stream has ended and what its last piece is. */
  ended: z.boolean().optional(),
});
export type Accepted = z.output<typeof accepted>;

/** Body of a `kept` frame. */
const kept = z.object({ v: version, segments });

/** Subject `gateway.<id>.control`: the player is elsewhere since that epoch. */
const gatewayControl = z.object({
  op: z.literal('moved'),
  v: version,
  player: id,
  session: id,
  epoch: count,
});
export type GatewayControl = z.output<typeof gatewayControl>;

/** Subject `gateway.<id>.deliver`: something for a player whose socket that gateway holds. */
const deliver = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('push'), v: version, player: id, message: z.record(z.string(), z.unknown()) }),
  /** What a character says of its own accord: `text` is the whole line. */
  z.object({
    kind: z.literal('speech'),
    v: version,
    player: id,
    npc: id,
    text: z.string(),
    source: z.enum(['live', 'authored']),
    model: z.string(),
    tier: z.enum(['gold', 'silver', 'none']),
  }),
]);
export type Deliver = z.output<typeof deliver>;

/** Subject `npc.<npc>.say`: the line itself, or what it should be about; spoken once, heard by all of `players`. */
const npcSay = z
  .object({
    v: version,
    players: z.array(id).min(1).max(1_000),
    /** Said word for word. */
    line: z.string().min(1).max(4_000).optional(),
    /** What the character should speak about, in the author's words; a model puts it into the character's. */
    about: z.string().min(1).max(4_000).optional(),
  })
  .refine((m) => (m.line === undefined) !== (m.about === undefined), {
    message: 'needs either line or about',
    path: ['line'],
  });
export type NpcSay = z.output<typeof npcSay>;

function reader<T>(what: string, schema: z.ZodType<T>) {
  /** Throws ParleyError `bad_message`; `detail` names the field. */
  return (payload: Uint8Array): T => {
    const result = schema.safeParse(decode(payload, encodingOf(payload)));
    if (result.success) return result.data;
    throw new ParleyError('bad_message', `${what}: ${firstIssue(result.error)}`);
  };
}

export const readGenerateRequest = reader('generate', generateRequest);
export const readControl = reader('control', control);
export const readPinAnswer = reader('pin answer', pinAnswer);
export const readBeat = reader('beat', beat);
export const readAccepted = reader('accepted', accepted);
export const readKept = reader('kept', kept);
export const readGatewayControl = reader('gateway control', gatewayControl);
export const readDeliver = reader('deliver', deliver);
export const readNpcSay = reader('say', npcSay);

/** The encoding in which a stream's frames are written. */
export function answerEncoding(request: GenerateRequest, payload: Uint8Array): Encoding {
  return request.encoding ?? encodingOf(payload);
}
