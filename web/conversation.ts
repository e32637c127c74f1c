// One character's conversation on the page: what was said, words as they come, figures under each answer. Whatever
// players and models say enters the page as text nodes alone.

import { ClosedError, type End, type Stream, type StreamError } from '../client/index.ts';

const nearPx = 96;

export class Conversation {
  readonly element: HTMLOListElement;
  readonly #name: string;
  readonly #empty: HTMLLIElement;

  constructor(name: string) {
    this.#name = name;
    this.element = make('ol', 'conversation');
    this.element.setAttribute('aria-label', `Conversation with ${name}`);
    this.#empty = make('li', 'empty', `Nothing has been said yet. ${name} is listening.`);
    this.element.append(this.#empty);
  }

  /** Shows the player's words and the answer as it comes. Resolves with what a screen reader should say at the end. */
  async show(words: string, stream: Stream): Promise<string> {
    this.#empty.remove();
    const mine = make('li', 'turn mine');
    mine.append(make('span', 'who', 'You'), make('p', 'words', words));

    const theirs = make('li', 'turn theirs speaking');
    const text = document.createTextNode('');
    const answer = make('p', 'words');
    answer.append(text);
    theirs.append(make('span', 'who', this.#name), answer);
    this.element.append(mine, theirs);
    this.#scroll(true);

    stream.on('text', (piece) => {
      const atEnd = this.#isAtEnd();
      // A model may begin with a space.
      text.appendData(text.length === 0 ? piece.trimStart() : piece);
      this.#scroll(atEnd);
    });
    let spoken: string;
    let below: HTMLElement;
    try {
      const end = await stream.end;
      below = make('p', 'figures', figures(stream, end));
      spoken = `${this.#name}: ${text.data || 'says nothing'}`;
    } catch (error) {
      spoken = fault(error as StreamError | ClosedError);
      below = make('p', 'fault', spoken);
    }
    const atEnd = this.#isAtEnd();
    theirs.classList.remove('speaking');
    theirs.append(below);
    this.#scroll(atEnd);
    return spoken;
  }

  /** Whether the reader is at the end, or nearly: somebody who reads further up is left there. */
  #isAtEnd(): boolean {
    const box = this.element.parentElement;
    return box !== null && box.scrollHeight - box.scrollTop - box.clientHeight < nearPx;
  }

  #scroll(wanted: boolean): void {
    const box = this.element.parentElement;
    if (wanted && box) box.scrollTop = box.scrollHeight;
  }
}

/** An element with a class and text. */
export function make<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  className: string,
  text = '',
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  element.className = className;
  element.textContent = text;
  return element;
}

const reasons: Partial<Record<End['reason'], string>> = {
  length: 'cut at its length',
  cancelled: 'stopped',
  deadline: 'ran out of time',
  filtered: 'withheld',
};

function figures({ times }: Stream, end: End): string {
  const { asked, first, ended } = times;
  const parts: string[] = [];
  if (end.reason !== 'stop') parts.push(reasons[end.reason] ?? end.reason);
  if (first !== undefined) parts.push(`first word ${Math.round(first - asked)} ms`);
  if (first !== undefined && ended !== undefined && ended > first && end.usage.completion > 1) {
    parts.push(`${(((end.usage.completion - 1) * 1000) / (ended - first)).toFixed(1)} tokens/s`);
  }
  if (end.tier !== 'none') parts.push(end.tier);
  parts.push(end.source === 'authored' ? "the author's own line" : end.source);
  return parts.join(' · ');
}

function fault(error: StreamError | ClosedError): string {
  if (error instanceof ClosedError) return 'The connection is closed.';
  return error.retry ? `${error.message} You can try again.` : error.message;
}
