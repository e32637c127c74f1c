// From the answers of a stream to text and usage, in both forms of tensors. Decides where an answer ends; asks nobody.

import type { Chunk, GenerateOptions, Prompt, Usage } from '../../engine.ts';
import { TextStream } from '../../llama/text-stream.ts';
import { TritonFault } from './fault.ts';
import type { Outputs } from './tensors.ts';
import type { Tokenizer } from './tokenizer.ts';

type Piece = Extract<Chunk, { type: 'text' }>;

/** Characters of an answer that are believed for each token that was asked for; the longest tokens are spaces and rules. */
const mostCharactersPerToken = 256;

abstract class Answer {
  /** How it ended, once it has. */
  reason: 'stop' | 'length' | undefined;
  protected completion = 0;
  protected readonly maxTokens: number;
  readonly #tokensPerBlock: number;
  #prompt: number;
  #cached = 0;
  /** Whether the model tells how much of the prompt it had in its cache. */
  tellsCached = false;
  #cumLogProb: number | undefined;
  /** What was guessed for this answer and came true, as TensorRT-LLM counts it; undefined where it does not tell. */
  guessed: { readonly drafted: number; readonly accepted: number } | undefined;

  constructor(promptTokens: number, maxTokens: number, tokensPerBlock: number) {
    this.#prompt = promptTokens;
    this.maxTokens = maxTokens;
    this.#tokensPerBlock = tokensPerBlock;
  }

  get usage(): Usage {
    return {
      prompt: this.#prompt,
      cached: Math.min(this.#cached, this.#prompt),
      completion: this.completion,
    };
  }

  /** How sure the model was, a token on average (geometrically), where it tells. */
  get confidence(): number | undefined {
    if (this.#cumLogProb === undefined || this.completion === 0) return undefined;
    return Math.min(1, Math.exp(this.#cumLogProb / this.completion));
  }

  /** Takes one answer of the stream; yields what may be shown now. Throws TritonFault `garbage` or `flood`. */
  *take(outputs: Outputs): Generator<Piece> {
    const reused = outputs.ints('kv_cache_reused_blocks')?.[0];
    if (reused !== undefined) this.tellsCached = true;
    this.#cached = (reused ?? 0) * this.#tokensPerBlock || this.#cached;
    this.#prompt = outputs.ints('num_input_tokens')?.[0] || this.#prompt;
    this.#cumLogProb = outputs.floats('cum_log_probs')?.[0] ?? this.#cumLogProb;
    const drafted = outputs.ints('total_draft_tokens')?.[0];
    const accepted = outputs.ints('total_accepted_draft_tokens')?.[0];
    if (drafted !== undefined && accepted !== undefined)
      this.guessed = { drafted, accepted: Math.min(accepted, drafted) };
    yield* this.read(outputs);
  }

  /** The stream has ended by itself; yields what was held back. */
  *end(): Generator<Piece> {
    this.reason ??= this.completion >= this.maxTokens ? 'length' : 'stop';
    yield* this.rest();
  }

  protected abstract read(outputs: Outputs): Generator<Piece>;
  protected abstract rest(): Generator<Piece>;
}

/** What the answer is to. */
interface Asked {
  /** Tokens of the prompt. */
  readonly prompt: number;
  readonly options: GenerateOptions;
  readonly maxTokens: number;
  /** Whether it goes on from words already said. */
  readonly continues: boolean;
}

/** Of a model that answers in token ids. */
export class TokenAnswer extends Answer {
  readonly #tokenizer: Tokenizer;
  readonly #text: TextStream<number>;

  constructor(
    tokenizer: Tokenizer,
    { prompt, options, maxTokens, continues }: Asked,
    tokensPerBlock: number,
  ) {
    super(prompt, maxTokens, tokensPerBlock);
    this.#tokenizer = tokenizer;
    this.#text = new TextStream<number>((cut) => tokenizer.text(cut), options.stop ?? [], continues);
  }

  protected override *read(outputs: Outputs): Generator<Piece> {
    const ids = outputs.ints('output_ids');
    if (!ids) throw new TritonFault('garbage', 'Triton sent an answer without output_ids.');
    for (const id of ids) {
      if (this.reason) return;
      if (!this.#tokenizer.has(id))
        throw new TritonFault('garbage', `Triton sent the token ${id}, which there is not.`);
      if (this.#tokenizer.ends(id)) {
        this.reason = 'stop';
        yield* this.rest();
        return;
      }
      this.completion++;
      yield* textOf(this.#text.push(id));
      if (this.#text.stopped) this.reason = 'stop';
      else if (this.completion >= this.maxTokens) {
        this.reason = 'length';
        yield* this.rest();
      }
    }
  }

  protected override *rest(): Generator<Piece> {
    yield* textOf(this.#text.end());
  }
}

/** Of a model that answers in text: pieces, or each time the whole of it. */
export class TextAnswer extends Answer {
  readonly #accumulates: boolean;
  readonly #text: TextStream<string>;
  #seen = 0;

  constructor(
    accumulates: boolean,
    { prompt, options, maxTokens, continues }: Asked,
    tokensPerBlock: number,
  ) {
    super(prompt, maxTokens, tokensPerBlock);
    this.#accumulates = accumulates;
    this.#text = new TextStream<string>((cut) => cut.join(''), options.stop ?? [], continues);
  }

  protected override *read(outputs: Outputs): Generator<Piece> {
    const text = outputs.bytes('text_output')?.[0]?.toString('utf8');
    if (text === undefined) throw new TritonFault('garbage', 'Triton sent an answer without text_output.');
    this.completion = Math.max(this.completion + 1, outputs.ints('num_output_tokens')?.[0] ?? 0);
    if (text.length > mostCharactersPerToken * this.maxTokens + 1_024)
      throw new TritonFault(
        'flood',
        `Triton sent ${text.length} characters; ${this.maxTokens} tokens were asked for.`,
      );
    // The end of a character that is not whole yet shows as U+FFFD, and is written anew by the next answer.
    const whole = text.replace(/\ufffd+$/u, '');
    const piece = this.#accumulates ? whole.slice(this.#seen) : text;
    this.#seen = Math.max(this.#seen, whole.length);
    if (piece !== '') yield* textOf(this.#text.push(piece));
    if (this.#text.stopped) this.reason = 'stop';
  }

  protected override *rest(): Generator<Piece> {
    yield* textOf(this.#text.end());
  }
}

function* textOf(piece: { text: string; tokens: number } | undefined): Generator<Piece> {
  if (piece) yield { type: 'text', ...piece };
}

/** Whether the answer goes on from words already said, so that its beginning is not trimmed. */
export function goesOn(prompt: Prompt, trailing: string): boolean {
  return prompt.said !== undefined && prompt.said !== '' && trailing === '';
}
