// Line coverage of a test run: what vitest saw in its own processes, and what V8 wrote down in the gateways and
// workers that the tests started. A line counts when a statement starts on it, as Istanbul counts.

import { readdirSync, readFileSync } from 'node:fs';
import { SourceMap, type SourceMapPayload } from 'node:module';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { repository } from './stack/servers.ts';

/** For each file: how often each line was executed; 0 for a line that could have been. */
type Lines = Map<string, Map<number, number>>;

interface IstanbulFile {
  readonly statementMap: Readonly<Record<string, { readonly start: { readonly line: number } }>>;
  readonly s: Readonly<Record<string, number>>;
}

interface V8Range {
  readonly startOffset: number;
  readonly endOffset: number;
  readonly count: number;
}

interface V8Coverage {
  readonly result: readonly {
    readonly url: string;
    readonly functions: readonly { readonly ranges: readonly V8Range[] }[];
  }[];
  readonly 'source-map-cache'?: Readonly<
    Record<string, { readonly lineLengths: readonly number[]; readonly data: SourceMapPayload | null }>
  >;
}

/** A stretch of the code that ran, and the line of the source (from 1) that it came from. */
interface Segment {
  readonly offset: number;
  readonly line: number;
}

/**
 * A table as text, from vitest's coverage-final.json in `folder` and the files that Node left in `children`. Says so
 * instead where vitest wrote none.
 */
export function coverageReport(folder: string, children: string): string {
  let lines: Lines;
  try {
    lines = readIstanbul(join(folder, 'coverage-final.json'));
  } catch {
    return 'coverage: vitest wrote none\n';
  }
  addChildren(lines, children);
  return table(lines);
}

function readIstanbul(path: string): Lines {
  const files: Record<string, IstanbulFile> = JSON.parse(readFileSync(path, 'utf8'));
  const lines: Lines = new Map();
  for (const [name, { statementMap, s }] of Object.entries(files)) {
    const counts = new Map<number, number>();
    for (const [id, { start }] of Object.entries(statementMap)) {
      counts.set(start.line, Math.max(counts.get(start.line) ?? 0, s[id] ?? 0));
    }
    lines.set(name, counts);
  }
  return lines;
}

/** Adds what ran in child processes. Their code is what tsx made of the source, so offsets go through its map. */
function addChildren(lines: Lines, folder: string): void {
  const segmentsOf = new Map<string, Segment[]>();
  for (const name of readdirSync(folder)) {
    const { result, 'source-map-cache': maps = {} }: V8Coverage = JSON.parse(
      readFileSync(join(folder, name), 'utf8'),
    );
    for (const { url, functions } of result) {
      const map = maps[url];
      const counts = url.startsWith('file:') ? lines.get(fileURLToPath(url)) : undefined;
      if (!counts || !map?.data) continue;
      const segments = segmentsOf.get(url) ?? readSegments(map.data, map.lineLengths);
      segmentsOf.set(url, segments);
      const executed = executions(functions.flatMap(({ ranges }) => ranges));
      for (const { offset, line } of segments) {
        const count = counts.get(line);
        if (count !== undefined) counts.set(line, Math.max(count, executed[offset] ?? 0));
      }
    }
  }
}

function readSegments(payload: SourceMapPayload, lineLengths: readonly number[]): Segment[] {
  const map = new SourceMap(payload);
  const segments: Segment[] = [];
  let offset = 0;
  for (const [generatedLine, length] of lineLengths.entries()) {
    for (let column = 0; column < length; column++) {
      const entry = map.findEntry(generatedLine, column);
      const startsHere = 'generatedColumn' in entry && entry.generatedColumn === column;
      if (startsHere && entry.generatedLine === generatedLine) {
        segments.push({ offset: offset + column, line: entry.originalLine + 1 });
      }
    }
    offset += length + 1;
  }
  return segments;
}

/** How often the code at each offset ran. Ranges nest; the innermost one is right. */
function executions(ranges: V8Range[]): Uint32Array {
  const executed = new Uint32Array(Math.max(0, ...ranges.map(({ endOffset }) => endOffset)));
  ranges.sort((a, b) => a.startOffset - b.startOffset || b.endOffset - a.endOffset);
  for (const { startOffset, endOffset, count } of ranges) executed.fill(count, startOffset, endOffset);
  return executed;
}

function table(lines: Lines): string {
  const rows = [...lines]
    .map(([name, counts]) => {
      const missed = [...counts].filter(([, count]) => count === 0).map(([line]) => line);
      return { name: relative(repository, name), of: counts.size, missed: missed.sort((a, b) => a - b) };
    })
    .sort((a, b) => a.name.localeCompare(b.name));
  const of = rows.reduce((sum, row) => sum + row.of, 0);
  const missed = rows.reduce((sum, row) => sum + row.missed.length, 0);
  const percent = (all: number, without: number) =>
    (all === 0 ? 100 : (100 * (all - without)) / all).toFixed(1).padStart(5);
  return [
    'coverage: lines, tests and the processes they start together',
    ...rows.map((row) =>
      `${percent(row.of, row.missed.length)} %  ${row.name.padEnd(34)} ${ranges(row.missed)}`.trimEnd(),
    ),
    `${percent(of, missed)} %  all (${of - missed} of ${of} lines)`,
    '',
  ].join('\n');
}

/** "not run: 3-5, 9", cut when it gets long. */
function ranges(lines: readonly number[]): string {
  if (lines.length === 0) return '';
  const runs: [number, number][] = [];
  for (const line of lines) {
    const last = runs.at(-1);
    if (last && line - last[1] <= 1) last[1] = line;
    else runs.push([line, line]);
  }
  const shown = runs.slice(0, 8).map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`));
  return `not run: ${shown.join(', ')}${runs.length > shown.length ? ', …' : ''}`;
}
