// Starts a crowd of players as a process of its own and gives it orders, one at a time.

import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Heard, Order, SayOrder } from './crowd.ts';

const entry = fileURLToPath(new URL('crowd.ts', import.meta.url));
/** No order takes a tenth of this on a machine that works. */
const orderMs = 120_000;

export class CrowdProcess implements AsyncDisposable {
  readonly #child: ChildProcess = fork(entry, { execArgv: ['--import', 'tsx'] });

  get pid(): number {
    return this.#child.pid!;
  }

  /** Opens the sockets; with `tokens` it says `hello` on each and waits to be welcome. */
  async open(url: string, sockets: number, tokens?: string[]): Promise<void> {
    await this.#order({ op: 'open', url, sockets, tokens });
  }

  /** Resolves when every answer has ended. */
  async say(order: SayOrder): Promise<Heard> {
    return (await this.#order({ op: 'say', ...order }))!;
  }

  async close(): Promise<void> {
    await this.#order({ op: 'close' });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill();
  }

  async #order(order: Order): Promise<Heard | undefined> {
    const child = this.#child;
    let done = () => {};
    try {
      return await new Promise<Heard | undefined>((resolve, reject) => {
        const fail = (why: string) => reject(new Error(`the crowd could not ${order.op}: ${why}`));
        const ended = () => fail('its process ended');
        const answered = (answer: { done: boolean; heard?: Heard; error?: string }) =>
          answer.done ? resolve(answer.heard) : fail(answer.error ?? '');
        const late = setTimeout(() => fail(`not done after ${orderMs / 1_000} s`), orderMs);
        child.once('exit', ended);
        child.once('message', answered);
        done = () => {
          clearTimeout(late);
          child.off('exit', ended);
          child.off('message', answered);
        };
        child.send(order);
      });
    } finally {
      done();
    }
  }
}
