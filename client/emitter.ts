// Typed events, the same in Node and in browsers. Nothing is allocated when an event is emitted. Knows nothing of
// Parley.

type Listener<T> = (value: T) => void;

/** `Events` maps the name of each event to what its listeners are given. */
export class Emitter<Events> {
  /** The arrays are never changed, only replaced: a listener may come or go while one is being walked. */
  readonly #listeners = new Map<keyof Events, readonly Listener<never>[]>();

  /** Calls `listener` at each such event from now on. Returns the function that stops it. */
  on<K extends keyof Events>(event: K, listener: Listener<Events[K]>): () => void {
    this.#listeners.set(event, [...(this.#listeners.get(event) ?? []), listener]);
    return () => this.off(event, listener);
  }

  /** The same for the next such event alone. */
  once<K extends keyof Events>(event: K, listener: Listener<Events[K]>): () => void {
    const stop = this.on(event, (value) => {
      stop();
      listener(value);
    });
    return stop;
  }

  /** Stops a listener that was given to `on`. */
  off<K extends keyof Events>(event: K, listener: Listener<Events[K]>): void {
    const others = this.#listeners.get(event)?.filter((other) => other !== listener);
    if (others) this.#listeners.set(event, others);
  }

  /** A listener that throws must not stop the others or the protocol: what it throws is reported as uncaught. */
  protected emit<K extends keyof Events>(event: K, value: Events[K]): void {
    const listeners = this.#listeners.get(event) as readonly Listener<Events[K]>[] | undefined;
    if (!listeners) return;
    for (const listener of listeners) {
      try {
        listener(value);
      } catch (error) {
        report(error);
      }
    }
  }
}

/** To the handler of uncaught errors: `window.onerror`, or `uncaughtException` in Node. */
function report(error: unknown): void {
  if (typeof globalThis.reportError === 'function') globalThis.reportError(error);
  else {
    queueMicrotask(() => {
      throw error;
    });
  }
}
