// CPU time of this thread in short spans, to the microsecond: wall time less the time that the kernel says the thread
// stood in the run queue. Only for spans in which the thread never waits. Linux alone: it reads /proc.

import { openSync, readSync } from 'node:fs';

const file = openSync('/proc/thread-self/schedstat', 'r');
const line = Buffer.alloc(64);
const [space, zero] = [0x20, 0x30];

/** Nanoseconds that this thread has waited for a core, the second number of schedstat. About 1 us. */
function queuedNs(): number {
  readSync(file, line, 0, line.length, 0);
  let at = line.indexOf(space) + 1;
  let value = 0;
  for (; line[at] !== space; at++) value = value * 10 + line[at]! - zero;
  return value;
}

let wallAt = 0;
let queuedAt = 0;

/** Begins a span. */
export function begin(): void {
  queuedAt = queuedNs();
  wallAt = performance.now();
}

/** Milliseconds of CPU since `begin`. */
export function used(): number {
  const wallMs = performance.now() - wallAt;
  return wallMs - (queuedNs() - queuedAt) / 1e6;
}
