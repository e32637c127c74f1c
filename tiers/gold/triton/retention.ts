// How long TensorRT-LLM is asked to keep the KV of which tokens: its retention tensors, and the ranges that Parley asks
// for. Who is pinned until when is decided elsewhere (`pin`); here a lease becomes a priority and a time.

import { int32, type Tensor } from './tensors.ts';

/** Tokens `start` to `end` (not included; absent: to the end of the prompt) and what TensorRT-LLM shall do with them. */
export interface RetentionRange {
  readonly start: number;
  readonly end?: number;
  /** 0 to 100; TensorRT-LLM's default is 35. What has the lowest goes first. */
  readonly priority: number;
  /** Then the priority falls back to the default. Absent: never. */
  readonly durationMs?: number;
}

/** A pinned persona; one that was just used; what a single player said. */
const pinnedPriority = 95;
const personaPriority = 60;
const playerPriority = 20;
const mostMs = 2 ** 31 - 1;

/**
 * The ranges of one request: the persona, which all players share, above the turns of one player. `until` is the end of
 * the character's lease (ms since the epoch), if it has one.
 */
export function retentionRanges(
  prefix: number,
  until: number | undefined,
  now = Date.now(),
): RetentionRange[] {
  const lease = until === undefined ? 0 : until - now;
  const persona: RetentionRange =
    lease > 0
      ? { start: 0, end: prefix, priority: pinnedPriority, durationMs: lease }
      : { start: 0, end: prefix, priority: personaPriority };
  return prefix === 0
    ? [{ start: 0, priority: playerPriority }]
    : [persona, { start: prefix, priority: playerPriority }];
}

/**
 * The tensors for these ranges, as TensorRT-LLM's executor accepts them. Throws RangeError for ranges that it would refuse:
 * out of order, overlapping, empty, open before the last, a priority outside 0 to 100.
 */
export function retentionTensors(ranges: readonly RetentionRange[]): Tensor[] {
  let before = 0;
  for (const [i, { start, end, priority }] of ranges.entries()) {
    const fault =
      (start < before && `begins at ${start}, before the end of the one before it`) ||
      (end !== undefined && end <= start && `is empty (${start} to ${end})`) ||
      (end === undefined && i < ranges.length - 1 && 'is open at its end and not the last') ||
      (!(priority >= 0 && priority <= 100) && `has the priority ${priority}; 0 to 100 is allowed`);
    if (fault) throw new RangeError(`Retention range ${i + 1} ${fault}.`);
    before = end ?? before;
  }
  if (ranges.length === 0) return [];
  const row = (name: string, values: readonly number[]) =>
    int32(`retention_token_range_${name}`, values, [1, values.length]);
  return [
    row(
      'starts',
      ranges.map(({ start }) => start),
    ),
    row(
      'ends',
      ranges.map(({ end }) => end ?? -1),
    ),
    row(
      'priorities',
      ranges.map(({ priority }) => priority),
    ),
    row(
      'durations_ms',
      ranges.map(({ durationMs }) => (durationMs === undefined ? -1 : Math.min(durationMs, mostMs))),
    ),
  ];
}
