// What was said with one character, as a list of turns. Words stream into it; how they came to be stands below each. It
// outlives the panel that shows it, and begins with what was said before the page was loaded again.

import { ClosedError, type End, type Stream, type StreamError } from '../../client/index.ts';
import { make } from '../page.ts';
import { recall, remember } from './remembered.ts';

const reasons: Partial<Record<End['reason'], string>> = {
  cancelled: 'interrupted',
  deadline: 'out of time',
  length: 'cut for length',
  filtered: 'not allowed',
};

export class Conversation {
  readonly element = make('ol', 'conversation');
  readonly #id: string;
  readonly #name: string;
  /** Stands there as long as nobody has said anything. */
  readonly #opening: HTMLElement;

  constructor(id: string, name: string) {
    this.#id = id;
    this.#name = name;
    this.#opening = make('li', 'deed opening', `${name} has a moment for you. Ask, or choose a topic.`);
    const before = recall(id);
    for (const { of, text } of before) {
      if (of === 'deed') this.element.append(make('li', 'deed', text));
      else this.#turn(of, text);
    }
    this.element.append(before.length > 0 ? make('li', 'deed earlier', 'Earlier') : this.#opening);
  }

  /** The player's words. */
  mine(text: string): void {
    this.#turn('mine', text);
    remember(this.#id, { of: 'mine', text });
  }

  /** The character's words, as they come. */
  theirs(stream: Stream): void {
    const { turn, words } = this.#turn('theirs', '');
    turn.classList.add('speaking');
    stream.on('text', (piece) => {
      words.append(piece);
      this.#toEnd();
    });
    stream.on('end', (end) => {
      turn.classList.remove('speaking');
      if (words.textContent === '') words.textContent = '…';
      remember(this.#id, { of: 'theirs', text: words.textContent ?? '' });
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
    this.#opening.remove();
    this.element.append(make('li', 'deed', text));
    remember(this.#id, { of: 'deed', text });
    this.#toEnd();
  }

  #turn(of: 'mine' | 'theirs', text: string): { turn: HTMLElement; words: HTMLElement } {
    this.#opening.remove();
    const turn = make('li', `turn ${of}`);
    const words = make('p', 'words', text);
    turn.append(make('span', 'who', of === 'mine' ? 'You' : this.#name), words);
    this.element.append(turn);
    this.#toEnd();
    return { turn, words };
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
