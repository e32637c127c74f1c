// The frames of a game loop and what is known of each: how long it took, how late it was, and how much of the thread's
// CPU Parley had in it, and of which part. Everything is allocated before the first frame.

export const framesPerSecond = 300;
export const frameMs = 1_000 / framesPerSecond;
/** A tenth of a frame: what Parley may use of one. */
export const parleyMs = frameMs / 10;

/** Frames before those that count: the arm before has left the caches, and the compiler, to something else. */
export const leadFrames = framesPerSecond;

/** What Parley does in a frame: takes news of the thread, is asked by the game, ticks, and what the event loop has. */
export const parts = ['pump', 'call', 'tick', 'turn'] as const;
/** A frame in which Parley used more than its part, with the CPU time of each. */
export interface Drop {
  readonly frame: number;
  /** By `performance.now()`: begin and end of the frame's work. */
  readonly from: number;
  readonly to: number;
  readonly ms: number;
  readonly parts: readonly number[];
  /** Questions that left in it, and situations that the cache answered. */
  readonly asked: number;
  readonly hits: number;
}

/** Sums of a run that can be added to those of another. */
export interface FrameFigures {
  readonly frames: number;
  /** Frames whose work was not done when the next one was due. */
  readonly late: number;
  /** Frames in which Parley used more than its part. */
  readonly dropped: number;
  /** The worst of them, ms of CPU. */
  readonly worstMs: number;
  readonly tickMs: Float32Array;
  readonly parleyMs: Float32Array;
  readonly workMs: Float32Array;
}

export class Frames {
  readonly tick: Float32Array;
  readonly parley: Float32Array;
  readonly work: Float32Array;
  /** CPU time of each of the `parts` in the frame that goes on; the game writes it. */
  readonly now = new Float64Array(parts.length);
  readonly drops: Drop[] = [];
  count = 0;
  late = 0;
  dropped = 0;
  worst = 0;

  constructor(most: number) {
    this.tick = new Float32Array(most);
    this.parley = new Float32Array(most);
    this.work = new Float32Array(most);
  }

  /**
   * One frame, once the thread has slept: begin and end of its work by `performance.now()`, the most CPU that Parley can
   * have had of it, ms, and what it asked. The `parts` are taken from `now`, which begins anew.
   */
  add(from: number, to: number, mostMs: number, late: boolean, asked: number, hits: number): void {
    const { now } = this;
    if (this.count >= this.work.length) return;
    const ms = Math.min(now[0]! + now[1]! + now[2]! + now[3]!, mostMs);
    this.tick[this.count] = now[2]!;
    this.parley[this.count] = ms;
    this.work[this.count] = to - from;
    this.count++;
    if (late) this.late++;
    if (ms > parleyMs) {
      this.dropped++;
      this.drops.push({ frame: this.count, from, to, ms, parts: [...now], asked, hits });
    }
    if (ms > this.worst) this.worst = ms;
    now.fill(0);
  }

  /** Of the frames since the last call. */
  take(): FrameFigures {
    const { count, late, dropped, worst } = this;
    // No lists of numbers: a loop that makes garbage would measure its own.
    const figures = {
      frames: count,
      late,
      dropped,
      worstMs: worst,
      tickMs: this.tick.slice(0, count),
      parleyMs: this.parley.slice(0, count),
      workMs: this.work.slice(0, count),
    };
    this.count = 0;
    this.late = 0;
    this.dropped = 0;
    this.worst = 0;
    return figures;
  }
}

/** Adds up the figures of several runs. */
export function sum(all: readonly FrameFigures[]): FrameFigures {
  const of = (key: 'frames' | 'late' | 'dropped') => all.reduce((total, figures) => total + figures[key], 0);
  return {
    frames: of('frames'),
    late: of('late'),
    dropped: of('dropped'),
    worstMs: Math.max(0, ...all.map(({ worstMs }) => worstMs)),
    tickMs: joined(all.map(({ tickMs }) => tickMs)),
    parleyMs: joined(all.map(({ parleyMs: ms }) => ms)),
    workMs: joined(all.map(({ workMs }) => workMs)),
  };
}

function joined(parts: readonly Float32Array[]): Float32Array {
  const whole = new Float32Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** The value below which so large a share of the values lies; 0 of nothing. */
export function percentile(values: ArrayLike<number>, share: number): number {
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0;
}
