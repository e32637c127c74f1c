// Between the engine, which decodes in rounds of its own, and one reader, which may be slower or leave: a short
// queue. The engine stays at most a few pieces ahead, so little is computed for a reader who is gone.

/** How many pieces may wait for the reader before the engine pauses this stream. */
const ahead = 2;

export class Outlet<T> implements AsyncIterable<T> {
  readonly #queue: T[] = [];
  #over: { error?: unknown } | undefined;
  #wakeReader: () => void = () => {};
  #wakeWriter: () => void = () => {};

  push(item: T): void {
    this.#queue.push(item);
    this.#wakeReader();
  }

  /** The last item; nothing comes after it. */
  end(last: T): void {
    this.#over = {};
    this.push(last);
  }

  /** The reader gets what is waiting, then the error. */
  fail(error: unknown): void {
    this.#over = { error };
    this.#wakeReader();
  }

  /** Resolves when the reader has kept up. Rejects with the reason of the abort. */
  async ready(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#queue.length < ahead) return;
    await new Promise<void>((resolve, reject) => {
      const leave = () => reject(signal.reason);
      signal.addEventListener('abort', leave, { once: true });
      this.#wakeWriter = () => {
        signal.removeEventListener('abort', leave);
        resolve();
      };
    });
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T> {
    while (true) {
      while (this.#queue.length > 0) {
        const item = this.#queue.shift()!;
        if (this.#queue.length < ahead) this.#wakeWriter();
        yield item;
      }
      if (this.#over) {
        if ('error' in this.#over) throw this.#over.error;
        return;
      }
      await new Promise<void>((resolve) => {
        this.#wakeReader = resolve;
      });
    }
  }
}
