// One request from its place in the queue to its terminal frame: history, prompt, engine, pieces, end. Whatever
// happens, the stream ends with exactly one `end` or `err` that says the truth. What is remembered of it stands
// in commit.ts.

import type { GenerateRequest } from '../bus/envelopes.ts';
import type { History, HistoryTurn } from '../bus/history.ts';
import type { End, EndReason, Err } from '../bus/protocol.ts';
import { type Character, wordsOf } from '../npcs/characters.ts';
import { type ErrorName, errorCodes } from '../runtime/errors.ts';
import type { Log } from '../runtime/log.ts';
import type { WorkerMetrics } from '../runtime/metrics.ts';
import { type Engine, EngineError, type Usage } from './engine.ts';
import type { OutgoingStream } from './outgoing-stream.ts';
import { buildPrompt } from './prompt.ts';

/** Why a stream was stopped from outside: the reason that its AbortSignal carries. */
export class Stop {
  readonly reason: EndReason | 'lost';
  /** Whether what was said until now becomes part of the history. */
  readonly commit: boolean;

  constructor(reason: EndReason | 'lost', commit: boolean) {
    this.reason = reason;
    this.commit = commit;
  }
}

export interface AnswerParts {
  readonly engine: Engine;
  readonly history: History;
  readonly tier: 'gold' | 'silver';
  readonly contextTokens: number;
  readonly metrics: WorkerMetrics;
  readonly log: Log;
}

export interface Job {
  readonly request: GenerateRequest;
  readonly character: Character;
  readonly stream: OutgoingStream;
  readonly abort: AbortController;
  /** Monotonic ms when the request arrived. */
  readonly arrivedAt: number;
  /** The gateway has placed the stream elsewhere: nothing of this try is committed. */
  givenUp?: boolean;
}

const noUsage: Usage = { prompt: 0, cached: 0, completion: 0 };

/** Runs one job to its terminal frame; resolves with why it ended if the turn is to be remembered. Never rejects. */
export async function answer(job: Job, parts: AnswerParts): Promise<HistoryTurn['reason'] | undefined> {
  const { request, character, stream, abort } = job;
  const { engine, metrics, log } = parts;
  const startedAt = performance.now();
  let firstAt = 0;
  let lastAt = 0;
  let usage = noUsage;
  metrics.queueSeconds.observe((startedAt - job.arrivedAt) / 1000);

  const finish = (reason: EndReason) => {
    const now = performance.now();
    const end: End = {
      t: 'end',
      s: request.s,
      n: stream.n,
      reason,
      tier: parts.tier,
      source: 'live',
      attempts: request.attempt,
      model: engine.model,
      usage,
      timings: {
        queueMs: Math.round(startedAt - job.arrivedAt),
        firstMs: firstAt === 0 ? 0 : Math.round(firstAt - job.arrivedAt),
        totalMs: Math.round(now - job.arrivedAt),
      },
    };
    stream.end(end);
    metrics.streams.inc({ outcome: reason });
  };
  const fail = (code: ErrorName) => {
    stream.end(errorMessage(request.s, code, stream.n > 0));
    metrics.streams.inc({ outcome: code });
  };

  try {
    abort.signal.throwIfAborted();
    // What another worker has said of this answer counts, about a token a piece.
    const said = stream.text();
    const tokens = (request.maxTokens ?? character.sampling.maxTokens) - stream.n;
    const { contextTokens } = parts;
    const history = await readHistory(request, parts);
    const prompt = buildPrompt({
      character,
      history,
      words: wordsOf(character, request),
      context: request.context,
      said,
      contextTokens,
      maxTokens: Math.max(1, tokens),
    });
    let reason: 'stop' | 'length' | undefined = tokens > 0 ? undefined : 'length';
    if (reason === undefined) {
      const options = { ...character.sampling, maxTokens: tokens };
      for await (const chunk of engine.generate(prompt, options, abort.signal)) {
        if (chunk.type === 'done') {
          usage = chunk.usage;
          if (chunk.reason !== 'aborted') reason = chunk.reason;
          break;
        }
        // Between an abort and the engine's last word there may be a token; the player stopped listening.
        if (abort.signal.aborted) continue;
        const now = performance.now();
        if (firstAt === 0) {
          firstAt = now;
          metrics.firstPieceSeconds.observe((now - job.arrivedAt) / 1000);
        } else metrics.tokenSeconds.observe((now - lastAt) / 1000);
        lastAt = now;
        stream.emitText(chunk.text);
      }
    }
    count(metrics, usage);
    if (reason === undefined) abort.signal.throwIfAborted();
    if (reason === undefined) throw new EngineError('internal', 'the engine stopped without saying why');
    // A character that says nothing at all has failed: whoever asked can then do better than silence.
    if (stream.text().trim() === '') throw new EngineError('internal', 'the engine gave an empty answer');
    finish(reason);
    return reason;
  } catch (error) {
    const stop = abort.signal.reason;
    if (stop instanceof Stop && stop.reason !== 'lost') {
      finish(stop.reason);
      return stop.commit ? stop.reason : undefined;
    }
    if (!(stop instanceof Stop)) {
      const { npc, session, s } = request;
      log.error({ err: error, npc, session, s }, 'the engine failed');
    }
    fail(stream.n > 0 ? 'lost' : 'engine_failed');
    return stream.n > 0 ? 'lost' : undefined;
  }
}

/** The `err` that a stream ends with. */
export function errorMessage(s: number, code: ErrorName, partial = false): Err {
  return { t: 'err', s, code, message: errorCodes[code].message, ...(partial ? { partial } : {}) };
}

/** Without Redis a character has no memory, but it still answers. */
async function readHistory(request: GenerateRequest, { history, log }: AnswerParts): Promise<HistoryTurn[]> {
  if (!request.memory) return [];
  try {
    return await history.read(request.player, request.npc);
  } catch (error) {
    log.warn({ err: error, npc: request.npc }, 'answering without memory: history cannot be read');
    return [];
  }
}

function count(metrics: WorkerMetrics, usage: Usage): void {
  metrics.tokens.inc({ kind: 'cached' }, usage.cached);
  metrics.tokens.inc({ kind: 'prompt' }, usage.prompt - usage.cached);
  metrics.tokens.inc({ kind: 'completion' }, usage.completion);
}
