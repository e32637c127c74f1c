// One player of a chaos run: speaks PROTOCOL.md over plain WebSockets, comes back after every loss (at the next
// gateway), and writes down what a player would notice: the words, the silences, how each answer ended. It is not our
// client library, so that a fault in that one cannot hide one in the gateway.

import { Packr, Unpackr } from 'msgpackr';
import WebSocket from 'ws';
import type { Encoding, End, Err, ServerMessage, Welcome } from '../../bus/protocol.ts';
import { closeCodes } from '../../runtime/errors.ts';

/** How long a player waits for signs of life; what PROTOCOL.md recommends is 5 s and 5 s. */
export interface Patience {
  /** Silence, with an answer awaited, after which it pings. */
  readonly silenceMs: number;
  /** Without an answer to that, it connects again. */
  readonly pongMs: number;
  /** From opening a socket to `welcome`. */
  readonly connectMs: number;
}

export const usualPatience: Patience = { silenceMs: 5_000, pongMs: 5_000, connectMs: 5_000 };
export const shortPatience: Patience = { silenceMs: 1_000, pongMs: 1_000, connectMs: 2_000 };

export interface PlayerOptions {
  readonly name: string;
  readonly token: string;
  /** Where to connect: the first of `from`, after each loss the next one, round and round. */
  readonly urls: () => readonly string[];
  readonly from: number;
  readonly encoding: Encoding;
  readonly patience: Patience;
}

/** One answer, as its player read it. All times are monotonic ms. */
export class Heard {
  readonly player: Player;
  readonly s: number;
  readonly npc: string;
  readonly words: string;
  readonly maxTokens: number;
  readonly askedAt = performance.now();
  sent = false;
  text = '';
  /** Number of the last piece that was applied. */
  last = 0;
  terminal: End | Err | undefined;
  endedAt = 0;
  /** Frames after the terminal one, on the connection that brought it. */
  afterEnd = 0;
  /** Frames that had been read before: harmless, and ignored. */
  repeated = 0;
  /** Times its player's connection was lost while it ran. */
  losses = 0;
  /** When something of it came: pieces and the terminal frame. */
  readonly at: number[] = [];
  readonly done: Promise<void>;
  #resolve!: () => void;

  constructor(player: Player, s: number, npc: string, words: string, maxTokens: number) {
    this.player = player;
    this.s = s;
    this.npc = npc;
    this.words = words;
    this.maxTokens = maxTokens;
    this.done = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  end(terminal: End | Err): void {
    this.terminal = terminal;
    this.endedAt = performance.now();
    this.at.push(this.endedAt);
    this.#resolve();
  }

  /** The longest silence that touches the span: what the player waited for the next sign. */
  silence(from: number, to: number): number {
    let longest = 0;
    let before = this.askedAt;
    for (const at of this.at) {
      if (at >= from && before <= to) longest = Math.max(longest, at - before);
      before = at;
    }
    return longest;
  }
}

const packr = new Packr({ useRecords: false });
const unpackr = new Unpackr({ useRecords: false, mapsAsObjects: true });
/** Any code but 1000, which would be a goodbye. */
const comingBack = 4000;
/** A connection that stood for so long was a good one: the next loss starts with the shortest delay again. */
const steadyMs = 5_000;

export class Player {
  readonly name: string;
  /** Every answer that was asked for. */
  readonly heard: Heard[] = [];
  /** The close code after which a client must not come back, if there was one. */
  closedForGood: number | undefined;
  /** `welcome` said that the session does not go on, although it should. */
  sessionsLost = 0;
  welcomes = 0;
  /** Frames of answers on a connection that this player had given up: they must not matter. */
  strays = 0;
  readonly #options: PlayerOptions;
  readonly #running = new Map<number, Heard>();
  #lastS = 0;
  #ws: WebSocket | undefined;
  #url: number;
  #session: { session: string; key: string } | undefined;
  #online = false;
  #attempt = 0;
  #openedAt = 0;
  #welcomedAt = 0;
  #heardAt = 0;
  #pingedAt = 0;
  #timer: NodeJS.Timeout | undefined;
  #left = false;
  #welcomed: (() => void)[] = [];

