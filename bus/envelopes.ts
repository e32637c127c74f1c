// What travels on the bus besides frames: requests, control messages, heartbeats and acceptances. Each carries
// a version; unknown fields are ignored, because deploys mix versions. A payload is checked here when it
// arrives and believed afterwards.

import { z } from 'zod';
import { ParleyError } from '../runtime/errors.ts';
import { decode, encodingOf } from './codec.ts';
import { type Encoding, firstIssue } from './protocol.ts';

export const envelopeVersion = 1;
const version = z.number().int().min(1).default(envelopeVersion);
const id = z.string().min(1).max(128);
const count = z.number().int().min(0);

/** Subject `generate`. A gateway fills everything; a backend needs `npc`, `player` and `text` or `topic`. */
const generateRequest = z
  .object({
    v: version,
    npc: id,
    player: id,
    text: z.string().min(1).max(100_000).optional(),
    topic: id.optional(),
    context: z.string().max(100_000).optional(),
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
  })
  .refine((m) => (m.text === undefined) !== (m.topic === undefined), {
    message: 'needs either text or topic',
    path: ['text'],
  });
export type GenerateRequest = z.output<typeof generateRequest>;
export type GenerateRequestInput = z.input<typeof generateRequest>;

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
  }),
]);
export type Control = z.output<typeof control>;

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
export const readBeat = reader('beat', beat);
export const readAccepted = reader('accepted', accepted);

/** The encoding in which a stream's frames are written. */
export function answerEncoding(request: GenerateRequest, payload: Uint8Array): Encoding {
  return request.encoding ?? encodingOf(payload);
}
