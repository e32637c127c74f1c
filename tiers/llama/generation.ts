// One answer, from its prompt to its last token: a sequence that holds as much of the prompt as possible, the rest
// of the prompt in chunks, then token by token, each in its turn. Leaves the sequence so that the next can use it.

import { randomInt } from 'node:crypto';
import type {
  LlamaContextSequence,
  LlamaGrammarEvaluationState,
  SequenceEvaluateOptions,
  Token,
} from 'node-llama-cpp';
import { type Chunk, EngineError, type GenerateOptions, type Prompt, type Usage } from '../engine.ts';
import type { Speculation } from '../gold/speculation.ts';
import type { ChatTemplate, Rendered } from './chat-template.ts';
import type { DraftModel } from './draft-model.ts';
import type { Grammars } from './grammars.ts';
import type { Outlet } from './outlet.ts';
import type { Prefixes } from './prefixes.ts';
import type { Rounds } from './rounds.ts';
import { type Decoded, Steps } from './speculation.ts';
import { TextStream } from './text-stream.ts';

export interface GenerationParts {
  readonly template: ChatTemplate;
  readonly rounds: Rounds;
  readonly grammars: Grammars;
  /** Prompt and answer together. */
  readonly contextTokens: number;
  /** Says whether and how far to guess ahead. */
  readonly speculation: Speculation;
  readonly draft?: DraftModel;
}

/** What a generation needs of the context that it runs in (adapted-context.ts). */
export interface Place {
  readonly prefixes: Prefixes;
  /** Whether a token among several is computed to the last bit as one alone. */
  readonly computesAlike: boolean;
}

export interface Wanted {
  readonly prompt: Prompt;
  readonly options: GenerateOptions;
  readonly signal: AbortSignal;
  readonly outlet: Outlet<Chunk>;
}

/** An answer needs room for at least so many tokens, or the prompt counts as too long. */
const leastAnswerTokens = 16;
/** How many of its own last tokens a repeat penalty looks at. */
const repeatWindow = 64;

export class Generation {
  readonly #parts: GenerationParts;
  readonly #wanted: Wanted;
  #rendered: Rendered = { tokens: [], prefix: 0, trailing: '' };
  #maxTokens = 0;
  #cached = 0;
  /** The tokens of the answer. */
  readonly #said: Token[] = [];
  /** Sum of the logarithms of their probabilities, where they are asked for. */
  #logProbability = 0;
  /** False while the library is at work on the sequence: if it fails then, nobody knows what the sequence holds. */
  #sound = true;

  constructor(parts: GenerationParts, wanted: Wanted) {
    this.#parts = parts;
    this.#wanted = wanted;
  }

