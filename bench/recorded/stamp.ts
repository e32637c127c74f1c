// The time of publishing, as the text of a piece: 20 digits, microseconds of the machine's monotonic clock, which all
// its processes share. So a client on the same machine reads from a frame how long it was under way.

export const stampLength = 20;

/** Not `performance.now`: that one begins at zero in each process. */
export function nowMicros(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1_000_000 + nanoseconds / 1_000;
}

export function stamp(): string {
  return nowMicros().toFixed(0).padStart(stampLength, '0');
}

/** Reads the stamp whose last digit stands before `end`. NaN where there are other characters. */
export function readStamp(bytes: Uint8Array, end: number): number {
  let micros = 0;
  for (let at = end - stampLength; at < end; at++) {
    const digit = bytes[at]! - 0x30;
    if (!(digit >= 0 && digit <= 9)) return Number.NaN;
    micros = micros * 10 + digit;
  }
  return micros;
}
