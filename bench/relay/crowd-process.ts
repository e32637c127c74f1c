// Starts a crowd of players as a process of its own and gives it orders, one at a time.

import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Heard, Order, SayOrder } from './crowd.ts';

const entry = fileURLToPath(new URL('crowd.ts', import.meta.url));

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

  #order(order: Order): Promise<Heard | undefined> {
    return new Promise((resolve, reject) => {
      const ended = () => reject(new Error(`the crowd's process ended while it should ${order.op}`));
      this.#child.once('exit', ended);
      this.#child.once('message', (answer: { done: boolean; heard?: Heard; error?: string }) => {
        this.#child.off('exit', ended);
        if (answer.done) resolve(answer.heard);
        else reject(new Error(`the crowd could not ${order.op}: ${answer.error}`));
      });
      this.#child.send(order);
    });
  }
}
