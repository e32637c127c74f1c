// What was said with one character, as a list of turns. Words stream into it; how they came to be stands below each. It
// outlives the panel that shows it.

import { ClosedError, type End, type Stream, type StreamError } from '../../client/index.ts';
import { make } from '../page.ts';

const reasons: Partial<Record<End['reason'], string>> = {
  cancelled: 'interrupted',
  deadline: 'out of time',
  length: 'cut for length',
  filtered: 'not allowed',
};

export class Conversation {
  readonly element = make('ol', 'conversation');
  readonly #name: string;

  constructor(name: string) {
    this.#name = name;
  }

  get isEmpty(): boolean {
    return this.element.childElementCount === 0;
  }

  /** The player's words. */
  mine(text: string): void {
    const turn = make('li', 'turn mine');
    turn.append(make('span', 'who', 'You'), make('p', 'words', text));
    this.element.append(turn);
    this.#toEnd();
  }

  /** The character's words, as they come. */
  theirs(stream: Stream): void {
    const turn = make('li', 'turn theirs speaking');
    const words = make('p', 'words');
    turn.append(make('span', 'who', this.#name), words);
    this.element.append(turn);
    this.#toEnd();
    stream.on('text', (piece) => {
      words.append(piece);
      this.#toEnd();
    });
    stream.on('end', (end) => {
      turn.classList.remove('speaking');
      if (words.textContent === '') words.textContent = '…';
      turn.append(make('p', 'how', howOf(end, stream.times)));
      this.#toEnd();
    });
    stream.on('error', (error) => {
      turn.classList.remove('speaking');
      turn.append(make('p', 'fault', faultOf(error)));
      this.#toEnd();
    });
  }

  /** What somebody did, in a line of its own. */
  deed(text: string): void {
    this.element.append(make('li', 'deed', text));
    this.#toEnd();
  }

  #toEnd(): void {
    const scrolled = this.element.parentElement;
    if (scrolled) scrolled.scrollTop = scrolled.scrollHeight;
  }
}

function howOf(end: End, times: Stream['times']): string {
  const parts: string[] = [];
  if (end.reason !== 'stop') parts.push(reasons[end.reason] ?? end.reason);
  if (times.first !== undefined) parts.push(`first word ${Math.round(times.first - times.asked)} ms`);
  if (end.tier !== 'none') parts.push(end.tier);
  parts.push(end.source === 'authored' ? "the author's own line" : end.source);
  return parts.join(' · ');
}

export function faultOf(error: StreamError | ClosedError): string {
  if (error instanceof ClosedError) return 'The connection is closed.';
  return error.retry ? `${error.message} You can try again.` : error.message;
}
