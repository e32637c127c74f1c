// Who is called what: the id of each character, and who answers to a name as a model writes it. Names are made plain once,
// when a character comes: a model names places and people that do not exist, and looking for those must cost nothing.

import { plain } from './places.ts';

export class Names {
  /** Ids by index; undefined: nobody is there, or it has none. */
  readonly npc: (string | undefined)[];
  readonly #plain: (string | undefined)[];
  /** How many answer to a name. */
  readonly #count = new Map<string, number>();

  constructor(capacity: number) {
    this.npc = new Array(capacity).fill(undefined);
    this.#plain = new Array(capacity).fill(undefined);
  }

  set(i: number, npc: string | undefined): void {
    const before = this.#plain[i];
    if (before !== undefined) this.#count.set(before, this.#count.get(before)! - 1);
    const name = npc === undefined ? undefined : plain(npc);
    if (name !== undefined) this.#count.set(name, (this.#count.get(name) ?? 0) + 1);
    this.npc[i] = npc;
    this.#plain[i] = name;
  }

  /** The lowest index of those who answer to a plain name; −1: nobody does. */
  find(name: string): number {
    return this.#count.get(name) ? this.#plain.indexOf(name) : -1;
  }
}
