// CPU time of this thread in short spans, to the microsecond: wall time less the time that the kernel says the thread
// stood in the run queue. Only for spans in which the thread never waits. Linux alone: it reads /proc.

import { openSync, readSync } from 'node:fs';

const file = openSync('/proc/thread-self/schedstat', 'r');
const line = Buffer.alloc(64);
const [space, zero] = [0x20, 0x30];

/**
 * The first two numbers of schedstat, nanoseconds: what the thread has run, as of its last sleep, and what it has waited
 * for a core. In an array of its own, since numbers in variables that are written would be garbage.
 */
const now = new Float64Array(2);

/** Reads both; about 3 us. */
function read(): void {
  readSync(file, line, 0, line.length, 0);
  let at = 0;
  for (let k = 0; k < now.length; k++, at++) {
    now[k] = 0;
    for (; line[at] !== space; at++) now[k] = now[k]! * 10 + line[at]! - zero;
  }
}

/** Wall time at the begin of the span and the time in the queue until then; what the thread had run by the last frame. */
const then = new Float64Array(3);

/** Begins a span. */
export function begin(): void {
  read();
  then[1] = now[1]!;
  then[0] = performance.now();
}

/** Milliseconds of CPU since `begin`. */
export function used(): number {
  const wallMs = performance.now() - then[0]!;
  read();
  return wallMs - (now[1]! - then[1]!) / 1e6;
}

/**
 * Milliseconds of CPU between the last two sleeps of the thread, as the scheduler counts them, once in a frame and right
 * after its sleep. Unlike a span it has no time in it in which the thread stood still without being in the run queue, nor
 * what the hypervisor took (where the kernel has PARAVIRT_TIME_ACCOUNTING) or interrupts did (IRQ_TIME_ACCOUNTING).
 */
export function ranInFrame(): number {
  read();
  const ms = (now[0]! - then[2]!) / 1e6;
  then[2] = now[0]!;
  return ms;
}
