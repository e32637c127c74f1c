// Whether the model of this worker lives and may be given work. A model in this process that has been quiet is asked for one
// token; if it then neither answers nor does anything else, it hangs. Ends no process and knows no bus: run-worker.ts does.

import type { Log } from '../runtime/log.ts';
import { type Engine, EngineError } from './engine.ts';

export interface VitalSignsOptions {
  readonly engine: Engine;
  /** How long a model may leave a probe without an answer and do nothing else meanwhile; 0: for ever. */
  readonly hangMs: number;
  readonly log: Log;
  readonly onProbe: (result: 'ok' | 'failed') => void;
  /** Called once, when the model hangs. */
  readonly onHang: (words: string) => void;
  /** Called when the worker may be given work again, or no longer. */
  readonly onReady: (ready: boolean) => void;
}

const lookMs = 1_000;
/** A model that did nothing for so long is asked for a token; sooner where less than twice that counts as hanging. */
const mostQuietMs = 15_000;

export class VitalSigns {
  readonly #options: VitalSignsOptions;
  readonly #closed = new AbortController();
  #timer: NodeJS.Timeout | undefined;
  #steps: number | undefined;
  /** Time without a step, counted in looks: a process that was stopped and goes on has not hung. */
  #stillMs = 0;
  /** Of that, with a probe under way. */
  #unansweredMs = 0;
  #probing: Promise<void> | undefined;
  #fault: string | undefined;
  #hangs: string | undefined;

  constructor(options: VitalSignsOptions) {
    this.#options = options;
  }

  /** Why the worker must not be given work now. */
  get notReady(): string | undefined {
    return this.#hangs ?? this.#fault;
  }

  /** Why the process ought to be restarted. */
  get hangs(): string | undefined {
    return this.#hangs;
  }

  /** Resolves when the model has decoded a token. Rejects with what it says, or EngineError `unavailable` when it hangs. */
  async begin(): Promise<void> {
    const { engine, hangMs } = this.#options;
    let late: NodeJS.Timeout | undefined;
    const hang = new Promise<never>((_, reject) => {
      if (hangMs === 0) return;
      const words = `The model has not decoded its first token within ${hangMs} ms (PARLEY_HANG_MS).`;
      late = setTimeout(() => reject(new EngineError('unavailable', words)), hangMs);
    });
    const probe = engine.probe(this.#closed.signal);
    probe.catch(() => {}); // it may fail after it was given up
    try {
      await Promise.race([probe, hang]);
    } finally {
      clearTimeout(late);
    }
  }

  /** Looks at the model every second until it is closed. */
  watch(): void {
    let before = performance.now();
    this.#timer = setInterval(() => {
      const now = performance.now();
      void this.look(Math.min(now - before, 2 * lookMs));
      before = now;
    }, lookMs);
    this.#timer.unref();
  }

  /** Looks at the model, `passedMs` after the last time. Never rejects. */
  async look(passedMs: number): Promise<void> {
    const { engine, hangMs } = this.#options;
    const quietMs = hangMs === 0 ? mostQuietMs : Math.min(mostQuietMs, hangMs / 2);
    if (this.#closed.signal.aborted || this.#hangs) return;
    const { steps } = engine.stats();
    const still = steps !== undefined && steps === this.#steps;
    this.#steps = steps;
    this.#stillMs = still ? this.#stillMs + passedMs : 0;
    this.#unansweredMs = still && this.#probing ? this.#unansweredMs + passedMs : 0;
    if (hangMs > 0 && this.#unansweredMs >= hangMs) {
      this.#hangs = `The model has left a request for one token without an answer for ${hangMs} ms and did nothing else.`;
      this.#options.onReady(false);
      return this.#options.onHang(this.#hangs);
    }
    const fault = await engine.health().then(
      () => undefined,
      (error: Error) => error.message,
    );
    // A model that calls itself unwell gets no work, so only a probe can find out that it is well again. One that runs
    // elsewhere is watched by its engine.
    if (steps !== undefined && (this.#stillMs >= quietMs || fault !== undefined)) this.#probe();
    this.#turn(fault);
  }

  close(): void {
    clearInterval(this.#timer);
    this.#closed.abort(new Error('the worker stops'));
  }

  #probe(): void {
    const { engine, onProbe } = this.#options;
    this.#probing ??= engine
      .probe(this.#closed.signal)
      .then(
        () => onProbe('ok'),
        () => this.#closed.signal.aborted || onProbe('failed'),
      )
      .then(() => {
        this.#probing = undefined;
        // Whoever says no has answered.
        this.#stillMs = 0;
        this.#unansweredMs = 0;
      });
  }

  #turn(fault: string | undefined): void {
    const { log, onReady } = this.#options;
    const before = this.#fault;
    this.#fault = fault;
    if ((before === undefined) === (fault === undefined)) return;
    if (fault === undefined) log.info('the model serves again');
    else log.error({ detail: fault }, 'the model does not serve: no work is taken until it does');
    onReady(fault === undefined);
  }
}
