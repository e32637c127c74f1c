// One turn after the other: what was said last is in the history before a player can go on about it, and before whoever cut in is
// answered. Bounded: a player does not wait for a slow Redis.

import { atMost } from '../runtime/at-most.ts';
import type { Ending, Job } from './answer.ts';
import { type CommitParts, commitTurn } from './commit.ts';

/** How long an end, or the next answer, waits for a turn to be written; it is written all the same. */
const mostMs = 150;

export class Turns {
  readonly #parts: CommitParts;
  /** The newest of each conversation, until it is written. */
  readonly #open = new Map<string, Turn>();

  constructor(parts: CommitParts) {
    this.#parts = parts;
  }

  /** Resolves when the turn before it is written, if that one was cut short; of other turns at the same time none waits. */
  async begin(job: Job): Promise<Turn> {
    const turn = new Turn(job, this.#parts);
    const { player, npc, memory } = job.request;
    if (!memory) return turn;
    const conversation = `${npc} ${player}`;
    const before = this.#open.get(conversation);
    this.#open.set(conversation, turn);
    void turn.written.then(() => {
      if (this.#open.get(conversation) === turn) this.#open.delete(conversation);
    });
    if (before?.isCutShort) await atMost(mostMs, before.written);
    return turn;
  }
}

export class Turn {
  readonly written: Promise<void>;
  readonly #job: Job;
  readonly #parts: CommitParts;
  #isWritten = () => {};

  constructor(job: Job, parts: CommitParts) {
    this.#job = job;
    this.#parts = parts;
    this.written = new Promise((resolve) => {
      this.#isWritten = resolve;
    });
  }

  get isCutShort(): boolean {
    return this.#job.abort.signal.aborted;
  }

  /** Ends the stream once the turn is written, or that takes too long. Resolves when it is written. Never rejects. */
  async end({ last, remember }: Ending): Promise<void> {
    if (remember) {
      void commitTurn(this.#job, remember, this.#parts).then(this.#isWritten);
      await atMost(mostMs, this.written);
    } else this.#isWritten();
    this.#job.stream.end(last);
    return this.written;
  }
}
