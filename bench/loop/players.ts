// The hundred players: their clients, whose sockets live in a thread of their own, and what they say. The same for the
// game loop and for the driver that puts the baseline under the same load.

import { ParleyClient } from '../../client/index.ts';
import { type ThreadedSockets, threadedSockets } from '../../client/threaded-socket.ts';
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
  readonly clients: ParleyClient[] = [];
  says = 0;
  pieces = 0;
  broken = 0;
  #cut = 0;
  readonly #npcs: readonly string[];
  readonly #sockets: ThreadedSockets;
  readonly #random: Random;

  private constructor(world: World, sockets: ThreadedSockets) {
    this.#npcs = world.npcs;
    this.#sockets = sockets;
    this.#random = randomly(world.seed);
    for (const token of world.tokens) {
      const client = new ParleyClient({ url: world.url, token, WebSocket: sockets.WebSocket });
      this.clients.push(client);
    }
  }

  /** Resolves when all are welcome. */
  static async connect(world: World): Promise<Players> {
    const players = new Players(world, await threadedSockets());
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
    return this.#sockets.pump(pumpMs);
  }

  /** Cuts every socket, one a call; the clients come back by themselves. Returns false when all are cut. */
  cutNext(): boolean {
    if (this.#cut === this.clients.length) this.#cut = 0;
    this.clients[this.#cut++]!.drop();
    return this.#cut < this.clients.length;
  }

  close(): void {
    for (const client of this.clients) client.close();
    this.#sockets.stop();
  }

  readonly #onText = () => {
    this.pieces++;
  };
  readonly #onError = () => {
    this.broken++;
  };
}
