// WebSockets that live in a thread of their own, for games that must not lose a frame to them: opening a socket in Node
// costs about a millisecond of the thread that does it, a third of a frame at 300 a second, and a server that floods
// costs whatever it likes. The game's thread sees the same class, and gets what came in small helpings, so much of them
// a turn as it has time for; the rest waits over there. Says nothing of what is in the frames.
//
//   const sockets = await threadedSockets();
//   const client = new ParleyClient({ url, token, WebSocket: sockets.WebSocket });
//   // each frame, for a loop that wants to say when: nothing comes in at any other time from then on
//   sockets.pump(0.1);

import type { SocketConstructor, SocketLike } from './connection.ts';

/** To the thread. What is sent is an array, since that is by far the most frequent and half as dear to copy. */
export type SocketOrder =
  | { op: 'open'; id: number; url: string; protocols: string | string[] | undefined }
  | [id: number, data: string | Uint8Array]
  | { op: 'close'; id: number; code: number | undefined; reason: string | undefined }
  /** So many helpings more are eaten. */
  | { op: 'eaten'; helpings: number };

/** From the thread, in the order in which it happened. */
export type SocketNews =
  | { id: number; kind: 'open' }
  | { id: number; kind: 'message'; data: string | ArrayBuffer }
  | { id: number; kind: 'taken'; bytes: number; buffered: number }
  | { id: number; kind: 'error'; message: string }
  | { id: number; kind: 'close'; code: number; reason: string };

/** As much of a worker as is used here: Node's and the browser's, which name their events differently. */
interface Thread {
  postMessage(order: SocketOrder): void;
  /** The newest listener counts. */
  listen(listener: (news: SocketNews[]) => void, failed: (error: Error) => void): void;
  /** Where there is a way to take messages without waiting for an event: from now on the listener is called by it alone. */
  poll?: () => void;
  keepAlive(yes: boolean): void;
  stop(): void;
}

export interface ThreadedSockets {
  /** To be given to ParleyClient; any number of clients may share it. */
  readonly WebSocket: SocketConstructor;
  /**
   * Takes what has come in, for at most `budgetMs` of time; what is left comes with the next call. From the first call on
   * nothing comes in or goes out by itself any more. Returns whether there was anything to do.
   */
  pump(budgetMs?: number): boolean;
  /** Ends the thread with all its sockets. */
  stop(): void;
}

/** The thread hears so often of what was eaten; it may be twice as far ahead. socket-thread.mjs has the other number. */
const helpingsBetweenWords = 4;

export interface ThreadedSocketsOptions {
  /** Time that a turn of the game's thread may spend on what came in; past it the rest waits for the next. 0.15 ms. */
  budgetMs?: number;
}

