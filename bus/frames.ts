// The way back: a worker writes the bytes that the client will receive and puts a prefix of 12 bytes before
// them. The gateway reads the prefix in place and hands the rest on without decoding it.
//
//   0 version u8 | 1 kind u8 | 2 attempt u16 | 4 first piece u32 | 8 last piece u32 | 12 … body    (big-endian)

export const frameVersion = 1;
export const prefixBytes = 12;

/** What a frame carries. `kept` is for the gateway only and never sent on. */
export const frameKinds = { accepted: 0, tok: 1, act: 2, end: 3, err: 4, kept: 5 } as const;
export type FrameKind = (typeof frameKinds)[keyof typeof frameKinds];

/**
 * Puts the prefix before `body`. `first` and `last` are the numbers of the pieces in it; a frame without pieces (accepted, end,
 * err) carries the number of the last piece before it in both.
 */
export function writeFrame(
  kind: FrameKind,
  attempt: number,
  first: number,
  last: number,
  body: Uint8Array,
): Uint8Array {
  const frame = Buffer.allocUnsafe(prefixBytes + body.length);
  frame[0] = frameVersion;
  frame[1] = kind;
  frame.writeUInt16BE(attempt, 2);
  frame.writeUInt32BE(first, 4);
  frame.writeUInt32BE(last, 8);
  frame.set(body, prefixBytes);
  return frame;
}

/** Whether these bytes are a frame that this version reads. */
export function isFrame(frame: Uint8Array): boolean {
  return frame.length >= prefixBytes && frame[0] === frameVersion && frame[1]! <= frameKinds.kept;
}

// One reader a field, so that the hot path allocates nothing.
export const frameKind = (frame: Uint8Array): FrameKind => frame[1] as FrameKind;
export const frameAttempt = (frame: Uint8Array): number => (frame[2]! << 8) | frame[3]!;
export const frameFirst = (frame: Uint8Array): number =>
  ((frame[4]! << 24) | (frame[5]! << 16) | (frame[6]! << 8) | frame[7]!) >>> 0;
export const frameLast = (frame: Uint8Array): number =>
  ((frame[8]! << 24) | (frame[9]! << 16) | (frame[10]! << 8) | frame[11]!) >>> 0;
export const frameBody = (frame: Uint8Array): Uint8Array => frame.subarray(prefixBytes);
