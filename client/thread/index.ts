// Clients in a thread of their own, for games that must not lose a frame to them: sockets, decoding, reconnecting and the
// questions of the NPC controller run over there; the game's thread reads what came of them, a little in each frame.
//
//   const thread = await clientThread();
//   const client = thread.client({ url, token });
//   const npcs = createController({ mind: clientMind(client) });
//   // each frame, for a loop that wants to say when: nothing comes in at any other time from then on
//   thread.pump(0.1);

import { ParleyClient } from '../client.ts';
import { ClosedError } from '../errors.ts';
import type { ClientOptions } from '../options.ts';
import { Line } from './line.ts';
import { flag, flags, kind, mostClients, type Order, type Shared, shown, shownEach } from './messages.ts';
import { ringMemory } from './ring.ts';
import { startThread } from './start-thread.ts';
import { type Side, ThreadedClient, type ThreadedClientOptions } from './threaded-client.ts';

export type { ThreadedClient, ThreadedClientOptions } from './threaded-client.ts';

export interface ClientThreadOptions {
  /** Time that a turn of the game's thread may spend on what came in; past it the rest waits for the next. 0.15 ms. */
  budgetMs?: number;
}

export interface ClientThread {
  /** A client in the thread; any number of them, one a player. Its socket is the thread's: `ws`, where Node has none. */
  client(options: ThreadedClientOptions): ThreadedClient;
  /**
   * Takes what has come in, for at most `budgetMs` of time; what is left comes with the next call. From the first call on
   * nothing comes in by itself any more, and what is said leaves with the next call: in the frame that says something
   * there is no time to encode it. Returns whether there was anything to do.
   */
  pump(budgetMs?: number): boolean;
  /** Ends the thread with all its clients. */
  stop(): void;
}

/** A client of either kind; they are used the same way. */
export type PlayerClient = ParleyClient | ThreadedClient;

export interface Clients {
  /** Whether they live in a thread. */
  readonly threaded: boolean;
  /** Makes a client. `WebSocket` is for a client in this thread; one in a thread of its own has one there. */
  client(options: ClientOptions): PlayerClient;
  /** As ClientThread's; without a thread there is never anything to do. */
  pump(budgetMs?: number): boolean;
  /** Ends the thread, where there is one, with all its clients. */
  stop(): void;
}

/**
 * Resolves with what makes clients: in a thread of their own where there can be one, otherwise in this one. Never rejects: a
 * page that is not cross-origin isolated, or a thread that does not start, means the plain ParleyClient.
 */
export async function playerClients(options: ClientThreadOptions = {}): Promise<Clients> {
  const thread = await clientThread(options).catch(() => undefined);
  if (!thread)
    return {
      threaded: false,
      client: (own) => new ParleyClient(own),
      pump: () => false,
      stop: () => {},
    };
  return {
    threaded: true,
    client: ({ WebSocket: _, ...own }) => thread.client(own),
    pump: (budgetMs) => thread.pump(budgetMs),
    stop: () => thread.stop(),
  };
}

const ordersBytes = 131_072;
const newsBytes = 1_048_576;

/**
 * Resolves when the thread runs. Rejects with its error, or where there are no threads that share memory: in a browser
 * the page must be cross-origin isolated. There a ParleyClient does the same in the page's own thread.
 */
export async function clientThread({ budgetMs = 0.15 }: ClientThreadOptions = {}): Promise<ClientThread> {
  if (typeof SharedArrayBuffer === 'undefined')
    throw new Error(
      'clientThread: no shared memory here; is the page cross-origin isolated? Use ParleyClient',
    );
  const shared: Shared = {
    orders: ringMemory(ordersBytes),
    news: ringMemory(newsBytes),
    shown: new SharedArrayBuffer(mostClients * shownEach * 8),
    flags: new SharedArrayBuffer(flags * 4),
  };
  const thread = await startThread(shared);
  thread.keepAlive(false);
  const line = new Line(shared.orders, shared.news);
  const flagged = new Int32Array(shared.flags);
  const numbers = new Float64Array(shared.shown);
  const clients = new Map<number, ThreadedClient>();
  let last = -1;
  /** Numbers of clients of which no news can come any more. */
  const free: number[] = [];
  let gone: ClosedError | undefined;
  let pumped = false;
  /** What waits for the next pump. */
  const waiting: (() => void)[] = [];

  const side: Side = {
    line,
    later: (send) => {
      if (pumped) waiting.push(send);
      else send();
    },
    knock: () => {
      if (pumped || Atomics.exchange(flagged, flag.threadWoken, 1) === 1) return;
      thread.knock();
    },
    over: (client) => {
      if (!clients.delete(client.number)) return;
      free.push(client.number);
      if (clients.size === 0) thread.keepAlive(false);
    },
  };
  /** Returns whether there was anything. */
  const take = (until: number): boolean => {
    line.flush();
    let some = false;
    while (line.next()) {
      some = true;
      clients.get(line.a)?.hear(line);
      if (performance.now() >= until) break;
    }
    return some;
  };
  const knocked = () => {
    if (pumped) return;
    Atomics.store(flagged, flag.gameWoken, 0);
    // Somebody else's turn between two helpings.
    if (take(performance.now() + budgetMs)) setTimeout(knocked, 0);
  };
  thread.listen(knocked, ({ message }) => {
    gone = new ClosedError(1006, `the thread ended: ${message}`);
    for (const client of [...clients.values()]) client.fail(gone);
  });

  return {
    client(options) {
      if (gone) throw gone;
      if (free.length === 0 && clients.size === mostClients)
        throw new RangeError(`clientThread: at most ${mostClients} clients a thread`);
      const number = free.pop() ?? ++last;
      const own = numbers.subarray(number * shownEach, (number + 1) * shownEach);
      own.fill(0);
      own[shown.clockTripMs] = Number.NaN;
      own[shown.lastFirstTokenMs] = Number.NaN;
      thread.keepAlive(true);
      const client = new ThreadedClient(options, number, own, side);
      clients.set(number, client);
      return client;
    },
    pump(forMs = budgetMs) {
      if (!pumped) {
        pumped = true;
        Atomics.store(flagged, flag.pumped, 1);
      }
      const until = performance.now() + forMs;
      if (waiting.length === 0) return take(until);
      let sent = 0;
      do waiting[sent++]!();
      while (sent < waiting.length && performance.now() < until);
      waiting.splice(0, sent);
      return true;
    },
    stop() {
      if (gone) return;
      for (const client of clients.values()) client.close();
      clients.clear();
      gone = new ClosedError(1006, 'the thread was stopped');
      // It ends by itself, once the edge has been told.
      line.send(kind.json, 0, 0, 0, JSON.stringify({ op: 'stop' } satisfies Order));
      thread.knock();
    },
  };
}
