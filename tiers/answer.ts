// One request from its place in the queue to its terminal frame: history and state, prompt, engine, pieces, acts, end.
// Whatever happens, there is exactly one `end` or `err` that says the truth; turns.ts sends it. What a character does is
// decided in decide.ts, what is remembered stands in commit.ts.

import type { GenerateRequest } from '../bus/envelopes.ts';
import type { History, HistoryTurn } from '../bus/history.ts';
import type { End, EndReason, Err, Intent } from '../bus/protocol.ts';
import type { StateFacts } from '../bus/state.ts';
import { type Character, wordsOf } from '../npcs/characters.ts';
import { type ErrorName, errorCodes } from '../runtime/errors.ts';
import type { WorkerMetrics } from '../runtime/metrics.ts';
import { actRoomTokens, add, type DecideParts, decide } from './decide.ts';
import { EngineError, type Prompt, type Usage } from './engine.ts';
import type { OutgoingStream } from './outgoing-stream.ts';
import { buildAfterthought, buildPrompt, buildThought, type PromptParts, textsToRecall } from './prompt.ts';
import { type StateLines, stateLines } from './recall.ts';
import type { Recall, Recollection } from './recollection/recollection.ts';
import type { WarmAhead } from './warm-ahead.ts';

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

export interface AnswerParts extends DecideParts {
  readonly history: History;
  /** What the game's backend has told about a player, a character and the world. */
  readonly state: (of: { player: string; npc: string }) => Promise<StateFacts>;
  /** What was written for the characters, by meaning; undefined where there is no encoder. */
  readonly recollection?: Pick<Recollection, 'of'> | undefined;
  readonly tier: 'gold' | 'silver';
  readonly contextTokens: number;
  /** PARLEY_HISTORY_TOKENS. */
  readonly historyTokens: number;
  readonly ahead: WarmAhead;
  readonly metrics: WorkerMetrics;
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

/** What a stream ends with, and why its turn ended, if that is to be remembered. */
export interface Ending {
  readonly last: End | Err;
  readonly remember?: HistoryTurn['reason'] | undefined;
}

/** Runs one job up to its terminal frame, which is not sent yet. Never rejects. */
export async function answer(job: Job, parts: AnswerParts): Promise<Ending> {
  const { request, character, stream, abort } = job;
  const { engine, metrics, log } = parts;
  const startedAt = performance.now();
  let firstAt = 0;
  let lastAt = 0;
  let usage = noUsage;
  let model: string | undefined;
  metrics.queueSeconds.observe((startedAt - job.arrivedAt) / 1000);

  const finish = (reason: EndReason): End => {
    const now = performance.now();
    const end: End = {
      t: 'end',
      s: request.s,
      n: stream.n,
      reason,
      tier: parts.tier,
      source: 'live',
      attempts: request.attempt,
      model: model ?? engine.model,
      usage,
      timings: {
        queueMs: Math.round(startedAt - job.arrivedAt),
        firstMs: firstAt === 0 ? 0 : Math.round(firstAt - job.arrivedAt),
        totalMs: Math.round(now - job.arrivedAt),
      },
    };
    metrics.streams.inc({ outcome: reason });
    return end;
  };
  const fail = (code: ErrorName): Err => {
    metrics.streams.inc({ outcome: code });
    return errorMessage(request.s, code, stream.n > 0);
  };

  const heard = () => {
    const now = performance.now();
    if (firstAt === 0) {
      firstAt = now;
      metrics.firstPieceSeconds.observe((now - job.arrivedAt) / 1000);
    } else metrics.tokenSeconds.observe((now - lastAt) / 1000);
    lastAt = now;
  };

  try {
    abort.signal.throwIfAborted();
    if (request.mode === 'think') {
      usage = await think(job, parts, heard);
      count(metrics, usage);
      return { last: finish('stop') };
    }
    // What another worker has said of this answer counts, about a token a piece.
    const said = stream.text();
    const tokens = (request.maxTokens ?? character.sampling.maxTokens) - stream.n;
    const { contextTokens, historyTokens } = parts;
    const conversation = `${request.npc} ${request.player}`;
    const words = wordsOf(character, request);
    const [history, state] = await Promise.all([
      readHistory(request, parts),
      readStateLines(request, words, parts),
      // The words are encoded while Redis is asked.
      recallOf(character, textsToRecall(character, { history: [], words }), parts),
      parts.ahead.end(conversation),
    ]);
    const { context } = request;
    const recall = await recallOf(character, textsToRecall(character, { history, words }), parts);
    const prompt = speechPrompt(
      { character, history, words, context, state, recall, said, contextTokens, historyTokens },
      tokens,
    );
    let reason: 'stop' | 'length' | undefined;
    // Acts come after the speech: where there is one already, nothing more is said.
    if (stream.acts().length > 0) reason = 'stop';
    else if (tokens <= 0) reason = 'length';
    else {
      const options = { ...character.sampling, maxTokens: tokens };
      for await (const chunk of engine.generate(prompt, options, abort.signal)) {
        if (chunk.type === 'done') {
          usage = chunk.usage;
          model = chunk.model;
          if (chunk.reason !== 'aborted') reason = chunk.reason;
          break;
        }
        // Between an abort and the engine's last word there may be a token; the player stopped listening.
        if (abort.signal.aborted) continue;
        heard();
        stream.emitText(chunk.text);
      }
    }
    if (reason === undefined) {
      count(metrics, usage);
      abort.signal.throwIfAborted();
      throw new EngineError('internal', 'the engine stopped without saying why');
    }
    // A character that says nothing at all has failed: whoever asked can then do better than silence.
    if (stream.text().trim() === '') throw new EngineError('internal', 'the engine gave an empty answer');
    if (reason === 'stop') usage = add(usage, await act(job, prompt, words, parts));
    count(metrics, usage);
    const last = finish(reason);
    // The next question of this player is about it.
    if (request.memory) {
      const turns = [...history, { player: words, npc: stream.text() }];
      const recalled = recallOf(character, textsToRecall(character, { history: turns, words: '' }), parts);
      parts.ahead.begin(conversation, prompt, async () => {
        const coming = { character, history: turns, words: '', state, contextTokens, historyTokens };
        return speechPrompt({ ...coming, recall: await recalled }, character.sampling.maxTokens);
      });
    }
    return { last, remember: stoppedForGood(abort.signal) ? undefined : reason };
  } catch (error) {
    const stop = abort.signal.reason;
    if (stop instanceof Stop && stop.reason !== 'lost') {
      return { last: finish(stop.reason), remember: stop.commit ? stop.reason : undefined };
    }
    if (!(stop instanceof Stop)) {
      const { npc, session, s } = request;
      log.error({ err: error, npc, session, s }, 'the engine failed');
    }
    return stream.n > 0 ? { last: fail('lost'), remember: 'lost' } : { last: fail('engine_failed') };
  }
}

/** The prompt for a speech of at most `tokens`, with room for what is decided after it. */
export function speechPrompt(
  parts: Omit<PromptParts, 'character' | 'maxTokens'> & { readonly character: Character },
  tokens: number,
): Prompt {
  const actRoom = parts.character.acts.length > 0 ? actRoomTokens : 0;
  return buildPrompt({ ...parts, maxTokens: Math.max(1, tokens) + actRoom });
}

/** What the character does without a word. Rejects when the model fails or the time is over. */
async function think(job: Job, parts: AnswerParts, heard: () => void): Promise<Usage> {
  const { request, character, stream, abort } = job;
  const words = request.context ?? '';
  const state = await readStateLines(request, words, parts);
  const question = {
    request,
    character,
    words,
    done: stream.acts(),
    promptFor: (question: string) => buildThought({ character, context: words, state, question }),
    signal: abort.signal,
    emit: (intent: Intent) => {
      heard();
      stream.emitAct(intent);
    },
  };
  return decide(question, parts);
}

/**
 * What goes with the speech. The speech is whole by now, so nothing that happens here takes anything from it: a model
 * that fails, or time that runs out, only means that there is no act. Never rejects.
 */
async function act(job: Job, prompt: Prompt, words: string, parts: AnswerParts): Promise<Usage> {
  const { request, character, stream, abort } = job;
  const speech = stream.text();
  try {
    return await decide(
      {
        request,
        character,
        words,
        speech,
        done: stream.acts(),
        promptFor: (question) => buildAfterthought(prompt, speech, question),
        signal: abort.signal,
        emit: (intent) => stream.emitAct(intent),
      },
      parts,
    );
  } catch (error) {
    parts.metrics.acts.inc({ result: 'failed' });
    if (!abort.signal.aborted) parts.log.warn({ err: error, npc: request.npc }, 'a speech without its act');
    return noUsage;
  }
}

/** Whether what was said is not to be remembered, since the stream was given up. */
function stoppedForGood({ reason }: AbortSignal): boolean {
  return reason instanceof Stop && !reason.commit;
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

/** What the game has told, as far as these words bring it up. Without Redis there is none. */
async function readStateLines(
  { player, npc }: GenerateRequest,
  words: string,
  { state, game, log }: AnswerParts,
): Promise<StateLines> {
  try {
    return stateLines(await state({ player, npc }), game().state, words);
  } catch (error) {
    log.warn({ err: error, npc }, 'answering without the state of the game: it cannot be read');
    return { beside: [], asked: [] };
  }
}

/** How the character recalls at these texts. Without it, it still answers. */
async function recallOf(
  character: Character,
  texts: readonly string[],
  { recollection, log }: AnswerParts,
): Promise<Recall | undefined> {
  if (character.reminders === 0) return undefined;
  try {
    return await recollection?.of(character.id, texts);
  } catch (error) {
    log.warn({ err: error, npc: character.id }, 'answering without what was written: the encoder failed');
    return undefined;
  }
}

function count(metrics: WorkerMetrics, usage: Usage): void {
  metrics.tokens.inc({ kind: 'cached' }, usage.cached);
  metrics.tokens.inc({ kind: 'prompt' }, usage.prompt - usage.cached);
  metrics.tokens.inc({ kind: 'completion' }, usage.completion);
}
