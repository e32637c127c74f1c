// What the loop bench says to its processes, the two game loops and the driver, and what they answer.

import type { Drop, FrameFigures } from './frames.ts';

export interface World {
  readonly url: string;
  /** One a player. */
  readonly tokens: readonly string[];
  /** Ids of the characters of the stack; the crowd is made of them in turn. */
  readonly npcs: readonly string[];
  readonly characters: number;
  readonly seed: number;
}

export type Order =
  /** A game opens as `bare` without SDK and controller. */
  | ({ readonly op: 'open'; readonly arm?: 'parley' | 'bare' } & World)
  /** The loop runs for so many frames. */
  | {
      readonly op: 'run';
      readonly frames: number;
      readonly saysPerSecond: number;
      /** What Parley takes of a frame as a rule, ms: the bare loop does as much plain work in its spare time. */
      readonly plainMs: number;
      /** Every socket of the loop is cut from this frame on, one a frame. */
      readonly cutAt?: number;
    }
  /** The driver asks so often. */
  | { readonly op: 'drive'; readonly ms: number; readonly load: Load }
  /** Every socket of the driver is cut. */
  | { readonly op: 'cut' };

/** What a run asked of the model. */
export interface Load {
  readonly thinksPerSecond: number;
  readonly saysPerSecond: number;
}

export interface RunResult extends FrameFigures {
  readonly load: Load;
  /** Garbage collections of the thread, and the longest, ms. */
  readonly collections: number;
  readonly longestCollectionMs: number;
  /** Frames in which Parley used more than its part, with what was collected in them: ms, and how much of the memory. */
  readonly drops: readonly (Drop & {
    readonly collectionMs: number;
    readonly collected: readonly string[];
  })[];
  /** How old the intents were that characters acted on, ms, sampled once a second. */
  readonly intentAgeMs: readonly number[];
  /** CPU time of the plain work of each frame, ms. */
  readonly plainMs: Float32Array;
  readonly counts: Readonly<Record<string, number>>;
}

/** Runs a process's orders one after the other, and tells its parent how each went. */
export function obey(handle: (order: Order) => Promise<unknown>): void {
  process.on('message', (message: { id: number; order: Order }) => {
    handle(message.order).then(
      (result) => process.send!({ id: message.id, result }),
      (error: Error) => process.send!({ id: message.id, error: error.stack ?? error.message }),
    );
  });
  process.on('disconnect', () => process.exit(0));
}
