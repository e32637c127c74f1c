// Several tokens in one step: what probably follows is guessed out of what was said before, or by a smaller model
// (draft-model.ts), and the model itself says in one batch how much of it comes true. The words are those that it would have
// said one by one. Whether that pays is decided in ../gold/speculation.ts; one sequence a batch, as rounds.ts says.

import type { LlamaContext, LlamaContextSequence, Token } from 'node-llama-cpp';
import type { Speculation } from '../gold/speculation.ts';

/** A token that the model chose, and how sure it was where that was asked for. */
export interface Decoded {
  readonly token: Token;
  readonly confidence?: number;
}

/** What the library yields one by one (`evaluateWithMetadata`); it takes the tokens to evaluate next. */
export type DecodedSource = AsyncGenerator<Decoded, unknown, undefined | Token | Token[]>;

/** Guesses what follows; `kind` tells sources apart whose guesses come true more and less often. */
export interface Guess {
  readonly kind: string;
  readonly tokens: readonly Token[];
}

/** A model that guesses for one answer. */
export interface Guesser {
  /** Why nothing is to be had from it now: it may still be reading the prompt. */
  readonly ready: boolean;
  guess(history: readonly Token[], most: number): Promise<readonly Token[]>;
}

export interface StepsOptions {
  readonly sequence: LlamaContextSequence;
  readonly source: DecodedSource;
  readonly prompt: readonly Token[];
  /** The tokens chosen so far, in order; grows before the next one is chosen, since penalties look at it. */
  readonly drawn: Token[];
  readonly ends: (token: Token) => boolean;
  /** Absent: plain steps. */
  readonly speculation?: { readonly control: Speculation; readonly guesser?: Guesser };
}

/** Runs of so many tokens must have been there before; of this many or more count as one kind. */
const shortestRun = 2;
const longestRun = 4;

/** Decodes one answer, a step at a time. */
export class Steps {
  readonly #options: Omit<StepsOptions, 'source'>;
  #source: DecodedSource | undefined;
  readonly #history: Token[];
  readonly #inner: Inner | undefined;
  #guess: readonly Token[] = [];
  #decoded: Decoded[] = [];
  #last: Token | undefined;

