// What the real model once said: texts of answers, piece by piece, with the milliseconds that each took. Read from
// answers.jsonl, which record.ts writes; recorded-engine.ts plays it back.

import { readFileSync } from 'node:fs';

/** Text, milliseconds since the piece before it (the first: since the request, with the persona cached), tokens. */
export type RecordedPiece = readonly [text: string, ms: number, tokens: number];

export interface RecordedAnswer {
  readonly npc: string;
  /** What the player had said. */
  readonly player: string;
  readonly reason: 'stop' | 'length';
  readonly pieces: readonly RecordedPiece[];
}

/** The first line of the file. */
export interface RecordingHeader {
  readonly model: string;
  readonly prefillMsPerToken: number;
  readonly decodeMsPerToken: number;
}

export interface Recording extends RecordingHeader {
  readonly answers: readonly RecordedAnswer[];
  /** The answers of one character; all of them for a character that was not recorded. */
  of(npc: string): readonly RecordedAnswer[];
}

export const recordingFile = new URL('answers.jsonl', import.meta.url);

/** Reads the recording. Throws when the file is missing or holds no answer. */
export function readRecording(file: URL | string = recordingFile): Recording {
  const [head, ...lines] = readFileSync(file, 'utf8').trimEnd().split('\n');
  const header: RecordingHeader = JSON.parse(head ?? '');
  const answers = lines.map((line): RecordedAnswer => JSON.parse(line));
  if (answers.length === 0) throw new Error(`${file} holds no answers; run bench/recorded/record.ts`);
  const byNpc = new Map<string, RecordedAnswer[]>();
  for (const answer of answers) {
    const own = byNpc.get(answer.npc);
    if (own) own.push(answer);
    else byNpc.set(answer.npc, [answer]);
  }
  return { ...header, answers, of: (npc) => byNpc.get(npc) ?? answers };
}
