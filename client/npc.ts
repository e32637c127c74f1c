// A character, as a game holds it: its name and what can be asked of it. Keeps nothing; make one as often as you like.

import type { SayOptions, ThinkOptions } from './options.ts';
import type { Stream } from './stream.ts';

export type WordOptions = Omit<SayOptions, 'npc' | 'text' | 'topic'>;

/** A client, of which that much is needed. */
export interface Talker {
  say(options: SayOptions): Stream;
  think(options: ThinkOptions): Stream;
}

export class Npc {
  readonly id: string;
  readonly #client: Talker;

  constructor(client: Talker, id: string) {
    this.#client = client;
    this.id = id;
  }

  /** The player says `text` to it. */
  say(text: string, options?: WordOptions): Stream {
    return this.#client.say({ ...options, npc: this.id, text });
  }

  /** The player picks one of its topics. */
  topic(topic: string, options?: WordOptions): Stream {
    return this.#client.say({ ...options, npc: this.id, topic });
  }

  /** Asks what it does in a situation; the answer has acts alone. */
  think(context: string, options?: Omit<ThinkOptions, 'npc' | 'context'>): Stream {
    return this.#client.think({ ...options, npc: this.id, context });
  }
}
