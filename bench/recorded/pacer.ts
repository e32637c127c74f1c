// When the next piece of each stream is due: one heap and one timer for all of them, however many there are. What is
// due is released in small rounds with the event loop between them, so that no stream starves another one, or
// whoever wants to cancel.

/** Streams released in one round; then everything else that waits in the process has its turn. */
const perRound = 256;

/** One stream's place in the pacer. It waits for one moment at a time. */
export class Ticket {
  due = 0;
  #wake: (() => void) | undefined;
  #hurried = false;
  readonly #pacer: Pacer;

  constructor(pacer: Pacer) {
    this.#pacer = pacer;
  }

  /** Resolves at that moment (monotonic ms), or in the next round when it has passed; at once after `hurry`. */
  wait(due: number): Promise<void> | undefined {
    if (this.#hurried) return undefined;
    this.due = due;
    return new Promise((resolve) => {
      this.#wake = resolve;
      this.#pacer.add(this);
    });
  }

  /** Ends the wait, and every later one. */
  hurry(): void {
    this.#hurried = true;
    this.release();
  }

  /** Called by the pacer. */
  release(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }
}

export class Pacer {
  /** A binary heap, the earliest first. A ticket that was hurried stays until its time and then does nothing. */
  readonly #heap: Ticket[] = [];
  /** Due now, in the order in which they came. */
  #ready: Ticket[] = [];
  #timer: NodeJS.Timeout | undefined;
  #timerDue = Number.POSITIVE_INFINITY;
  #round: NodeJS.Immediate | undefined;

  add(ticket: Ticket): void {
    if (ticket.due <= performance.now()) {
      this.#ready.push(ticket);
      this.#round ??= setImmediate(() => this.#release());
      return;
    }
    this.#push(ticket);
    if (ticket.due < this.#timerDue) this.#arm();
  }

  #release(): void {
    this.#round = undefined;
    const round = this.#ready.length <= perRound ? this.#ready : this.#ready.slice(0, perRound);
    this.#ready = this.#ready.length <= perRound ? [] : this.#ready.slice(perRound);
    for (const ticket of round) ticket.release();
    if (this.#ready.length > 0) this.#round ??= setImmediate(() => this.#release());
  }

  #tick(): void {
    this.#timer = undefined;
    this.#timerDue = Number.POSITIVE_INFINITY;
    const now = performance.now();
    while (this.#heap.length > 0 && this.#heap[0]!.due <= now) this.#ready.push(this.#pop());
    // In this very callback, not in the next one: what is due is late already.
    if (this.#ready.length > 0 && !this.#round) this.#release();
    if (this.#heap.length > 0) this.#arm();
  }

  #arm(): void {
    clearTimeout(this.#timer);
    this.#timerDue = this.#heap[0]!.due;
    this.#timer = setTimeout(() => this.#tick(), this.#timerDue - performance.now());
  }

  #push(ticket: Ticket): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(ticket);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (heap[parent]!.due <= ticket.due) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = ticket;
  }

  #pop(): Ticket {
    const heap = this.#heap;
    const first = heap[0]!;
    const last = heap.pop()!;
    if (heap.length === 0) return first;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && heap[child + 1]!.due < heap[child]!.due) child++;
      if (heap[child]!.due >= last.due) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
    return first;
  }
}
