// What would be in the KV cache: the texts that were computed last, as the sequences of a real engine hold them. Kept
// to say how much of a prompt counts as cached, and whose persona is resident.

interface Held {
  readonly npc: string;
  readonly text: string;
}

export class PrefixMemory {
  /** Used last, last. */
  #held: Held[] = [];
  readonly #size: number;
  readonly #isPinned: (npc: string) => boolean;

  /** `size`: texts that are held; a pinned character's are not dropped while others can be. */
  constructor(size: number, isPinned: (npc: string) => boolean) {
    this.#size = size;
    this.#isPinned = isPinned;
  }

  /** How many letters of the text, from its beginning, some held text has in common with it. */
  common(npc: string, text: string): number {
    let most = 0;
    for (const held of this.#held) {
      if (held.npc !== npc || most === text.length) continue;
      const end = Math.min(held.text.length, text.length);
      let at = 0;
      while (at < end && held.text.charCodeAt(at) === text.charCodeAt(at)) at++;
      most = Math.max(most, at);
    }
    return most;
  }

  /** Holds a text from now on, in place of those that it goes on from. */
  keep(npc: string, text: string): void {
    this.#held = this.#held.filter((held) => held.npc !== npc || !text.startsWith(held.text));
    this.#held.push({ npc, text });
    if (this.#held.length <= this.#size) return;
    const oldest = this.#held.findIndex((held) => !this.#isPinned(held.npc));
    this.#held.splice(Math.max(0, oldest), 1);
  }

  resident(): string[] {
    return [...new Set(this.#held.map(({ npc }) => npc))];
  }
}
