// A smaller model that guesses what the larger one will say (PARLEY_DRAFT_MODEL): a context of its own with a sequence
// for each answer, which reads the prompt in chunks beside everybody else's and guesses greedily. Whether its guesses
// are right is found out in speculation.ts; whether they pay, in ../gold/speculation.ts.

import { resolve } from 'node:path';
import type { LlamaContext, LlamaContextSequence, LlamaModel, Token } from 'node-llama-cpp';
import { EngineError } from '../engine.ts';
import { commonLength } from './chat-template.ts';
import { type LoadedModel, words } from './load-model.ts';
import type { Rounds } from './rounds.ts';
import type { Guesser } from './speculation.ts';

export interface DraftOptions {
  /** A .gguf file of a model with the same vocabulary. */
  readonly file: string;
  /** Answers at once. */
  readonly sequences: number;
  readonly contextTokens: number;
  readonly threads: number;
}

const batchTokens = 256;
/** A token that it is less sure of ends a guess: what would follow is worth less still. */
const leastConfidence = 0.4;

export class DraftModel {
  readonly #context: LlamaContext;
  readonly #idle: LlamaContextSequence[];

  /** Throws EngineError `unavailable`, naming the file and what to do. */
  static async load(target: LoadedModel, options: DraftOptions): Promise<DraftModel> {
    const file = resolve(options.file);
    let model: LlamaModel | undefined;
    try {
      model = await target.llama.loadModel({ modelPath: file });
      const other = difference(vocabulary(model), vocabulary(target.model));
      if (other !== undefined) throw new Error(other);
      const context = await model.createContext({
        sequences: options.sequences,
        contextSize: Math.min(options.contextTokens, model.trainContextSize),
        batchSize: batchTokens,
        threads: options.threads,
        swaFullCache: true,
        failedCreationRemedy: false,
      });
      return new DraftModel(context);
    } catch (cause) {
      await model?.dispose();
      throw new EngineError(
        'unavailable',
        `The draft model ${file} cannot be used: ${words(cause)}. Set PARLEY_DRAFT_MODEL to a smaller .gguf model of ` +
          `the same family as ${target.name}, or leave it empty.`,
        { cause },
      );
    }
  }

  private constructor(context: LlamaContext) {
    this.#context = context;
    this.#idle = Array.from({ length: context.totalSequences }, () => context.getSequence());
  }

  /** Takes the sequence that knows most of this prompt; undefined when all are taken. */
  begin(npc: string, prompt: readonly Token[], rounds: Rounds, signal: AbortSignal): Draft | undefined {
    const known = this.#idle.map((sequence) => commonLength(sequence.contextTokens, prompt));
    const at = known.indexOf(Math.max(...known));
    const [sequence] = at < 0 ? [] : this.#idle.splice(at, 1);
    return sequence && new Draft(sequence, (back) => this.#idle.push(back), { npc, prompt, rounds, signal });
  }

  async close(): Promise<void> {
    await this.#context.dispose();
  }
}

interface DraftFor {
  readonly npc: string;
  readonly prompt: readonly Token[];
  readonly rounds: Rounds;
  readonly signal: AbortSignal;
}

/** The draft model's side of one answer. */
export class Draft implements Guesser {
  readonly #sequence: LlamaContextSequence;
  readonly #giveBack: (sequence: LlamaContextSequence) => void;
  readonly #reading: Promise<void>;
  /** Ends the reading with the answer. */
  readonly #over = new AbortController();
  ready = false;

  constructor(
    sequence: LlamaContextSequence,
    giveBack: (sequence: LlamaContextSequence) => void,
    about: DraftFor,
  ) {
    this.#sequence = sequence;
    this.#giveBack = giveBack;
    // Whoever fails here has no guesses; the answer itself goes on.
    this.#reading = this.#read(about).catch(() => {});
  }

  async guess(history: readonly Token[], most: number): Promise<readonly Token[]> {
    const sequence = this.#sequence;
    if (history.length + most >= sequence.context.contextSize - 1) return [];
    const common = Math.min(commonLength(sequence.contextTokens, history), history.length - 1);
    await sequence.eraseContextTokenRanges([{ start: common, end: sequence.nextTokenIndex }]);
    const source = sequence.evaluateWithMetadata(
      history.slice(common),
      { confidence: true },
      { temperature: 0, yieldEogToken: true },
    );
    const guessed: Token[] = [];
    for await (const { token, confidence } of source) {
      if (confidence < leastConfidence || sequence.model.isEogToken(token)) break;
      guessed.push(token);
      if (guessed.length >= most) break;
    }
    return guessed;
  }

  async end(): Promise<void> {
    this.#over.abort();
    await this.#reading;
    this.#giveBack(this.#sequence);
  }

  /** Behind the first token of the answer: nobody waits for it. */
  async #read({ npc, prompt, rounds, signal }: DraftFor): Promise<void> {
    const sequence = this.#sequence;
    const common = commonLength(sequence.contextTokens, prompt);
    await sequence.eraseContextTokenRanges([{ start: common, end: sequence.nextTokenIndex }]);
    await rounds.prefill({
      npc,
      tokens: prompt.length - common,
      urgency: () => 'live',
      signal: AbortSignal.any([signal, this.#over.signal]),
      step: (count) => {
        const at = sequence.nextTokenIndex;
        return sequence.evaluateWithoutGeneratingNewTokens([...prompt.slice(at, at + count)]);
      },
    });
    this.ready = true;
  }
}

function vocabulary(model: LlamaModel): readonly string[] {
  return (model.fileInfo.metadata.tokenizer?.ggml?.tokens ?? []) as readonly string[];
}

/** In words, what makes the vocabularies differ; undefined when they are the same. */
function difference(draft: readonly string[], target: readonly string[]): string | undefined {
  if (draft.length !== target.length)
    return `its vocabulary has ${draft.length} tokens, that of the model ${target.length}`;
  const at = draft.findIndex((token, i) => token !== target[i]);
  return at < 0
    ? undefined
    : `token ${at} is "${draft[at]}" in its vocabulary and "${target[at]}" in the model's`;
}