  /** What was spent so far. */
  get usage(): Usage {
    return { prompt: this.#rendered.tokens.length, cached: this.#cached, completion: this.#said.length };
  }

  /** How sure the model was, a token on average (geometrically), where the answer had a schema. */
  get certainty(): { confidence?: number } {
    if (this.#wanted.options.schema === undefined || this.#said.length === 0) return {};
    return { confidence: Math.exp(this.#logProbability / this.#said.length) };
  }

  /** Renders the prompt. Throws EngineError `prompt_too_long`. */
  prepare(): void {
    const { prompt, options } = this.#wanted;
    this.#rendered = this.#parts.template.render(prompt);
    const { length } = this.#rendered.tokens;
    // The library keeps one place of the context free; past that it would cut off the persona.
    const room = this.#parts.contextTokens - 1 - length;
    if (room < Math.min(leastAnswerTokens, options.maxTokens)) {
      throw new EngineError(
        'prompt_too_long',
        `The prompt has ${length} tokens; a context of ${this.#parts.contextTokens} leaves no room for an answer.`,
      );
    }
    this.#maxTokens = Math.min(options.maxTokens, room);
  }

  /**
   * Streams the answer into the outlet; to be called when there is room, with the context that it is to run in.
   * Rejects with the reason of the abort, or an error.
   */
  async run({ prefixes, computesAlike }: Place): Promise<'stop' | 'length'> {
    const { npc } = this.#wanted.prompt;
    const { tokens, prefix } = this.#rendered;
    const computed = await prefixes.ensure(npc, tokens, prefix, 'live', this.#wanted.signal);
    const lease = await prefixes.lease(npc, tokens, prefix);
    try {
      // The last token is left for the first step of decoding, which needs one.
      const common = Math.min(lease.common, tokens.length - 1);
      this.#cached = Math.max(0, common - computed);
      await this.#prefill(lease.sequence, common);
      return await this.#decode(lease.sequence, this.#mayGuess(computesAlike));
    } finally {
      await lease.giveBack(this.#sound ? 'sound' : 'spoilt');
    }
  }

  /** Reads the prompt and says nothing. Rejects with the reason of the abort, or an error. */
  async read({ prefixes }: Pick<Place, 'prefixes'>): Promise<void> {
    const { npc } = this.#wanted.prompt;
    const { tokens, prefix } = this.#rendered;
    await prefixes.ensure(npc, tokens, prefix, 'warm', this.#wanted.signal);
    const lease = await prefixes.lease(npc, tokens, prefix);
    try {
      await this.#prefill(lease.sequence, Math.min(lease.common, tokens.length - 1), 'warm');
    } finally {
      await lease.giveBack(this.#sound ? 'sound' : 'spoilt');
    }
  }

  /** Cuts off what the sequence holds after the common beginning, and fills it with the rest of the prompt. */
  async #prefill(
    sequence: LlamaContextSequence,
    common: number,
    urgency: 'live' | 'warm' = 'live',
  ): Promise<void> {
    const { tokens } = this.#rendered;
    await this.#step(() =>
      sequence.eraseContextTokenRanges([{ start: common, end: sequence.nextTokenIndex }]),
    );
    await this.#parts.rounds.prefill({
      npc: this.#wanted.prompt.npc,
      tokens: tokens.length - 1 - common,
      urgency: () => urgency,
      signal: this.#wanted.signal,
      step: (count) => {
        const at = sequence.nextTokenIndex;
        return this.#step(() => sequence.evaluateWithoutGeneratingNewTokens(tokens.slice(at, at + count)));
      },
    });
  }

  /** The most probable token must be the same with guesses and without; what is drawn by lot follows the same odds. */
  #mayGuess(computesAlike: boolean): boolean {
    return this.#parts.speculation.mode !== 'off' && (computesAlike || this.#wanted.options.temperature > 0);
  }

  async #decode(sequence: LlamaContextSequence, mayGuess: boolean): Promise<'stop' | 'length'> {
    const { prompt, options, signal, outlet } = this.#wanted;
    const { template, rounds, speculation, draft } = this.#parts;
    const { tokens, trailing } = this.#rendered;
    const text = new TextStream<Token>(
      (cut, before) => template.detokenize(cut, before),
      options.stop ?? [],
      prompt.said !== undefined && prompt.said !== '' && trailing === '',
    );
    const emit = (piece: { text: string; tokens: number } | undefined) => {
      if (piece) outlet.push({ type: 'text', ...piece });
    };
    // What the model has chosen, of which the reader has had #said.
    const drawn: Token[] = [];
    const grammar = options.schema && (await this.#parts.grammars.stateFor(options.schema));
    // Probabilities cost a sorting of the vocabulary, so they are only asked for where they are used.
    const source = sequence.evaluateWithMetadata(
      tokens.slice(-1),
      { confidence: grammar !== undefined } as { confidence: true },
      sampling(options, drawn, grammar),
    );
    const guesser = mayGuess ? draft?.begin(prompt.npc, tokens, rounds, signal) : undefined;
    const steps = new Steps({
      sequence,
      source,
      prompt: tokens,
      drawn,
      ends: (token) => template.ends(token),
      ...(mayGuess && { speculation: { control: speculation, guesser } }),
    });
    let ahead: Decoded[] = [];
    let whole = '';
    const leave = rounds.enter();
    try {
      while (true) {
        await outlet.ready(signal);
        if (ahead.length === 0) {
          const room = this.#maxTokens - this.#said.length;
          const step = () => this.#step(() => steps.next(room, rounds.mostStepMs));
          ahead = [...(await rounds.decode(prompt.npc, signal, step))];
        }
        const next = ahead.shift();
        if (!next || template.ends(next.token)) {
          emit(text.end());
          return 'stop';
        }
        const { token, confidence = 0 } = next;
        this.#said.push(token);
        if (grammar) this.#logProbability += Math.log(Math.max(confidence, 1e-9));
        const piece = text.push(token);
        emit(piece);
        if (text.stopped) return 'stop';
        // Nothing but the end may follow the value, so it need not be asked for.
        whole += piece?.text ?? '';
        if (grammar && isWhole(whole)) return 'stop';
        if (this.#said.length >= this.#maxTokens) {
          emit(text.end());
          return 'length';
        }
      }
    } finally {
      leave();
      await steps.close();
      await guesser?.end();
    }
  }

  async #step<T>(work: () => Promise<T>): Promise<T> {
    this.#sound = false;
    const result = await work();
    this.#sound = true;
    return result;
  }
}

const dry = { strength: 0.8, base: 1.75, allowedLength: 4, lastTokens: 256, sequenceBreakers: ['\n'] };

/** Whether an answer with a schema is complete; one that is no object ends by itself. */
function isWhole(text: string): boolean {
  if (!text.endsWith('}')) return false;
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** The library's options; `drawn` grows while it reads them. */
function sampling(
  options: GenerateOptions,
  drawn: readonly Token[],
  grammar: LlamaGrammarEvaluationState | undefined,
): SequenceEvaluateOptions {
  const penalty = options.repeatPenalty ?? 1;
  return {
    temperature: options.temperature,
    topP: options.topP ?? 0.95,
    topK: options.topK ?? 40,
    minP: options.minP ?? 0,
    // The library's own default is the second of the clock: all streams of a second would share their luck.
    seed: options.seed ?? randomInt(2 ** 31),
    // Of its own answer alone: punishing the words of the persona would drive a character out of its role.
    ...(penalty === 1
      ? {}
      : {
          repeatPenalty: {
            penalty,
            punishTokens: () => drawn.slice(-repeatWindow),
            maxPunishTokens: repeatWindow,
          },
        }),
    // Small models fall into loops. This makes it ever less likely that an answer repeats a run of its own words.
    // Without `lastTokens` the library (3.21) does nothing at all.
    // A value of JSON has to repeat the words of its schema.
    ...(grammar ? { grammarEvaluationState: grammar } : { dryRepeatPenalty: dry }),
    // Seen by #decode, which ends the answer.
    yieldEogToken: true,
  };
}
