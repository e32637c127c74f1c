// The model's own tokenizer, asked of the Triton model `tokenize` (repository/tokenize): texts to tokens, with what was
// asked lately kept, and the bytes of each token, fetched once, by which answers become text without a call.

import { randomUUID } from 'node:crypto';
import type { Prompt } from '../../engine.ts';
import { type Piece, renderPieces, type TemplateName } from './chat-templates.ts';
import type { TritonClient } from './client.ts';
import { TritonFault } from './fault.ts';
import { bool, bytes, inferRequest, Outputs } from './tensors.ts';

export interface RenderedTokens {
  readonly tokens: readonly number[];
  /** How many of them are the same for every player of the character. */
  readonly prefix: number;
  readonly trailing: string;
}

/** Texts whose tokens are kept: personas and examples, and the turns of conversations that go on. */
const mostKept = 8_192;
const withinMs = 5_000;

export class Tokenizer {
  /** The token by which a generation ends, for the tensor `end_id`. */
  readonly endToken: number;
  readonly #client: TritonClient;
  readonly #model: string;
  readonly #template: TemplateName;
  readonly #pieces: readonly Buffer[];
  readonly #special: ReadonlySet<number>;
  readonly #kept = new Map<string, readonly number[]>();

  /** Fetches the vocabulary. Throws TritonFault when the model `tokenize` answers something else. */
  static async load(client: TritonClient, model: string, template: TemplateName): Promise<Tokenizer> {
    const request = inferRequest(model, randomUUID(), [bool('want_vocabulary', [true])]);
    const outputs = new Outputs(await client.infer(request, 4 * withinMs));
    const pieces = outputs.bytes('token_bytes');
    const control = outputs.ints('control_ids');
    const ends = outputs.ints('end_ids');
    if (!pieces?.length || !control || !ends?.length)
      throw new TritonFault(
        'wrong_repository',
        `The model ${model} of ${client.address} tells no vocabulary.`,
      );
    return new Tokenizer(client, model, template, { pieces, control, ends });
  }

  private constructor(
    client: TritonClient,
    model: string,
    template: TemplateName,
    words: { pieces: readonly Buffer[]; control: readonly number[]; ends: readonly number[] },
  ) {
    this.#client = client;
    this.#model = model;
    this.#template = template;
    this.#pieces = words.pieces;
    this.#special = new Set([...words.control, ...words.ends]);
    this.endToken = words.ends[0]!;
  }

  /** The tokens of a prompt; only what is not known yet is asked for. Throws TritonFault. */
  async render(prompt: Prompt): Promise<RenderedTokens> {
    const { pieces, shared, trailing } = renderPieces(this.#template, prompt);
    const parts = await this.#encode(pieces);
    const prefix = parts.slice(0, shared).reduce((sum, part) => sum + part.length, 0);
    return { tokens: parts.flat(), prefix, trailing };
  }

  /** The text of tokens. Bytes of a character that is not whole come as U+FFFD. */
  text(tokens: readonly number[]): string {
    return Buffer.concat(tokens.map((token) => this.#pieces[token] ?? Buffer.alloc(0))).toString('utf8');
  }

  /** Whether this token ends a turn: the end of generation, or a control token that has no place in an answer. */
  ends(token: number): boolean {
    return this.#special.has(token);
  }

  /** Whether there is such a token at all. */
  has(token: number): boolean {
    return token >= 0 && token < this.#pieces.length;
  }

  async #encode(pieces: readonly Piece[]): Promise<readonly (readonly number[])[]> {
    const found = new Map<string, readonly number[]>();
    const missing = new Map<string, Piece>();
    for (const piece of pieces) {
      const key = keyOf(piece);
      const known = this.#kept.get(key);
      if (known) found.set(key, known);
      else missing.set(key, piece);
    }
    if (missing.size > 0) {
      const asked = [...missing];
      const counted = await this.#ask(asked.map(([, piece]) => piece));
      for (const [i, [key]] of asked.entries()) found.set(key, counted[i]!);
    }
    for (const [key, tokens] of found) this.#keep(key, tokens);
    return pieces.map((piece) => found.get(keyOf(piece))!);
  }

  async #ask(pieces: readonly Piece[]): Promise<readonly number[][]> {
    const inputs = [
      bytes(
        'text',
        pieces.map(({ text }) => text),
      ),
      bool(
        'control',
        pieces.map(({ control }) => control),
      ),
    ];
    const outputs = new Outputs(
      await this.#client.infer(inferRequest(this.#model, randomUUID(), inputs), withinMs),
    );
    const tokens = outputs.ints('token_ids');
    const counts = outputs.ints('token_counts');
    const sum = counts?.reduce((total, n) => total + n, 0);
    if (
      !tokens ||
      counts?.length !== pieces.length ||
      sum !== tokens.length ||
      !tokens.every((t) => this.has(t))
    )
      throw new TritonFault(
        'garbage',
        `The model ${this.#model} of ${this.#client.address} answered nonsense.`,
      );
    let at = 0;
    return counts.map((count) => {
      at += count;
      return tokens.slice(at - count, at);
    });
  }

  /** What was used last stays longest. */
  #keep(key: string, tokens: readonly number[]): void {
    this.#kept.delete(key);
    this.#kept.set(key, tokens);
    if (this.#kept.size > mostKept) this.#kept.delete(this.#kept.keys().next().value!);
  }
}

function keyOf({ text, control }: Piece): string {
  return `${control ? 'c' : 'p'}${text}`;
}
