// Starts the thread of the clients, in Node or in a browser, which name the same things differently. Says nothing to it
// but what both share; from then on a message is only ever a knock.

import type { Shared } from './messages.ts';

export interface Thread {
  /** Makes the other side look. */
  knock(): void;
  /** The thread knocks; or it is gone. */
  listen(knocked: () => void, failed: (error: Error) => void): void;
  /** A process without open clients may end. */
  keepAlive(yes: boolean): void;
}

/** Resolves when the thread listens. Rejects with its error, or where there is no shared memory or no worker. */
export async function startThread(shared: Shared): Promise<Thread> {
  let knocked = () => {};
  let failed: (error: Error) => void = () => {};
  if (typeof Worker === 'function') {
    const worker = new Worker(new URL('./client-thread.mjs', import.meta.url), { type: 'module' });
    const listens = new Promise<void>((resolve, reject) => {
      knocked = resolve;
      failed = reject;
    });
    worker.onmessage = () => knocked();
    worker.onerror = ({ message }) => failed(new Error(message));
    worker.postMessage(shared);
    await listens;
    return {
      knock: () => worker.postMessage(0),
      listen: (onKnock, onFailure) => {
        knocked = onKnock;
        failed = onFailure;
      },
      keepAlive: () => {},
    };
  }
  const { Worker: NodeWorker } = await import('node:worker_threads');
  // Of this process's own flags none is the thread's business.
  const worker = new NodeWorker(new URL('./client-thread.mjs', import.meta.url), {
    execArgv: [],
    workerData: shared,
  });
  const listens = new Promise<void>((resolve, reject) => {
    knocked = resolve;
    failed = reject;
  });
  worker.on('message', () => knocked());
  worker.on('error', (error: Error) => failed(error));
  await listens;
  return {
    knock: () => worker.postMessage(0),
    listen: (onKnock, onFailure) => {
      knocked = onKnock;
      failed = onFailure;
    },
    keepAlive: (yes) => (yes ? worker.ref() : worker.unref()),
  };
}
