// Who has the say over what a character does. An act of a verb with authority `client` passes once its arguments are
// as the verb wants them; for one with authority `server` the game's server is asked on the bus and the act waits for
// its answer. Says what the player may hear; how the stream waits meanwhile stands in relay.ts.

import { errors, type NatsConnection } from '@nats-io/nats-core';
import { z } from 'zod';
import { decode, encode, encodingOf } from '../bus/codec.ts';
import { writeHeaders } from '../bus/headers.ts';
import { actVersion, type Intent } from '../bus/protocol.ts';
import type { Subjects } from '../bus/subjects.ts';
import { faultOf, type Verb } from '../npcs/verbs.ts';
import type { Config } from '../runtime/config.ts';
import type { Log } from '../runtime/log.ts';
import type { GatewayMetrics } from '../runtime/metrics.ts';
import type { Stream } from './stream.ts';

export interface ActAuthorityParts {
  readonly connection: NatsConnection;
  readonly subjects: Subjects;
  readonly verbs: () => ReadonlyMap<string, Verb>;
  readonly metrics: GatewayMetrics;
  readonly log: Log;
  readonly config: Pick<Config, 'actMs'>;
}

/** What was decided about piece `n` of a stream: kept, so that a player who comes back hears the same. */
export interface Decision {
  /** The act as the worker wrote it. */
  readonly asked: string;
  /** What the player hears of it; undefined: nothing. */
  readonly act: Intent | undefined;
}

/** Acts of one stream about which somebody is asked; a worker that wants more is not to be believed. */
const maxAsked = 64;
/** An answer that comes a little after the stream's deadline is still heard: the words are there already. */
const graceMs = 500;

const intent = z.looseObject({
  v: z.literal(actVersion).optional(),
  name: z.string(),
  args: z.record(z.string(), z.unknown()),
  ttlMs: z.number().int().min(0).max(0xffffffff),
  g: z.number().int().min(0).max(0xffffffff).optional(),
  confidence: z.number().min(0).max(1).optional(),
});

const reply = z.object({ ok: z.boolean(), args: z.record(z.string(), z.unknown()).optional() });

/** Why an act goes no further, as the metric has it. */
class Refused extends Error {
  readonly result: string;
  constructor(result: string, detail: string) {
    super(detail);
    this.result = result;
  }
}

export class ActAuthority {
  private readonly parts: ActAuthorityParts;

  constructor(parts: ActAuthorityParts) {
    this.parts = parts;
  }

  /**
   * Calls `done` with what the player may hear of a worker's act, piece `n` of the stream, or with undefined when it is
   * refused: before this returns where nobody has to be asked, within `actMs` otherwise. Never throws.
   */
  decide(stream: Stream, n: number, body: Uint8Array, done: (act: Intent | undefined) => void): void {
    try {
      const act = readAct(body);
      const verb = this.parts.verbs().get(act.name);
      if (!verb) throw new Refused('unknown_verb', 'no such verb');
      const fault = faultOf(verb, act.args);
      if (fault) throw new Refused('bad_args', fault);
      if (verb.authority === 'client') {
        this.parts.metrics.acts.inc({ result: 'passed' });
        return done(act);
      }
      const asked = JSON.stringify(act);
      stream.decided ??= new Map();
      const before = stream.decided.get(n);
      if (before?.asked === asked) return done(before.act);
      if (stream.decided.size >= maxAsked) throw new Refused('too_many', 'more acts than an answer may have');
      void this.ask(stream, n, verb, act).then((agreed) => {
        stream.decided?.set(n, { asked, act: agreed });
        done(agreed);
      });
    } catch (error) {
      this.refuse(stream, error);
      done(undefined);
    }
  }

  /** What the game's server makes of it; undefined when it is not done. Never rejects. */
  private async ask(stream: Stream, n: number, verb: Verb, act: Intent): Promise<Intent | undefined> {
    const { connection, subjects, metrics, config } = this.parts;
    const { session, s, say, traceparent } = stream;
    const { name, args, g, confidence, ttlMs } = act;
    const question = {
      v: 1,
      player: session.player,
      session: session.id,
      s,
      n,
      npc: say.npc,
      name,
      args,
      ttlMs,
      g,
      confidence,
    };
    const timeout = Math.min(config.actMs, Math.max(graceMs, stream.deadlineAt - performance.now()));
    try {
      const answer = await connection.request(subjects.act(session.player), encode(question, 'json'), {
        timeout,
        headers: writeHeaders({ budgetMs: timeout, traceparent }),
      });
      const { ok, args: corrected } = readReply(answer.data);
      if (!ok) throw new Refused('refused', 'the game server does not agree');
      const fault = corrected && faultOf(verb, corrected);
      if (fault) throw new Refused('bad_reply', `args: ${fault}`);
      metrics.acts.inc({ result: 'agreed' });
      return corrected ? { ...act, args: corrected } : act;
    } catch (error) {
      this.refuse(stream, error);
      return undefined;
    }
  }

  private refuse(stream: Stream, error: unknown): void {
    const result = error instanceof Refused ? error.result : reasonOf(error);
    this.parts.metrics.acts.inc({ result });
    if (result === 'refused') return;
    const detail = error instanceof Error ? error.message : String(error);
    this.parts.log.warn({ result, detail, npc: stream.say.npc, worker: stream.worker }, 'an act is not done');
  }
}

function reasonOf(error: unknown): string {
  if (error instanceof errors.TimeoutError) return 'timeout';
  if (error instanceof errors.NoRespondersError) return 'no_responders';
  if (error instanceof errors.RequestError && error.isNoResponders()) return 'no_responders';
  return 'failed';
}

/** The intent in a worker's frame, with fields of later releases left as they are. */
function readAct(body: Uint8Array): Intent {
  let result: ReturnType<typeof intent.safeParse>;
  try {
    result = intent.safeParse(decode(body, encodingOf(body)));
  } catch (cause) {
    throw new Refused('malformed', (cause as Error).message);
  }
  if (!result.success) throw new Refused('malformed', z.prettifyError(result.error));
  const { t: _t, s: _s, n: _n, ...act } = result.data;
  return act;
}

function readReply(data: Uint8Array): z.output<typeof reply> {
  try {
    return reply.parse(decode(data, encodingOf(data)));
  } catch (cause) {
    throw new Refused('bad_reply', (cause as Error).message);
  }
}
