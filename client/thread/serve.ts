// The thread itself: holds the clients, does what the game's thread orders, and tells it what comes of it. All of the
// SDK runs here, and the mind that asks the model; the game's thread is left with reading what it is told.

import { ParleyClient } from '../client.ts';
import type { SocketConstructor } from '../connection.ts';
import { clientMind } from '../controller/client-mind.ts';
import type { Answers, Mind } from '../controller/mind.ts';
import { describe } from '../controller/situation.ts';
import { type ClosedError, ServerError, StreamError } from '../errors.ts';
import type { Job } from '../job.ts';
import type { Stream } from '../stream.ts';
import { Line } from './line.ts';
import {
  type Failure,
  type Fault,
  flag,
  kind,
  type News,
  type Order,
  type Shared,
  shown,
  shownEach,
  states,
} from './messages.ts';

/** How often the thread looks for orders of a loop that does not knock, and otherwise brings its numbers up to date. */
const lookMs = 5;
const restMs = 100;
/** With more bytes than this not taken by the game, what nobody waits for is left out. */
const mostWaitingBytes = 4_194_304;

/** The other side, for knocking alone, and the way out. */
interface Port {
  postMessage(knock: number): void;
  exit(): void;
}

/** Serves until the thread is ended. Returns what a knock of the game has it do. */
function serve(shared: Shared, port: Port, WebSocket: SocketConstructor) {
  const line = new Line(shared.news, shared.orders);
  const flags = new Int32Array(shared.flags);
  const numbers = new Float64Array(shared.shown);
  const clients = new Map<number, ServedClient>();

  /** Wakes a game that does not look by itself. */
  const knock = () => {
    if (Atomics.load(flags, flag.pumped) === 1) return;
    if (Atomics.exchange(flags, flag.gameWoken, 1) === 0) port.postMessage(0);
  };
  const look = () => {
    Atomics.store(flags, flag.threadWoken, 0);
    line.flush();
    while (line.next()) {
      const { kind: what, a, b, c } = line;
      if (what === kind.question) clients.get(a)?.question(b, c >>> 0, line.body());
      else if (what === kind.forget) clients.get(a)?.mind?.cancel?.(b, c >>> 0);
      else obey(a, (what === kind.packed ? line.packed() : JSON.parse(line.text())) as Order);
    }
    for (const client of clients.values()) client.show();
    if (line.waitingBytes > 0) knock();
  };
  const obey = (a: number, order: Order) => {
    // What was said last goes out before the thread ends.
    if (order.op === 'stop') setTimeout(() => port.exit(), restMs);
    else if (order.op === 'open')
      clients.set(a, new ServedClient(a, order, { line, knock, numbers, WebSocket }));
    else clients.get(a)?.obey(order);
    if (order.op === 'close') clients.delete(a);
  };
  const beat = () => {
    look();
    setTimeout(beat, Atomics.load(flags, flag.pumped) === 1 ? lookMs : restMs);
  };
  beat();
  return look;
}

class ServedClient {
  mind: Mind | undefined;
  readonly #a: number;
  readonly #client: ParleyClient;
  readonly #numbers: Float64Array;
  readonly #line: Line;
  readonly #knock: () => void;
  readonly #running = new Map<number, Stream | Job>();
  readonly #tokens = new Map<number, { resolve(token: string): void; reject(error: Error): void }>();
  readonly #answers: Answers;
  #npcs: readonly string[] = [];
  #places: readonly string[] = [];
  #lastAsk = 0;
  #lastSpeech = 0;

