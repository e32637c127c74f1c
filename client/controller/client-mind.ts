// The mind that asks the language model: `client.think` for each question, its acts to the controller, and why it
// failed. It asks nothing while the edge is away or the socket is backed up; what is old by then is worth nothing.
// A client in a thread of its own (client/thread/) has a mind there, which is this one.

import type { Act } from '../../bus/protocol.ts';
import { ServerError } from '../errors.ts';
import type { Answers, Mind } from './mind.ts';

/** The part of ParleyClient that is needed. */
export interface Thinker {
  readonly state: string;
  readonly buffered: number;
  think(question: { npc: string; context: string; g: number; budgetMs: number }): Thought;
  /** Of a client in a thread: its mind over there. */
  mind?(options: ClientMindOptions): Mind;
}

interface Thought {
  cancel(): void;
  on(event: 'act', listener: (act: Act) => void): unknown;
  on(event: 'end', listener: (end: { reason: string }) => void): unknown;
  on(event: 'error', listener: (error: Error) => void): unknown;
}

interface Question {
  readonly index: number;
  readonly npc: string;
  readonly context: string;
  readonly generation: number;
  readonly answers: Answers;
  /** Once it is on its way. */
  thought?: Thought;
}

export interface ClientMindOptions {
  /** Time for one answer at the edge; 4 s. */
  budgetMs?: number;
  /** With more bytes than this unsent nothing is asked; 64 KiB. */
  backedUpBytes?: number;
}

export function clientMind(client: Thinker, options: ClientMindOptions = {}): Mind {
  if (client.mind) return client.mind(options);
  const { budgetMs = 4_000, backedUpBytes = 65_536 } = options;
  /** Questions that run, by character: a character has at most one. */
  const running = new Map<number, Question>();
  /** Ids that are thinking: for the edge all characters of one id are one, and its newer thought cancels the older. */
  const thinking = new Set<string>();

  const over = (question: Question) => {
    if (running.get(question.index) !== question) return;
    running.delete(question.index);
    thinking.delete(question.npc);
  };
  const send = (question: Question) => {
    const { index, npc, context, generation, answers } = question;
    // It was cancelled meanwhile.
    if (running.get(index) !== question) return;
    const thought = client.think({ npc, context, g: generation, budgetMs });
    question.thought = thought;
    thought.on('act', (act) => answers.act(index, generation, act));
    thought.on('end', ({ reason }) => {
      over(question);
      // An answer that was cut is no answer to keep.
      if (reason === 'stop') answers.done(index, generation);
      else answers.failed(index, generation, true, 0, reason);
    });
    thought.on('error', (error) => {
      over(question);
      if (error instanceof ServerError)
        answers.failed(index, generation, error.retry, error.retryMs, error.code);
      else answers.failed(index, generation, true, 0, 'closed');
    });
  };

  return {
    ask(index, npc, context, generation, answers) {
      if (client.state !== 'online' || client.buffered > backedUpBytes) return false;
      const question: Question = { index, npc, context, generation, answers };
      running.set(index, question);
      thinking.add(npc);
      // In a turn of its own: the frame that chose the question has done enough.
      setTimeout(send, 0, question);
      return true;
    },
    isBusy: (_index, npc) => thinking.has(npc),
    cancel(index, generation) {
      const question = running.get(index);
      if (question?.generation !== generation) return;
      over(question);
      question.thought?.cancel();
    },
  };
}