  constructor(options: PlayerOptions) {
    this.name = options.name;
    this.#options = options;
    this.#url = options.from;
  }

  get online(): boolean {
    return this.#online;
  }

  /** Connects, and from then on comes back until `leave`. Resolves with the first `welcome`. */
  join(): Promise<void> {
    const welcomed = new Promise<void>((resolve) => this.#welcomed.push(resolve));
    this.#open();
    return welcomed;
  }

  /** Resolves at the next `welcome`. */
  nextWelcome(): Promise<void> {
    return new Promise((resolve) => this.#welcomed.push(resolve));
  }

  /** Asks. Without a connection the words go out with the next one. */
  say(npc: string, words: string, maxTokens: number): Heard {
    const heard = new Heard(this, ++this.#lastS, npc, words, maxTokens);
    this.heard.push(heard);
    this.#running.set(heard.s, heard);
    if (this.#online) this.#ask(heard);
    return heard;
  }

  /** The line is cut: no close frame, no waiting; the player comes back by itself. */
  cut(): void {
    const ws = this.#ws;
    if (!ws) return;
    this.#lostConnection();
    ws.terminate();
  }

  /** Reads nothing more, as a game that hangs does. */
  stopReading(): void {
    this.#ws?.pause();
  }

  readAgain(): void {
    this.#ws?.resume();
  }

  /** Called now and then: notices a connection that has gone silent. */
  tick(now: number): void {
    const { silenceMs, pongMs, connectMs } = this.#options.patience;
    const ws = this.#ws;
    if (!ws || ws.isPaused) return;
    if (!this.#online) {
      if (now - this.#openedAt > connectMs) this.#giveUp();
    } else if (this.#pingedAt > 0) {
      if (now - this.#pingedAt > pongMs) this.#giveUp();
    } else if (this.#running.size > 0 && now - this.#heardAt > silenceMs) {
      this.#pingedAt = now;
      this.#send({ t: 'ping', c: 1 });
    }
  }

  /** Says goodbye. Answers under way stay as they are. */
  leave(): void {
    this.#left = true;
    clearTimeout(this.#timer);
    const ws = this.#ws;
    this.#ws = undefined;
    this.#online = false;
    if (ws?.readyState === WebSocket.OPEN) ws.close(1000);
    else ws?.terminate();
  }

  // ---- connections ----

  #open(): void {
    const { urls, encoding, token } = this.#options;
    const all = urls();
    const ws = new WebSocket(all[this.#url % all.length]!, `parley.v1.${encoding}`, {
      perMessageDeflate: false,
      skipUTF8Validation: true,
    });
    this.#ws = ws;
    this.#openedAt = performance.now();
    ws.on('open', () => {
      const streams = [...this.#running.values()].filter((h) => h.sent).map((h) => ({ s: h.s, n: h.last }));
      const resume = this.#session && { ...this.#session, streams };
      if (this.#ws === ws) this.#send(resume ? { t: 'hello', token, resume } : { t: 'hello', token });
    });
    ws.on('message', (data: Buffer, isBinary: boolean) => {
      const message: ServerMessage = isBinary ? unpackr.unpack(data) : JSON.parse(data.toString());
      if (this.#ws === ws) this.#onMessage(message);
      else if (message.t === 'tok' || message.t === 'end') this.strays++;
    });
    ws.on('close', (code) => {
      if (this.#ws !== ws) return;
      this.#lostConnection(code);
    });
    ws.on('error', () => {}); // a close follows
  }

  /** Nobody answers there: on to the next gateway. The socket is left open, as by a network that swallows everything. */
  #giveUp(): void {
    const ws = this.#ws!;
    this.#lostConnection();
    // One half of the players (it happens to be that of one encoding) leaves it to the other side to notice.
    if (this.#options.encoding === 'json') ws.terminate();
    else setTimeout(() => ws.terminate(), 30_000).unref();
  }

  #lostConnection(code = 1006): void {
    this.#ws = undefined;
    if (this.#left) return;
    if (this.#online) for (const heard of this.#running.values()) heard.losses++;
    const now = performance.now();
    if (this.#online && now - this.#welcomedAt > steadyMs) this.#attempt = 0;
    this.#online = false;
    const known = Object.values(closeCodes).find((c) => c.code === code);
    if (known?.retry === 'no' || (code >= 4400 && code < 4500 && !known)) {
      this.closedForGood = code;
      return;
    }
    this.#url++;
    this.#attempt++;
    const delayMs = Math.random() * Math.min(5_000, 250 * 2 ** (this.#attempt - 1));
    this.#timer = setTimeout(() => this.#open(), delayMs);
  }

  #onMessage(message: ServerMessage): void {
    this.#heardAt = performance.now();
    this.#pingedAt = 0;
    switch (message.t) {
      case 'welcome':
        return this.#onWelcome(message);
      case 'tok':
      case 'act':
      case 'end':
        return this.#onFrame(message.s, message);
      case 'err':
        if (message.s !== undefined) this.#onFrame(message.s, message);
        return;
      case 'reconnect': {
        const leaving = this.#ws;
        this.#timer = setTimeout(() => {
          if (this.#ws !== leaving) return;
          this.#lostConnection();
          leaving?.close(comingBack);
        }, message.afterMs);
      }
    }
  }

  #onWelcome(welcome: Welcome): void {
    const before = this.#session;
    this.#session = { session: welcome.session, key: welcome.key };
    this.#online = true;
    this.#welcomedAt = performance.now();
    this.welcomes++;
    if (before && !welcome.resumed) this.sessionsLost++;
    const states = new Map(welcome.streams.map(({ s, state }) => [s, state]));
    for (const heard of [...this.#running.values()]) {
      if (!heard.sent) this.#ask(heard);
      else {
        const state = states.get(heard.s);
        if (state === 'unknown') this.#ask(heard);
        else if (state !== 'resumed' && state !== 'ended') {
          this.#running.delete(heard.s);
          heard.end({ t: 'err', s: heard.s, code: 'lost', message: 'by welcome', partial: heard.last > 0 });
        }
      }
    }
    for (const tell of this.#welcomed.splice(0)) tell();
  }

  /** The rule of PROTOCOL.md for applying frames. */
  #onFrame(s: number, frame: Extract<ServerMessage, { t: 'tok' | 'act' | 'end' | 'err' }>): void {
    const heard = this.#running.get(s);
    if (!heard) {
      const over = this.heard.find((h) => h.s === s);
      if (over) over.afterEnd++;
      return;
    }
    if (frame.t === 'err' || (frame.t === 'end' && frame.n <= heard.last)) {
      this.#running.delete(s);
      return heard.end(frame);
    }
    const first = frame.t === 'tok' ? (frame.f ?? frame.n) : frame.n;
    if (frame.t !== 'end' && frame.n <= heard.last) {
      heard.repeated++;
      return;
    }
    if (frame.t === 'end' || first !== heard.last + 1) return this.cut(); // a gap
    heard.last = frame.n;
    heard.at.push(this.#heardAt);
    if (frame.t === 'tok') heard.text += frame.d;
  }

  #ask(heard: Heard): void {
    heard.sent = true;
    const { s, npc, words, maxTokens } = heard;
    this.#send({ t: 'say', s, npc, text: words, maxTokens, mode: 'alongside' });
  }

  #send(message: object): void {
    if (this.#ws?.readyState !== WebSocket.OPEN) return;
    this.#ws.send(this.#options.encoding === 'json' ? JSON.stringify(message) : packr.pack(message));
  }
}
