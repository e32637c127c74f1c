// Waiting for what a socket brings: those who look for something sleep until anything has come.

export class Arrivals {
  private readonly waiting = new Set<() => void>();

  /** Something has come: all who wait look again. */
  wake(): void {
    for (const done of [...this.waiting]) done();
  }

  /** Resolves with the next that comes, and after `ms` at the latest. */
  next(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const { waiting } = this;
      const timer = setTimeout(done, ms);
      waiting.add(done);
      function done() {
        clearTimeout(timer);
        waiting.delete(done);
        resolve();
      }
    });
  }
}
