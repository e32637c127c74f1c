// A process of the loop bench, with its orders.

import { type ChildProcess, fork } from 'node:child_process';
import type { Order } from './orders.ts';

export class BenchChild implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #open = new Map<number, { resolve(result: never): void; reject(error: Error): void }>();
  #last = 0;

  constructor(entry: string, execArgv: readonly string[] = []) {
    this.#child = fork(new URL(entry, import.meta.url), {
      execArgv: ['--import', 'tsx', ...execArgv],
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      serialization: 'advanced',
    });
    this.#child.on('message', ({ id, result, error }: { id: number; result: never; error?: string }) => {
      const order = this.#open.get(id);
      this.#open.delete(id);
      if (error === undefined) order?.resolve(result);
      else order?.reject(new Error(`${entry}: ${error}`));
    });
    this.#child.on('exit', (code, signal) => {
      for (const { reject } of this.#open.values()) reject(new Error(`${entry} ended (${signal ?? code})`));
    });
  }

  get pid(): number {
    return this.#child.pid!;
  }

  /** Resolves with what the process answers; rejects with its error, or when it ends. */
  order<T = void>(order: Order): Promise<T> {
    const id = ++this.#last;
    return new Promise((resolve, reject) => {
      this.#open.set(id, { resolve, reject });
      this.#child.send({ id, order });
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.kill();
    await exited;
  }
}
