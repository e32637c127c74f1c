// Scores as rows: one table of arms side by side, for the terminal and for EVALUATION.md.

import { kinds } from './questions.ts';
import { type FaultName, faultNames } from './score.ts';
import type { Share } from './statistics.ts';
import type { Scores } from './summary.ts';

export interface Column {
  readonly arm: string;
  readonly scores: Scores;
}

type Row = readonly [string, ...string[]];

const percent = (share: number) => (Number.isFinite(share) ? `${(100 * share).toFixed(1)} %` : '-');

/** "91.2 % (87.9 to 93.7)". */
export function shareText(share: Share | undefined): string {
  if (!share || share.of === 0) return '-';
  return `${percent(share.share)} (${(100 * share.low).toFixed(0)} to ${(100 * share.high).toFixed(0)})`;
}

/** The headline figures. */
export function mainRows(columns: readonly Column[]): Row[] {
  const row = (title: string, of: (scores: Scores) => string): Row => [
    title,
    ...columns.map(({ scores }) => of(scores)),
  ];
  return [
    row('answered right (accuracy)', (s) => shareText(s.accuracy)),
    row('the weakest character', (s) => `${s.weakest.npc} ${shareText(s.weakest)}`),
    row('in character out of scope', (s) => shareText(s.outOfScope)),
    row('speech and act agree', (s) => shareText(s.speechActAgreement)),
    row('acts as the situation calls for', (s) => shareText(s.actsAsWanted)),
    row('different answers to the unknown', (s) => `${s.variedness.right} of ${s.variedness.of}`),
  ];
}

/** Accuracy by character. */
export function npcRows(columns: readonly Column[]): Row[] {
  const npcs = [...new Set(columns.flatMap(({ scores }) => Object.keys(scores.byNpc)))];
  return npcs.map((npc) => [npc, ...columns.map(({ scores }) => shareText(scores.byNpc[npc]))]);
}

/** Right answers by kind. */
export function kindRows(columns: readonly Column[]): Row[] {
  const asked = kinds.filter((kind) => columns.some(({ scores }) => scores.byKind[kind]));
  return asked.map((kind) => [kind, ...columns.map(({ scores }) => shareText(scores.byKind[kind]))]);
}

/** How often each fault was found. */
export function faultRows(columns: readonly Column[]): Row[] {
  const found = (Object.keys(faultNames) as FaultName[]).filter((why) =>
    columns.some(({ scores }) => scores.faults[why]),
  );
  return found.map((why) => [faultNames[why], ...columns.map(({ scores }) => `${scores.faults[why] ?? 0}`)]);
}

export function markdown(head: Row, rows: readonly Row[]): string {
  const line = (cells: Row) => `| ${cells.join(' | ')} |`;
  return [line(head), `|${' --- |'.repeat(head.length)}`, ...rows.map(line)].join('\n');
}

/** In columns, for a terminal. */
export function aligned(head: Row, rows: readonly Row[]): string {
  const all = [head, ...rows];
  const widths = head.map((_, i) => Math.max(...all.map((row) => row[i]!.length)));
  return all
    .map((row) =>
      row
        .map((cell, i) => cell.padEnd(widths[i]!))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
