// One answer on its way to one player: which try is current, how far it has come, and how it ended. The state
// alone; what happens to it stands in placement.ts (finding a worker) and relay.ts (frames on the way back).

import type { Segments } from '../bus/envelopes.ts';
import type { Encoding, End, Say, Tok } from '../bus/protocol.ts';
import type { StreamRecord } from '../bus/session-store.ts';
import type { Tier } from '../bus/subjects.ts';
import type { Character } from '../npcs/characters.ts';
import type { Decision } from './act-authority.ts';
import { Kept } from './kept.ts';
import type { Session } from './session.ts';

/**
 * `placing`: no worker has accepted the current try. `running`: one has. `attaching`: a worker was asked to go on from a
 * piece, and frames are ignored until it says so. `ended`: the terminal frame is known.
 */
export type StreamState = 'placing' | 'running' | 'attaching' | 'ended';

/** An act about which the game's server is asked, with what came after it. */
export interface Asking {
  /** Frames in the order in which they came. */
  held: Uint8Array[];
  heldBytes: number;
  /** More came than is held: it has to come again from the worker. */
  overflowed: boolean;
  /** To be done once it is decided. */
  after: (() => void) | undefined;
}

export type AttachResult = 'resumed' | 'ended' | 'lost';

export class Stream {
  readonly session: Session;
  readonly s: number;
  readonly say: Say;
  readonly character: Character;
  readonly tier: Exclude<Tier, 'bronze'>;
  readonly traceparent: string;
  /** Monotonic ms. */
  readonly startedAt: number;
  readonly deadlineAt: number;

  state: StreamState = 'placing';
  /** The current try; frames of older ones are ignored. */
  attempt = 0;
  /** The subject of the current try: the key in the relay's map. */
  subject = '';
  /** The worker of the current try; undefined while a try is with the queue group and nobody has accepted. */
  worker: string | undefined;
  /** What the current try writes. */
  encoding: Encoding | undefined;
  tried = new Set<string>();
  /** Tries that are left until another worker has accepted. */
  triesLeft = 0;
  /** What the player must have read, when a worker was lost in mid-sentence and another one goes on. */
  said: Segments | undefined;
  /** Number of the last piece that has arrived here. */
  seen = 0;
  /** Number of the last piece that went to the player's present socket; less than `seen` while it is slow or gone. */
  sent = 0;
  readonly kept = new Kept();
  /** Set while an act waits for the game's server. */
  asking: Asking | undefined;
  /** What it said about earlier ones, by piece. */
  decided: Map<number, Decision> | undefined;
  /** The player (or the session's end) has cancelled it. */
  cancelled = false;
  /** For the one thing that it waits for now: acceptance, attachment, the deadline, a cancelled stream's end. */
  timer: NodeJS.Timeout | undefined;
  /** Set while attaching: told what became of it. */
  attached: ((state: AttachResult) => void) | undefined;
  /** Monotonic ms of the end; 0 before. */
  endedAt = 0;
  /** The terminal message, while it waits to be sent. */
  terminal: object | undefined;
  /** Messages of an answer that the gateway wrote itself; a worker's are with the worker. */
  written: readonly (Tok | End)[] | undefined;

  constructor(
    init: Pick<
      Stream,
      'session' | 's' | 'say' | 'character' | 'tier' | 'traceparent' | 'startedAt' | 'deadlineAt'
    >,
  ) {
    this.session = init.session;
    this.s = init.s;
    this.say = init.say;
    this.character = init.character;
    this.tier = init.tier;
    this.traceparent = init.traceparent;
    this.startedAt = init.startedAt;
    this.deadlineAt = init.deadlineAt;
  }

  /** Nobody has spoken: the character only decides what to do. */
  get thinks(): boolean {
    return this.say.mode === 'think';
  }

  get ended(): boolean {
    return this.endedAt > 0;
  }

  /** What another gateway would need to go on with it. */
  record(): StreamRecord {
    return {
      npc: this.say.npc,
      say: this.say,
      tier: this.tier,
      worker: this.worker,
      attempt: this.attempt,
      deadlineAt: Math.round(Date.now() + this.deadlineAt - performance.now()),
      ended: this.ended,
      written: this.written,
    };
  }
}
