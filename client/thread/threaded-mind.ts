// The mind that asks the model from the thread: a question leaves as a few numbers, and an answer is read as they come.
// Nothing is described, encoded or kept here but who is being asked about.

import type { Intent } from '../../bus/protocol.ts';
import type { Answers, Mind } from '../controller/mind.ts';
import type { Line } from './line.ts';
import { type Failure, kind, type Order } from './messages.ts';

export interface ThreadedMindParts {
  /** Number of the client that asks. */
  readonly client: number;
  readonly line: Line;
  knock(): void;
  /** Whether the edge is there and takes more. */
  mayAsk(): boolean;
  order(order: Order): void;
}

interface Question {
  readonly npc: string;
  readonly generation: number;
  readonly answers: Answers;
}

export class ThreadedMind implements Mind {
  readonly #parts: ThreadedMindParts;
  /** Questions that run, by character: a character has at most one. */
  readonly #running = new Map<number, Question>();
  /** For the edge all characters of one id are one, and its newer thought cancels the older. */
  readonly #thinking = new Set<string>();
  readonly #npcs = new Map<string, number>();
  /** How many names of places the thread has. */
  #places = 0;
  readonly #body = new Uint8Array(16);

  constructor(parts: ThreadedMindParts) {
    this.#parts = parts;
  }

  ask(index: number, npc: string, situation: string, generation: number, answers: Answers): boolean {
    if (!this.#parts.mayAsk()) return false;
    this.#began(index, npc, generation, answers);
    this.#parts.order({ op: 'ask', index, generation, npc, situation });
    return true;
  }

  askFacts(
    index: number,
    npc: string,
    facts: Uint8Array,
    places: readonly string[],
    generation: number,
    answers: Answers,
  ): boolean {
    if (!this.#parts.mayAsk()) return false;
    let name = this.#npcs.get(npc);
    if (name === undefined) {
      name = this.#npcs.size;
      this.#npcs.set(npc, name);
      this.#parts.order({ op: 'names', npcs: [...this.#npcs.keys()] });
    }
    if (this.#places !== places.length) {
      this.#places = places.length;
      this.#parts.order({ op: 'names', places });
    }
    this.#began(index, npc, generation, answers);
    const body = this.#body;
    body[0] = name & 0xff;
    body[1] = name >> 8;
    for (let k = 0; k < facts.length; k++) body[2 + k] = facts[k]!;
    this.#parts.line.sendBytes(kind.question, this.#parts.client, index, generation, body);
    this.#parts.knock();
    return true;
  }

  isBusy(_index: number, npc: string): boolean {
    return this.#thinking.has(npc);
  }

  cancel(index: number, generation: number): void {
    if (this.#over(index, generation) === undefined) return;
    this.#parts.line.send(kind.forget, this.#parts.client, index, generation);
    this.#parts.knock();
  }

  /** Takes the answer that the line has just read. */
  hear(line: Line): void {
    const { b: index, c } = line;
    // The line's numbers have a sign, generations do not.
    const generation = c >>> 0;
    if (line.kind === kind.act) {
      const question = this.#running.get(index);
      if (question?.generation !== generation) return;
      question.answers.act(index, generation, JSON.parse(line.text()) as Intent);
      return;
    }
    const question = this.#over(index, generation);
    if (!question) return;
    if (line.kind === kind.done) question.answers.done(index, generation);
    else {
      const { retry, retryMs, code } = JSON.parse(line.text()) as Failure;
      question.answers.failed(index, generation, retry, retryMs, code);
    }
  }

  #began(index: number, npc: string, generation: number, answers: Answers): void {
    this.#running.set(index, { npc, generation, answers });
    this.#thinking.add(npc);
  }

  #over(index: number, generation: number): Question | undefined {
    const question = this.#running.get(index);
    if (question?.generation !== generation) return undefined;
    this.#running.delete(index);
    this.#thinking.delete(question.npc);
    return question;
  }
}
