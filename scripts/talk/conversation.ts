// A conversation with one character: lines in, answers on the screen. At a keyboard a line that is entered during an
// answer interrupts it, as one does; from a pipe each line waits for the answer before it.

import type { Interface } from 'node:readline';
import { styleText } from 'node:util';
import { ClosedError, type ParleyClient, type Stream } from '../../client/index.ts';
import type { Character } from './gateway.ts';
import type { Screen } from './screen.ts';

export class Conversation {
  readonly #client: ParleyClient;
  readonly #character: Character;
  readonly #screen: Screen;
  #running: Stream | undefined;
  /** Whether some answer failed. */
  failed = false;

  constructor(client: ParleyClient, character: Character, screen: Screen) {
    this.#client = client;
    this.#character = character;
    this.#screen = screen;
  }

  get isRunning(): boolean {
    return this.#running !== undefined;
  }

  /** Stops the answer. False when there is none. */
  cancel(): boolean {
    this.#running?.cancel();
    return this.isRunning;
  }

  /** Says a line and shows the answer. Resolves when it is over, or has given way to the next. Never rejects. */
  async say(line: string): Promise<void> {
    const { id, topics } = this.#character;
    const topic = /^\/(\S+)$/.exec(line)?.[1];
    if (topic === 'topics') {
      const lines = Object.entries(topics).map(([name, words]) => `/${name}  ${words}`);
      return this.#screen.note(lines.join('\n') || 'No topics.');
    }
    if (topic !== undefined && !Object.hasOwn(topics, topic)) {
      return this.#screen.note(`There is no /${topic}. There are /quit, /topics, and one for each topic.`);
    }
    const stream = this.#client.say({ npc: id, ...(topic === undefined ? { text: line } : { topic }) });
    this.#running = stream;
    const isCurrent = () => this.#running === stream;
    try {
      for await (const words of stream) if (isCurrent()) this.#screen.words(words);
      const end = await stream.end;
      if (isCurrent()) this.#screen.answered(stream, end);
    } catch (error) {
      this.failed = true;
      // That the connection is closed is told once, by its own event.
      if (!(error instanceof ClosedError)) this.#screen.failed(error as Error);
    }
    if (isCurrent()) this.#running = undefined;
  }
}

/** Says each line of a pipe in turn. Resolves at its end, or when the client is closed. */
export async function talkFromPipe(
  lines: Interface,
  client: ParleyClient,
  conversation: Conversation,
): Promise<void> {
  let interrupted = false;
  const leave = () => {
    if (interrupted || !conversation.cancel()) client.close();
    interrupted = true;
  };
  process.on('SIGINT', leave);
  for await (const line of lines) {
    const words = line.trim();
    if (words === '/quit' || client.state === 'closed') break;
    if (words !== '') await conversation.say(words);
  }
  process.off('SIGINT', leave);
}

/** A person at the keyboard. Resolves when the person leaves, by Ctrl-C, Ctrl-D or /quit. */
export function talkAtTerminal(lines: Interface, conversation: Conversation, screen: Screen): Promise<void> {
  lines.setPrompt(styleText('bold', '> '));
  let left = false;
  lines.on('line', (line) => {
    const words = line.trim();
    if (words === '/quit') return lines.close();
    if (words === '') return lines.prompt();
    void conversation.say(words).then(() => {
      if (!conversation.isRunning && !left) lines.prompt();
    });
  });
  // The first Ctrl-C may come just when the answer has ended: only a second one leaves.
  let interrupted = false;
  lines.on('line', () => {
    interrupted = false;
  });
  lines.on('SIGINT', () => {
    if (interrupted) return lines.close();
    interrupted = true;
    if (conversation.cancel()) return;
    screen.note('Ctrl-C again, Ctrl-D or /quit leaves.');
    lines.prompt();
  });
  lines.prompt();
  return new Promise((resolve) => {
    lines.on('close', () => {
      left = true;
      resolve();
    });
  });
}
