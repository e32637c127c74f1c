// Whether it pays to guess, and how far ahead: the controller of speculative decoding, one for a model that a worker
// uses. It is told what each step cost and how many guessed tokens came true, and says how many to guess next. It makes
// no guess itself, verifies none, and knows no engine.

export const speculationModes = ['auto', 'on', 'off'] as const;
/** `auto` guesses where it was measured to gain; `on` always, whatever it costs: for measurements; `off` never. */
export type SpeculationMode = (typeof speculationModes)[number];

/** One step of a model, or the average step of one answer (then the numbers are fractions). */
export interface Step {
  /** Where the guess came from, as in `wanted`; any word where nothing was guessed. */
  readonly kind: string;
  /** Tokens guessed; 0 for a plain step. */
  readonly drafted: number;
  /** Of these, tokens that the model itself chose. A step yields one more. */
  readonly accepted: number;
  /** Milliseconds of all of it, and of making the guess alone. */
  readonly ms: number;
  readonly draftMs: number;
  /** How many steps this is the average of; 1 when absent. */
  readonly steps?: number;
}

/** What came of it. Counts are since the start, times those of late. */
export interface SpeculationFigures {
  readonly mode: SpeculationMode;
  /** Whether the last guess that could be made was made for its gain, not as a probe. */
  readonly active: boolean;
  readonly drafted: number;
  readonly accepted: number;
  /** Accepted of drafted, 0 to 1; 0 where nothing was guessed. */
  readonly acceptance: number;
  /** Milliseconds to make a guess, on average since the start. */
  readonly draftMs: number;
  /** Milliseconds of a step without a guess, and what each guessed token adds to it. */
  readonly plainMs: number;
  readonly extraMs: number;
  /** Tokens a second with guesses as they were made, over those without any; 1 until measured. */
  readonly speedUp: number;
}

export interface SpeculationOptions {
  readonly mode: SpeculationMode;
  /** Tokens guessed at once at most. */
  readonly most: number;
  /** Hears every step that guessed, and the speed-up after it: for metrics. */
  readonly onStep?: (step: Step, speedUp: number) => void;
}

/** Measurements of a kind that are needed before they are believed. */
const enough = 3;
/** Guessing must promise so much more speed; less is noise. */
const leastGain = 1.03;
/** After so many steps with a guess one goes without, so that the comparison stays true. */
const plainEvery = 32;
/** Guesses left unmade before some are made to see whether they would gain by now; doubled each time they would not. */
const firstProbeAfter = 256;
const lastProbeAfter = 4_096;
const probeSteps = 3;
const probeTokens = 3;
/** What is thought of guesses before there were any: as many right and wrong. */
const prior = { right: 1.4, wrong: 0.6 };
/** How much of what was seen of guesses is still counted after another one. */
const memory = 0.97;
/** The same for the speed-up, which is told to people: it is to be steady. */
const longMemory = 0.995;

export class Speculation {
  readonly mode: SpeculationMode;
  readonly #most: number;
  readonly #onStep: SpeculationOptions['onStep'];
  readonly #plain = new Median();
  readonly #extra = new Median();
  readonly #kinds = new Map<string, { right: number; wrong: number }>();
  /** Of late: tokens and milliseconds of all steps; steps and milliseconds of those without a guess. */
  #tokens = 0;
  #ms = 0;
  #plainSteps = 0;
  #plainSum = 0;
  #drafted = 0;
  #accepted = 0;
  #guesses = 0;
  #draftMs = 0;
  #active = false;
  #sincePlain = 0;
  #unmade = 0;
  #probeAfter = firstProbeAfter;
  #probes = 0;

  constructor({ mode, most, onStep }: SpeculationOptions) {
    this.mode = mode;
    this.#most = most;
    this.#onStep = onStep;
  }

