// The frames of a game loop and what is known of each: how long it took, how late it was, and how much of the thread's
// CPU Parley had in it. Everything is allocated before the first frame.

export const framesPerSecond = 300;
export const frameMs = 1_000 / framesPerSecond;
/** A tenth of a frame: what Parley may use of one. */
export const parleyMs = frameMs / 10;

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
  count = 0;
  late = 0;
  dropped = 0;
  worst = 0;

  constructor(most: number) {
    this.tick = new Float32Array(most);
    this.parley = new Float32Array(most);
    this.work = new Float32Array(most);
  }

  /** One frame: the controller's tick, all of Parley, and the whole, in ms; and whether it ended after the next was due. */
  add(tickMs: number, ofParleyMs: number, workMs: number, late: boolean): void {
    if (this.count >= this.work.length) return;
    this.tick[this.count] = tickMs;
    this.parley[this.count] = ofParleyMs;
    this.work[this.count] = workMs;
    this.count++;
    if (late) this.late++;
    if (ofParleyMs > parleyMs) this.dropped++;
    if (ofParleyMs > this.worst) this.worst = ofParleyMs;
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
