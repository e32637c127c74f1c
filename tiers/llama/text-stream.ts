// From tokens to text that may be shown: heals characters whose bytes are cut between tokens, trims the blank
// beginning of an answer, and holds back what may become a stop string. One instance for each answer.

/** Turns tokens into text, given the tokens before them (a tokenizer may write a token otherwise at the start). */
export type Detokenize<T> = (tokens: readonly T[], before: readonly T[]) => string;

const replacement = '\ufffd';
/** Bytes of one character are never spread over more tokens than this; what still looks cut then is just odd. */
const mostHeldTokens = 8;
const contextTokens = 4;

export class TextStream<T> {
  readonly #detokenize: Detokenize<T>;
  readonly #stop: readonly string[];
  #before: T[] = [];
  #cut: T[] = [];
  /** Text that is decoded but not yet given out, since a stop string may begin in it. */
  #held = '';
  #started: boolean;
  #tokens = 0;
  /** A stop string was met: the answer is over. */
  stopped = false;

  /** `continues`: the answer goes on from words already said, so its beginning is not trimmed. */
  constructor(detokenize: Detokenize<T>, stop: readonly string[], continues: boolean) {
    this.#detokenize = detokenize;
    this.#stop = stop.filter((s) => s.length > 0);
    this.#started = continues;
  }

  /** Takes a token; returns what may be shown now, with the tokens that it accounts for, or nothing yet. */
  push(token: T): { text: string; tokens: number } | undefined {
    this.#tokens++;
    this.#cut.push(token);
    const text = this.#detokenize(this.#cut, this.#before);
    if (text.endsWith(replacement) && this.#cut.length < mostHeldTokens) return undefined;
    this.#before = [...this.#before, ...this.#cut].slice(-contextTokens);
    this.#cut = [];
    this.#add(text);
    return this.#take(this.#held.length - (this.stopped ? 0 : this.#possibleStop()));
  }

  /** The answer ended for another reason than a stop string: what was held back is text after all. */
  end(): { text: string; tokens: number } | undefined {
    // Bytes of a character that never came to its end are dropped: they are no Unicode.
    if (!this.stopped && this.#cut.length > 0) {
      this.#add(this.#detokenize(this.#cut, this.#before).replace(/\ufffd+$/u, ''));
      this.#cut = [];
    }
    return this.#take(this.#held.length);
  }

  #add(text: string): void {
    let more = text;
    if (!this.#started) {
      more = more.trimStart();
      this.#started = more.length > 0;
    }
    this.#held += more;
    const at = this.#stop.map((s) => this.#held.indexOf(s)).filter((i) => i >= 0);
    if (at.length === 0) return;
    this.#held = this.#held.slice(0, Math.min(...at));
    this.stopped = true;
  }

  /** Length of the longest end of the held text with which a stop string begins. */
  #possibleStop(): number {
    let longest = 0;
    for (const stop of this.#stop) {
      for (let n = Math.min(stop.length - 1, this.#held.length); n > longest; n--) {
        if (this.#held.endsWith(stop.slice(0, n))) longest = n;
      }
    }
    return longest;
  }

  #take(length: number): { text: string; tokens: number } | undefined {
    if (length === 0) return undefined;
    // Never between the halves of a surrogate pair.
    const whole = length < this.#held.length && isHighSurrogate(this.#held, length - 1) ? length - 1 : length;
    if (whole === 0) return undefined;
    const text = this.#held.slice(0, whole);
    const tokens = this.#tokens;
    this.#held = this.#held.slice(whole);
    this.#tokens = 0;
    return { text, tokens };
  }
}

function isHighSurrogate(text: string, at: number): boolean {
  const unit = text.charCodeAt(at);
  return unit >= 0xd800 && unit <= 0xdbff;
}