  /**
   * How many tokens to guess now from a source of this kind; 0 for none. `room` bounds them; `mostMs` bounds the step,
   * where others wait for theirs.
   */
  wanted(kind: string, room: number, mostMs = Number.POSITIVE_INFINITY): number {
    const most = Math.min(this.#most, Math.floor(room));
    if (this.mode === 'off' || most <= 0) return 0;
    if (this.mode === 'on') return most;
    // First what a step costs without a guess, then what one costs with.
    if (this.#plain.count < enough || this.#sincePlain >= plainEvery) return 0;
    if (this.#extra.count < enough) return Math.min(most, probeTokens);
    const best = this.#best(kind, Math.min(most, this.#inTime(mostMs)));
    this.#active = best > 0;
    if (best > 0) {
      this.#probeAfter = firstProbeAfter;
      this.#unmade = 0;
      return best;
    }
    return this.#mayProbe() ? Math.min(most, probeTokens) : 0;
  }

  /** Takes what a step was like. */
  saw(step: Step): void {
    const { kind, drafted, accepted, ms, draftMs, steps = 1 } = step;
    const kept = memory ** steps;
    const longKept = longMemory ** steps;
    this.#tokens = longKept * this.#tokens + (1 + accepted) * steps;
    this.#ms = longKept * this.#ms + ms * steps;
    if (drafted === 0) {
      this.#plain.add(ms);
      this.#plainSteps = longKept * this.#plainSteps + steps;
      this.#plainSum = longKept * this.#plainSum + ms * steps;
      this.#sincePlain = 0;
      return;
    }
    this.#sincePlain++;
    this.#guesses += steps;
    this.#drafted += drafted * steps;
    this.#accepted += accepted * steps;
    this.#draftMs += draftMs * steps;
    if (this.#plain.count > 0) this.#extra.add(Math.max(0, ms - this.#plain.value) / drafted);
    const seen = this.#kinds.get(kind) ?? prior;
    this.#kinds.set(kind, {
      right: kept * seen.right + accepted * steps,
      // What came after the first wrong token was not judged.
      wrong: kept * seen.wrong + Math.min(1, drafted - accepted) * steps,
    });
    this.#onStep?.(step, this.figures.speedUp);
  }

  get figures(): SpeculationFigures {
    const measured = this.#plainSteps > 0 && this.#ms > 0;
    return {
      mode: this.mode,
      active: this.mode === 'on' || this.#active,
      drafted: Math.round(this.#drafted),
      accepted: Math.round(this.#accepted),
      acceptance: this.#drafted === 0 ? 0 : this.#accepted / this.#drafted,
      draftMs: this.#guesses === 0 ? 0 : this.#draftMs / this.#guesses,
      plainMs: this.#plain.value,
      extraMs: this.#extra.value,
      // Means of both: a machine that holds up steps now and then does so in either kind.
      speedUp: measured ? ((this.#plainSum / this.#plainSteps) * this.#tokens) / this.#ms : 1,
    };
  }

  /** The number of tokens that promises most tokens for the time, or 0 when a plain step does. */
  #best(kind: string, most: number): number {
    const { right, wrong } = this.#kinds.get(kind) ?? prior;
    const p = right / (right + wrong);
    const plain = this.#plain.value;
    let tokens = 1;
    let best = 0;
    let bestGain = leastGain;
    for (let n = 1; n <= most; n++) {
      tokens += p ** n;
      const gain = (tokens * plain) / (plain + n * this.#extra.value);
      if (gain > bestGain) {
        best = n;
        bestGain = gain;
      }
    }
    return best;
  }

  #inTime(mostMs: number): number {
    const left = mostMs - this.#plain.value;
    return left <= 0 ? 0 : Math.floor(left / Math.max(this.#extra.value, 1e-6));
  }

  /** A few guesses after many that were not made: costs and texts change. */
  #mayProbe(): boolean {
    if (this.#probes > 0) {
      this.#probes--;
      return true;
    }
    if (++this.#unmade < this.#probeAfter) return false;
    this.#unmade = 0;
    this.#probeAfter = Math.min(lastProbeAfter, 2 * this.#probeAfter);
    this.#probes = probeSteps - 1;
    return true;
  }
}

/** The middle one of the last values: one step that the machine held up says nothing. 0 while there are none. */
class Median {
  static readonly #size = 9;
  readonly #last: number[] = [];
  value = 0;

  get count(): number {
    return this.#last.length;
  }

  add(value: number): void {
    this.#last.push(value);
    if (this.#last.length > Median.#size) this.#last.shift();
    this.value = this.#last.toSorted((a, b) => a - b)[this.#last.length >> 1]!;
  }
}