/** Resolves when the thread runs; rejects with its error, or where there are no workers. */
export async function threadedSockets({
  budgetMs = 0.15,
}: ThreadedSocketsOptions = {}): Promise<ThreadedSockets> {
  const thread = await startThread();
  // Its first message says that it listens.
  await new Promise<void>((resolve, reject) => thread.listen(() => resolve(), reject));
  thread.keepAlive(false);
  const sockets = new Map<number, ThreadedSocket>();
  let last = 0;
  /** For the next `pump`: a frame that asks something need not also wake a thread. */
  const orders: SocketOrder[] = [];
  let pumped = false;
  const flush = () => {
    for (const given of orders) thread.postMessage(given);
    orders.length = 0;
  };
  const order = (given: SocketOrder) => {
    orders.push(given);
    // A loop that says goodbye may never pump again.
    if (!pumped || (!Array.isArray(given) && given.op === 'close')) flush();
  };

  class ThreadedSocket implements SocketLike {
    binaryType = 'arraybuffer';
    onopen: ((event: never) => void) | null = null;
    onmessage: ((event: never) => void) | null = null;
    onclose: ((event: never) => void) | null = null;
    onerror: ((event: never) => void) | null = null;
    /** Sent from here, and not yet taken by the thread. */
    #underway = 0;
    /** As the thread last said of its own socket. */
    #buffered = 0;
    readonly #id = ++last;

    constructor(url: string, protocols?: string | string[]) {
      // As a real one does: a bad address is heard of at once.
      new URL(url);
      sockets.set(this.#id, this);
      thread.keepAlive(true);
      order({ op: 'open', id: this.#id, url, protocols });
    }

    get bufferedAmount(): number {
      return this.#underway + this.#buffered;
    }

    send(data: string | Uint8Array): void {
      this.#underway += data.length;
      order([this.#id, data]);
    }

    close(code?: number, reason?: string): void {
      order({ op: 'close', id: this.#id, code, reason });
    }

    hear(news: SocketNews): void {
      switch (news.kind) {
        case 'open':
          return this.onopen?.({} as never);
        case 'message':
          return this.onmessage?.({ data: news.data } as never);
        case 'taken':
          this.#underway -= news.bytes;
          this.#buffered = news.buffered;
          return;
        case 'error':
          return this.onerror?.({ message: news.message } as never);
        case 'close':
          sockets.delete(this.#id);
          if (sockets.size === 0) thread.keepAlive(false);
          return this.onclose?.({ code: news.code, reason: news.reason } as never);
      }
    }
  }

  /** Helpings that have come, the first of them eaten as far as `at`. */
  const helpings: SocketNews[][] = [];
  let at = 0;
  let eaten = 0;
  let waits = false;
  /** Returns whether there was anything. */
  const eat = (until: number): boolean => {
    let some = false;
    for (let helping = helpings[0]; helping; helping = helpings[0]) {
      while (at < helping.length) {
        if (some && performance.now() >= until) return true;
        some = true;
        const news = helping[at++]!;
        sockets.get(news.id)?.hear(news);
      }
      helpings.shift();
      at = 0;
      if (++eaten < helpingsBetweenWords) continue;
      order({ op: 'eaten', helpings: eaten });
      eaten = 0;
    }
    return some;
  };
  const eatSoon = () => {
    waits = false;
    if (pumped) return;
    eat(performance.now() + budgetMs);
    if (helpings.length === 0) return;
    waits = true;
    setTimeout(eatSoon, 0);
  };
  thread.listen(
    (helping) => {
      helpings.push(helping);
      if (!pumped && !waits) eatSoon();
    },
    // Without the thread no socket is left.
    ({ message }) => {
      for (const [id, socket] of sockets) {
        socket.hear({ id, kind: 'error', message });
        socket.hear({ id, kind: 'close', code: 1006, reason: '' });
      }
    },
  );
  return {
    WebSocket: ThreadedSocket,
    pump(forMs = budgetMs) {
      const until = performance.now() + forMs;
      pumped = true;
      const sends = orders.length > 0;
      flush();
      thread.poll?.();
      return eat(until) || sends;
    },
    stop: () => thread.stop(),
  };
}

async function startThread(): Promise<Thread> {
  if (typeof Worker === 'function') {
    const worker = new Worker(new URL('./socket-thread.mjs', import.meta.url), { type: 'module' });
    return {
      postMessage: (order) => worker.postMessage(order),
      listen: (listener, failed) => {
        worker.onmessage = ({ data }) => listener(data);
        worker.onerror = ({ message }) => failed(new Error(message));
      },
      keepAlive: () => {},
      stop: () => worker.terminate(),
    };
  }
  const { MessageChannel, receiveMessageOnPort, Worker: NodeWorker } = await import('node:worker_threads');
  const entry = new URL('./socket-thread.mjs', import.meta.url);
  const { port1: port, port2 } = new MessageChannel();
  // Of this process's own flags none is the thread's business.
  const worker = new NodeWorker(entry, { execArgv: [], workerData: port2, transferList: [port2] });
  let listening = true;
  let listener: (news: SocketNews[]) => void = () => {};
  const take = (news: SocketNews[]) => listener(news);
  port.on('message', take);
  return {
    postMessage: (order) => port.postMessage(order),
    listen: (next, failed) => {
      listener = next;
      worker.removeAllListeners('error');
      worker.on('error', failed);
    },
    poll: () => {
      if (listening) port.off('message', take);
      listening = false;
      for (let m = receiveMessageOnPort(port); m; m = receiveMessageOnPort(port)) take(m.message);
    },
    // A process without open sockets may end.
    keepAlive: (yes) => (yes ? worker.ref() : worker.unref()),
    stop: () => void worker.terminate(),
  };
}