  constructor(options: StepsOptions) {
    const { source, ...others } = options;
    this.#options = others;
    this.#source = source;
    this.#history = [...options.prompt];
    const { sequence, speculation } = options;
    if (!speculation || speculation.control.mode === 'off' || !canVerify(sequence)) return;
    this.#inner = sequence as unknown as Inner;
    hookOf(this.#inner).verify = (plain, step) => this.#verify(plain, step);
  }

  /**
   * The next tokens in order: at least one, and none when the model has nothing more to say. `room` is how many may be
   * taken at most; `mostMs` how long others can wait.
   */
  async next(room: number, mostMs?: number): Promise<readonly Decoded[]> {
    const { sequence, speculation } = this.#options;
    const began = performance.now();
    const { kind, tokens } = await this.#makeGuess(room - 1, mostMs);
    const draftMs = performance.now() - began;
    this.#guess = tokens;
    this.#decoded = [];
    const before = sequence.nextTokenIndex;
    const { value, done } = await this.#source!.next(
      this.#last === undefined ? undefined : [this.#last, ...tokens],
    );
    if (done) return [];
    if (tokens.length === 0) this.#take(value);
    const accepted = this.#decoded.length - 1;
    // Behind the first token that came out otherwise the sequence holds what was never said.
    if (accepted < tokens.length)
      await sequence.eraseContextTokenRanges([
        { start: before + 1 + accepted, end: sequence.nextTokenIndex },
      ]);
    if (this.#inner)
      speculation?.control.saw({
        kind,
        drafted: tokens.length,
        accepted,
        ms: performance.now() - began,
        draftMs,
      });
    return this.#decoded;
  }

  /** Ends the generation and leaves the sequence as it was found. */
  async close(): Promise<void> {
    if (this.#inner) hookOf(this.#inner).verify = undefined;
    await this.#source?.return(undefined);
    // Else the library's sampler, with half a megabyte that no collector knows of, lives as long as whatever holds this.
    this.#source = undefined;
  }

  #take(decoded: Decoded): void {
    this.#decoded.push(decoded);
    this.#options.drawn.push(decoded.token);
    this.#history.push(decoded.token);
    this.#last = decoded.token;
  }

  async #makeGuess(room: number, mostMs: number | undefined): Promise<Guess> {
    const { speculation, ends } = this.#options;
    if (!this.#inner || !speculation || this.#last === undefined || room < 1) return none;
    const { control, guesser } = speculation;
    const run = findRun(this.#history);
    if (run) {
      const kind = `lookup-${run.length}`;
      const most = control.wanted(kind, room, mostMs);
      const tokens = this.#history.slice(run.end, run.end + most);
      const end = tokens.findIndex(ends);
      if (most > 0) return { kind, tokens: end < 0 ? tokens : tokens.slice(0, end) };
    }
    if (!guesser?.ready) return none;
    const most = control.wanted('model', room, mostMs);
    return most === 0 ? none : { kind: 'model', tokens: await guesser.guess(this.#history, most) };
  }

  /**
   * In place of the library's own step, with its own sampler: it evaluates the guess with the last token, and then
   * chooses token by token, in order, until one is not the guessed one. So sampler, penalties and grammar see exactly
   * the tokens that they would have seen one by one. (The library's own predictors choose at every place and see
   * tokens that are never said.)
   */
  async #verify(plain: DecodeTokens, step: Parameters<DecodeTokens>): Promise<unknown[]> {
    if (this.#guess.length === 0) return plain(...step);
    const [tokens, , priority, meter, shift, choose, after] = step;
    let last: unknown = null;
    let over = false;
    const every = tokens.map(() => true);
    const chooseInOrder = async (logits: number, at: number): Promise<unknown> => {
      if (over) return null;
      last = await choose(logits, at);
      const token = (Array.isArray(last) ? last[0] : last) as Token | null;
      over = true;
      if (token === null || token === (-1 as Token)) return null;
      const confidence = Array.isArray(last) ? (last[2] as number | undefined) : undefined;
      this.#take({ token, confidence });
      over = this.#options.ends(token) || token !== tokens[at + 1];
      return null;
    };
    await plain(tokens, every, priority, meter, shift, chooseInOrder, after);
    const results: unknown[] = [];
    // What the library yields is the last one; the others are in #decoded.
    results[tokens.length - 1] = last;
    return results;
  }
}

const none: Guess = { kind: 'none', tokens: [] };

/**
 * Where the last few tokens stood before: how many of them (up to `longestRun`; the longest, and of these the latest
 * place, is taken), and the place after them. Undefined when not even `shortestRun` did.
 */
export function findRun(history: readonly Token[]): { length: number; end: number } | undefined {
  const { length } = history;
  let best: { length: number; end: number } | undefined;
  for (let end = length - 1; end >= shortestRun; end--) {
    let n = 0;
    while (n < longestRun && n < end && history[end - 1 - n] === history[length - 1 - n]) n++;
    if (n < shortestRun || n <= (best?.length ?? 0)) continue;
    best = { length: n, end };
    if (n === longestRun) break;
  }
  return best;
}

type DecodeTokens = (
  tokens: Token[],
  logits: boolean[],
  priority: unknown,
  meter: unknown,
  contextShift: unknown,
  choose: (logits: number, at: number) => unknown,
  afterBatch: unknown,
) => Promise<unknown[]>;

/** Inner name of the library (3.21): everything that a sequence evaluates goes through it. */
interface Inner {
  _decodeTokens: DecodeTokens;
}

/** Who verifies on a sequence at present; without anybody it decodes as the library does. */
interface Hook {
  verify: ((plain: DecodeTokens, step: Parameters<DecodeTokens>) => Promise<unknown[]>) | undefined;
}

const hooks = new WeakMap<Inner, Hook>();

/** The hook of a sequence, made with its first use and kept. */
function hookOf(sequence: Inner): Hook {
  const known = hooks.get(sequence);
  if (known) return known;
  const plain = sequence._decodeTokens.bind(sequence);
  const hook: Hook = { verify: undefined };
  sequence._decodeTokens = (...step) => (hook.verify ?? callPlain)(plain, step);
  hooks.set(sequence, hook);
  return hook;
}

function callPlain(plain: DecodeTokens, step: Parameters<DecodeTokens>): Promise<unknown[]> {
  return plain(...step);
}

/** Models that cannot drop single tokens again (recurrent ones) would compute everything anew for each wrong guess. */
function canVerify(sequence: LlamaContextSequence): boolean {
  return !sequence.needsCheckpoints && typeof (sequence as unknown as Inner)._decodeTokens === 'function';
}

/** Tokens by which a context shows its arithmetic: quantized layers swallow most differences of the first few. */
const sampleText =
  'The smith of the village has a good sword, and she sells it to you. The miller keeps the old mill by the river.';
const sampleTokens = 24;

/**
 * Whether this context computes exactly the same for a token alone and for one among several, to the last bit. Some
 * kernels of llama.cpp do not: then the most probable token may be another one at a near tie. To be called before
 * anybody uses the context. Evaluates some fifty tokens.
 */
export async function computesAlike(context: LlamaContext): Promise<boolean> {
  const sequence = context.getSequence();
  try {
    const { bos } = context.model.tokens;
    const words = context.model.tokenize(sampleText);
    const [first, ...rest] = bos === null ? words : [bos, ...words];
    if (first === undefined || rest.length < sampleTokens) return false;
    const tokens = rest.slice(0, sampleTokens);
    const ask = { generateNext: { confidence: true, token: true, options: { temperature: 0 } } } as const;
    await sequence.evaluateWithoutGeneratingNewTokens([first]);
    const alone: unknown[] = [];
    for (const token of tokens) alone.push(...(await sequence.controlledEvaluate([[token, ask]])));
    await sequence.eraseContextTokenRanges([{ start: 1, end: sequence.nextTokenIndex }]);
    const together: unknown[] = await sequence.controlledEvaluate(tokens.map((token) => [token, ask]));
    return alone.length > 0 && JSON.stringify(alone) === JSON.stringify(together);
  } finally {
    await sequence.dispose();
  }
}
