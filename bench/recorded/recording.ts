// What the real model once said: texts of answers, piece by piece, with the milliseconds that each took. Read from
// answers.jsonl, which record.ts writes; recorded-engine.ts plays it back.

import { readFileSync } from 'node:fs';

/** Text, milliseconds since the piece before it (the first: since the request, with the persona cached), tokens. */
export type RecordedPiece = readonly [text: string, ms: number, tokens: number];

export interface RecordedAnswer {
  readonly npc: string;
  /** What the player had said. */
  readonly player: string;
  readonly pieces: readonly RecordedPiece[];
}

/** The first line of the file. */
export interface RecordingHeader {
  readonly model: string;
  readonly prefillMsPerToken: number;
}

export interface Recording extends RecordingHeader {
  readonly answers: readonly RecordedAnswer[];
  /**
   * What may be answered: to these very words if they were recorded, otherwise anything that the character said. For a
   * character that was not recorded, anybody's answer to these words, otherwise the storyteller's.
   */
  answersTo(npc: string, player: string): readonly RecordedAnswer[];
}

/** Tells long stories. */
export const storyteller = 'storyteller';
export const recordingFile = new URL('answers.jsonl', import.meta.url);

/** Reads the recording. Throws when the file is missing or holds no answer of the storyteller. */
export function readRecording(file: URL | string = recordingFile): Recording {
  const [head, ...lines] = readFileSync(file, 'utf8').trimEnd().split('\n');
  const header: RecordingHeader = JSON.parse(head ?? '');
  const answers = lines.map((line): RecordedAnswer => JSON.parse(line));
  const byNpc = new Map<string, RecordedAnswer[]>();
  for (const answer of answers) {
    const own = byNpc.get(answer.npc);
    if (own) own.push(answer);
    else byNpc.set(answer.npc, [answer]);
  }
  const stories = byNpc.get(storyteller);
  if (!stories) throw new Error(`${file} has no answers of the ${storyteller}; run bench/recorded/record.ts`);
  return {
    ...header,
    answers,
    answersTo(npc, player) {
      const own = byNpc.get(npc);
      const same = (own ?? answers).filter((answer) => answer.player === player);
      return same.length > 0 ? same : (own ?? stories);
    },
  };
}
