// The overlay of figures: what the game costs and what Parley does for it, a few times a second while it is seen. It
// measures each frame all the time, since that costs nothing, and allocates only when it writes.

import { find, make } from './page.ts';

const kept = 600;
const writeMs = 500;

/** The last numbers of something, and their 99th percentile. */
class Recent {
  readonly #values = new Float64Array(kept);
  #count = 0;

  add(value: number): void {
    this.#values[this.#count++ % kept] = value;
  }

  get mean(): number {
    const n = Math.min(this.#count, kept);
    let sum = 0;
    for (let i = 0; i < n; i++) sum += this.#values[i]!;
    return n ? sum / n : 0;
  }

  get p99(): number {
    const n = Math.min(this.#count, kept);
    return n ? this.#values.slice(0, n).sort()[Math.min(n - 1, Math.floor(n * 0.99))]! : 0;
  }
}

/** What the rest of the game knows. */
export interface Sources {
  state: string;
  threaded: boolean;
  reconnects: number;
  resumed: number;
  asked: number;
  answered: number;
  cacheHits: number;
}

export class Figures {
  readonly #frames = new Recent();
  readonly #parley = new Recent();
  readonly #values = new Map<string, HTMLElement>();
  readonly #sources: () => Sources;
  readonly #toggle = find('figures-toggle');
  #writtenAt = 0;
  #tier = '–';
  #source = '–';
  #firstMs: number | undefined;
  #readyHits = 0;
  #answers = 0;

  constructor(sources: () => Sources) {
    this.#sources = sources;
    this.#toggle.addEventListener('click', () => this.toggle());
    this.#show(localStorage.getItem('parley.figures') === 'on');
  }

  get fps(): number {
    const mean = this.#frames.mean;
    return mean > 0 ? 1_000 / mean : 0;
  }

  get readyHits(): number {
    return this.#readyHits;
  }

  toggle(): void {
    const on = find('figures').hidden;
    localStorage.setItem('parley.figures', on ? 'on' : 'off');
    this.#show(on);
  }

  #show(on: boolean): void {
    find('figures').hidden = !on;
    this.#toggle.setAttribute('aria-expanded', String(on));
    document.body.classList.toggle('with-figures', on);
    this.#writtenAt = 0;
  }

  /** An answer ended. */
  answer(tier: string, source: string, firstMs: number | undefined): void {
    this.#answers++;
    this.#tier = tier;
    this.#source = source;
    this.#firstMs = firstMs;
    if (source === 'ready') this.#readyHits++;
  }

  /** One frame: how long it was, and how much of it Parley's controller used. */
  frame(nowMs: number, frameMs: number, parleyMs: number): void {
    this.#frames.add(frameMs);
    this.#parley.add(parleyMs);
    if (find('figures').hidden || nowMs - this.#writtenAt < writeMs) return;
    this.#writtenAt = nowMs;
    const { state, threaded, reconnects, resumed, asked, answered, cacheHits } = this.#sources();
    this.#write('Frames a second', this.fps.toFixed(0));
    this.#write('Frame time p99', `${this.#frames.p99.toFixed(1)} ms`);
    this.#write('Controller p99', `${this.#parley.p99.toFixed(2)} ms`);
    this.#write('Controller mean', `${this.#parley.mean.toFixed(2)} ms`);
    this.#write('Connection', `${state}, ${threaded ? 'own thread' : 'in the page'}`);
    this.#write('Reconnects', String(reconnects));
    this.#write('Resumed', String(resumed));
    this.#write('Tier', this.#tier);
    this.#write('Source', this.#source);
    this.#write('First word', this.#firstMs === undefined ? '–' : `${Math.round(this.#firstMs)} ms`);
    this.#write('Ready hits', `${this.#readyHits} of ${this.#answers}`);
    this.#write('Intents asked', String(asked));
    this.#write('Intents answered', String(answered));
    this.#write('Intents from cache', String(cacheHits));
  }

  #write(name: string, value: string): void {
    let element = this.#values.get(name);
    if (!element) {
      element = make('dd');
      this.#values.set(name, element);
      find('figure-list').append(make('dt', '', name), element);
    }
    if (element.textContent !== value) element.textContent = value;
  }
}
