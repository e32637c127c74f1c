// Memory for what the gateway keeps of running streams: pages of one size that go round. Fresh buffers for each stream
// would be found and freed by the garbage collector, whose pauses players would hear as a stumbling voice.

export const pageBytes = 2_048;
/** Pages that wait for their next use; what a peak took beyond that is given back. */
const mostFree = 8_192;

const free: Buffer[] = [];

/** A page with old bytes in it. */
export function takePage(): Buffer {
  return free.pop() ?? Buffer.allocUnsafeSlow(pageBytes);
}

/** The caller has no reference into the page any more. */
export function givePage(page: Buffer): void {
  if (page.length === pageBytes && free.length < mostFree) free.push(page);
}
