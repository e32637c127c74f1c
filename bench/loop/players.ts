// The hundred players: their clients, which live in a thread of their own, and what they say. The same for the
// game loop and for the driver that puts the baseline under the same load.

import { type ClientThread, clientThread, type ThreadedClient } from '../../client/thread/index.ts';
import { type Random, randomly } from '../../tests/chaos/strikes.ts';
import type { World } from './orders.ts';

const sentences = [
  'Good day.',
  'What is new in the village?',
  'What do you sell?',
  'Where is the inn?',
  'Is it safe here?',
  'Do you have any work for me?',
];
const answerTokens = 24;
/** Of a frame, for messages. */
const pumpMs = 0.1;

export class Players {
  readonly clients: ThreadedClient[] = [];
  says = 0;
  pieces = 0;
  broken = 0;
  #cut = 0;
  readonly #npcs: readonly string[];
  readonly #thread: ClientThread;
  readonly #random: Random;

  private constructor(world: World, thread: ClientThread) {
    this.#npcs = world.npcs;
    this.#thread = thread;
    this.#random = randomly(world.seed);
    for (const token of world.tokens) this.clients.push(thread.client({ url: world.url, token }));
  }

  /** Resolves when all are welcome. */
  static async connect(world: World): Promise<Players> {
    const players = new Players(world, await clientThread());
    await Promise.all(players.clients.map((client) => client.connect()));
    return players;
  }

  /** One of them says something to one of the characters. */
  say(): void {
    const client = this.clients[Math.floor(this.#random() * this.clients.length)]!;
    const npc = this.#npcs[Math.floor(this.#random() * this.#npcs.length)]!;
    const text = sentences[Math.floor(this.#random() * sentences.length)]!;
    this.says++;
    const stream = client.say({ npc, text, maxTokens: answerTokens });
    stream.on('text', this.#onText);
    stream.on('error', this.#onError);
  }

  /** Takes what has come in, a little at a time. Returns whether there was anything to do. */
  pump(): boolean {
    return this.#thread.pump(pumpMs);
  }

  /** Cuts every socket, one a call; the clients come back by themselves. Returns false when all are cut. */
  cutNext(): boolean {
    if (this.#cut === this.clients.length) this.#cut = 0;
    this.clients[this.#cut++]!.drop();
    return this.#cut < this.clients.length;
  }

  close(): void {
    for (const client of this.clients) client.close();
    this.#thread.stop();
  }

  readonly #onText = () => {
    this.pieces++;
  };
  readonly #onError = () => {
    this.broken++;
  };
}
