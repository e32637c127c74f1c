// The table of a chaos run, for a person, and what of it goes into the last line.

import type { Result } from './crowd.ts';

export interface Row {
  readonly title: string;
  readonly result: Result | undefined;
  /** Why there is no result. */
  readonly skipped?: string;
}

const columns = [
  ['streams', (r: Result) => r.streams],
  ['lost', (r: Result) => r.lost],
  ['doubled', (r: Result) => r.doubled],
  ['honest', (r: Result) => r.honest],
  ['dishonest', (r: Result) => r.dishonest],
  ['forgotten', (r: Result) => r.forgotten],
  ['touched', (r: Result) => r.touched],
  ['continued', (r: Result) => (r.touched === 0 ? '-' : `${((100 * r.continued) / r.touched).toFixed(1)} %`)],
  ['gap p50', (r: Result) => `${Math.round(r.gapP50Ms)} ms`],
  ['gap p99', (r: Result) => `${Math.round(r.gapP99Ms)} ms`],
] as const;

export function tableHead(): string {
  return `${'fault'.padEnd(52)}${columns.map(([name]) => name.padStart(11)).join('')}`;
}

export function tableRow({ title, result, skipped }: Row): string {
  if (!result) return `${title.padEnd(52)}  skipped: ${skipped}`;
  const line = `${title.padEnd(52)}${columns.map(([, value]) => String(value(result)).padStart(11)).join('')}`;
  const failures = Object.entries(result.failures).map(([how, count]) => `${count} ${how}`);
  return [
    failures.length > 0 ? `${line}   ${failures.join(', ')}` : line,
    ...result.faults.map((f) => `    ! ${f}`),
  ].join('\n');
}