  constructor(
    a: number,
    { options, token }: Extract<Order, { op: 'open' }>,
    parts: { line: Line; knock: () => void; numbers: Float64Array; WebSocket: SocketConstructor },
  ) {
    this.#a = a;
    this.#line = parts.line;
    this.#knock = parts.knock;
    this.#numbers = parts.numbers.subarray(a * shownEach, (a + 1) * shownEach);
    const client = new ParleyClient({
      ...options,
      token: token ?? (() => this.#askToken()),
      WebSocket: parts.WebSocket,
    });
    this.#client = client;
    client.on('welcome', (welcome) => this.#tell({ op: 'welcome', welcome }));
    client.on('disconnected', (lost) => this.#tell({ op: 'disconnected', ...lost }));
    client.on('reconnecting', (soon) => this.#tell({ op: 'reconnecting', ...soon }));
    client.on('error', (error) => this.#tell({ op: 'error', fault: faultOf(error) }));
    client.on('closed', ({ error }) => this.#tell({ op: 'closed', fault: faultOf(error) }));
    client.on('push', (push) => this.#tellData({ op: 'push', value: push }));
    client.on('ignored', (ignored) => this.#tellData({ op: 'ignored', value: ignored }));
    client.on('speech', (stream) => {
      const id = --this.#lastSpeech;
      this.#tell({ op: 'speech', id, npc: stream.npc });
      this.#follow(id, stream);
    });
    this.#answers = {
      act: (index, generation, intent) => this.#send(kind.act, index, generation, JSON.stringify(intent)),
      done: (index, generation) => this.#send(kind.done, index, generation),
      failed: (index, generation, retry, retryMs, code) =>
        this.#send(
          kind.failed,
          index,
          generation,
          JSON.stringify({ retry, retryMs, code } satisfies Failure),
        ),
    };
  }

  obey(order: Order): void {
    const client = this.#client;
    switch (order.op) {
      case 'connect':
        // What becomes of it is heard by the events.
        client.connect().catch(() => {});
        break;
      case 'token': {
        const asked = this.#tokens.get(order.ask);
        this.#tokens.delete(order.ask);
        if (order.token === undefined) asked?.reject(new Error(order.why));
        else asked?.resolve(order.token);
        break;
      }
      case 'say':
        this.#follow(order.id, client.say(order.words as Parameters<typeof client.say>[0]));
        break;
      case 'think':
        this.#follow(order.id, client.think(order.words));
        break;
      case 'job':
        this.#work(order.id, client.job(order.kind, order.input));
        break;
      case 'cancel':
        this.#running.get(order.id)?.cancel();
        break;
      case 'observe':
        client.observe(order.kind, order.details);
        break;
      case 'refresh':
        client.refresh(order.token);
        break;
      case 'drop':
        client.drop();
        break;
      case 'close':
        client.close();
        break;
      case 'mind':
        this.mind = clientMind(client, order);
        break;
      case 'names':
        this.#npcs = order.npcs ?? this.#npcs;
        this.#places = order.places ?? this.#places;
        break;
      case 'ask':
        this.#think(order.index, order.npc, order.situation, order.generation);
    }
  }

  /** A question as numbers: of the name, and of the facts. */
  question(index: number, generation: number, body: Uint8Array): void {
    const npc = this.#npcs[body[0]! | (body[1]! << 8)]!;
    this.#think(index, npc, describe(body.subarray(2), this.#places), generation);
  }

  /** Brings the numbers that the game looks at up to date. */
  show(): void {
    const { state, buffered, stats, clock } = this.#client;
    const n = this.#numbers;
    n[shown.state] = states.indexOf(state);
    n[shown.buffered] = buffered;
    n[shown.clockOffsetMs] = clock.offsetMs;
    n[shown.clockTripMs] = clock.tripMs ?? Number.NaN;
    n[shown.reconnects] = stats.reconnects;
    n[shown.resumed] = stats.resumed;
    n[shown.frames] = stats.frames;
    n[shown.bytes] = stats.bytes;
    n[shown.ignored] = stats.ignored;
    n[shown.observed] = stats.observed;
    n[shown.observeDropped] = stats.observeDropped;
    n[shown.lastFirstTokenMs] = stats.lastFirstTokenMs ?? Number.NaN;
  }

  #think(index: number, npc: string, situation: string, generation: number): void {
    // The connection may have gone since the game looked: it is asked again in a moment.
    if (this.mind?.ask(index, npc, situation, generation, this.#answers) === false)
      this.#answers.failed(index, generation, true, 0, 'away');
  }

  #follow(id: number, stream: Stream): void {
    this.#running.set(id, stream);
    const over = () => this.#running.delete(id);
    let n = 0;
    stream.on('text', (words) => this.#send(kind.words, id, ++n, words));
    stream.on('act', (act) => this.#tell({ op: 'act', id, act: { ...act, n: ++n } }));
    stream.on('end', (end) => {
      over();
      this.#tell({ op: 'end', id, end });
    });
    stream.on('error', (error) => {
      over();
      this.#tell({ op: 'failed', id, fault: faultOf(error) });
    });
  }

  #work(id: number, job: Job): void {
    this.#running.set(id, job);
    job.on('progress', (value) => this.#tellData({ op: 'progress', id, value }));
    job.on('result', (value) => {
      this.#running.delete(id);
      this.#tellData({ op: 'result', id, value });
    });
    job.on('error', (error) => {
      this.#running.delete(id);
      this.#tell({ op: 'failed', id, fault: faultOf(error) });
    });
  }

  #askToken(): Promise<string> {
    const ask = ++this.#lastAsk;
    return new Promise((resolve, reject) => {
      this.#tokens.set(ask, { resolve, reject });
      this.#tell({ op: 'token', ask });
    });
  }

  #tell(news: News): void {
    // What the game sees of the client is never older than what it hears.
    this.show();
    this.#send(kind.json, 0, 0, JSON.stringify(news));
  }

  #tellData(news: News): void {
    if (news.op !== 'result' && this.#line.waitingBytes > mostWaitingBytes) return;
    this.show();
    this.#line.sendPacked(kind.packed, this.#a, 0, 0, news);
    this.#knock();
  }

  #send(what: number, b: number, c: number, text?: string): void {
    this.#line.send(what, this.#a, b, c, text);
    this.#knock();
  }
}

function faultOf(error: Error): Fault {
  if (error instanceof ServerError) {
    const { code, message, retryMs } = error;
    return { of: 'server', code, message, retryMs, partial: error instanceof StreamError && error.partial };
  }
  const { code, reason, cause } = error as ClosedError;
  return { of: 'closed', code, reason, why: cause instanceof Error ? cause.message : undefined };
}

async function start(): Promise<void> {
  if (typeof globalThis.postMessage === 'function') {
    const port: Port = {
      postMessage: (knock) => globalThis.postMessage(knock),
      exit: () => globalThis.close(),
    };
    let look: (() => void) | undefined;
    globalThis.onmessage = ({ data }: { data: unknown }) => {
      look?.();
      if (look) return;
      look = serve(data as Shared, port, WebSocket as SocketConstructor);
      port.postMessage(0);
    };
    return;
  }
  const { parentPort, workerData } = await import('node:worker_threads');
  const WebSocketClass = globalThis.WebSocket ?? (await import('ws')).WebSocket;
  const port: Port = {
    postMessage: (knock) => parentPort!.postMessage(knock),
    exit: () => process.exit(),
  };
  parentPort!.on('message', serve(workerData as Shared, port, WebSocketClass as SocketConstructor));
  port.postMessage(0);
}

await start();
