// Speech bubbles and names over heads. They are elements of the page, so that the type is sharp and wraps, and they follow
// their characters. Each bubble stays as long as it takes to read; several may speak at once.

import { find, make } from '../page.ts';

export interface Anchor {
  /** The point over the head, on the page. */
  x: number;
  y: number;
}

interface Bubble {
  element: HTMLElement;
  words: HTMLElement;
  /** Milliseconds that are left once the words are over. */
  leftMs: number;
  streaming: boolean;
  transform: string;
}

const restMs = 2_600;
const perLetterMs = 45;
const margin = 8;
/** So many letters are seen; of a longer speech the last ones. Where there is little room, as over a phone's sheet, fewer. */
const seen = 220;
const seenInLittle = 90;
const littleRoom = 420;
/** Between two bubbles, in pixels. */
const gap = 6;

/** Where a bubble lies in this frame. */
interface Box {
  x: number;
  y: number;
  width: number;
  height: number;
}

export class Bubbles {
  readonly #bubbles = new Map<string, Bubble>();
  readonly #names = new Map<string, { element: HTMLElement; transform: string }>();
  readonly #layer = find('overhead');
  readonly #placed: Box[] = [];
  #seen = seen;

  constructor() {
    // What is said is heard from the conversation and the announcer; here it would be read twice.
    this.#layer.setAttribute('aria-hidden', 'true');
  }

  /** Begins a bubble, empty until the first words come. */
  begin(id: string): void {
    this.#bubbles.get(id)?.element.remove();
    const element = make('div', 'bubble waiting');
    const words = make('p', 'bubble-words', '…');
    element.dataset.npc = id;
    element.append(words);
    this.#layer.append(element);
    this.#bubbles.set(id, { element, words, leftMs: 0, streaming: true, transform: '' });
  }

  /** All the words until now. */
  show(id: string, text: string): void {
    const bubble = this.#bubbles.get(id);
    if (!bubble) return;
    bubble.element.classList.remove('waiting');
    bubble.words.textContent = lastOf(text, this.#seen);
  }

  /** The words are over. A bubble without words goes at once. */
  end(id: string, text: string): void {
    const bubble = this.#bubbles.get(id);
    if (!bubble) return;
    bubble.streaming = false;
    bubble.leftMs = text === '' ? 0 : restMs + Math.min(text.length, seen) * perLetterMs;
    bubble.element.classList.add('said');
  }

  /** A whole line at once. */
  say(id: string, text: string): void {
    this.begin(id);
    this.show(id, text);
    this.end(id, text);
  }

  /** The words that hang over a head now. */
  textOf(id: string): string | undefined {
    return this.#bubbles.get(id)?.words.textContent ?? undefined;
  }

  name(id: string, name: string, shown: boolean): void {
    let label = this.#names.get(id);
    if (!label) {
      label = { element: make('span', 'name', name), transform: '' };
      this.#layer.append(label.element);
      this.#names.set(id, label);
    }
    if (label.element.hidden === shown) label.element.hidden = !shown;
  }

  /** Moves everything to where the heads are now; `room` is the part of the page that is not covered. */
  update(
    dtMs: number,
    anchorOf: (id: string) => Anchor | undefined,
    room: { left: number; top: number; right: number; bottom: number },
  ): void {
    this.#seen = room.bottom - room.top < littleRoom ? seenInLittle : seen;
    this.#placed.length = 0;
    for (const [id, bubble] of this.#bubbles) {
      if (!bubble.streaming) {
        bubble.leftMs -= dtMs;
        if (bubble.leftMs <= 0) {
          bubble.element.remove();
          this.#bubbles.delete(id);
          continue;
        }
      }
      const at = anchorOf(id);
      if (!at) continue;
      const { offsetWidth: width, offsetHeight: height } = bubble.element;
      const x = Math.max(room.left + margin, Math.min(at.x - width / 2, room.right - width - margin));
      const lowest = room.bottom - height - margin;
      const y = this.#clear(
        { x, y: Math.max(room.top + margin, Math.min(at.y - height - 10, lowest)), width, height },
        room.top + margin,
        lowest,
      );
      const transform = `translate(${Math.round(x)}px, ${Math.round(y)}px)`;
      if (transform === bubble.transform) continue;
      bubble.transform = transform;
      bubble.element.style.transform = transform;
      bubble.element.style.setProperty('--tail', `${Math.max(14, Math.min(width - 14, at.x - x))}px`);
    }
    for (const [id, label] of this.#names) {
      if (label.element.hidden) continue;
      const at = anchorOf(id);
      if (!at) continue;
      const transform = `translate(${Math.round(at.x)}px, ${Math.round(at.y)}px) translate(-50%, -100%)`;
      if (transform === label.transform) continue;
      label.transform = transform;
      label.element.style.transform = transform;
    }
  }

  /** Moves a bubble off those that are there already: above them while there is room, else below. Returns its y. */
  #clear(box: Box, highest: number, lowest: number): number {
    for (const other of this.#placed) {
      const meets =
        box.x < other.x + other.width &&
        other.x < box.x + box.width &&
        box.y < other.y + other.height + gap &&
        other.y < box.y + box.height + gap;
      if (!meets) continue;
      const above = other.y - gap - box.height;
      const below = other.y + other.height + gap;
      if (above >= highest) box.y = above;
      else if (below <= lowest) box.y = below;
    }
    this.#placed.push(box);
    return box.y;
  }
}

/** The end of a text, from the begin of a word on. */
function lastOf(text: string, letters: number): string {
  if (text.length <= letters) return text;
  const end = text.slice(1 - letters);
  return `…${end.slice(end.indexOf(' ') + 1)}`;
}
