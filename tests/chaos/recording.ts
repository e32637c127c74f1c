// The recording as chaos runs play it, the same in the worker and where answers are judged: the words as they were
// recorded, without the long pauses before the first word of each answer, so that every silence that a player hears
// is the fault's and not the model's.

import { type RecordedPiece, type Recording, readRecording } from '../../bench/recorded/recording.ts';

/** In the time of the recording, where a word takes ten. */
const longestPauseMs = 15;

/** With `merged`, so many recorded pieces make one, in the time of one: for runs that want bytes and not frames. */
export function chaosRecording(merged = 1): Recording {
  const recorded = readRecording();
  const answers = recorded.answers.map((answer) => {
    const pieces: RecordedPiece[] = [];
    for (let i = 0; i < answer.pieces.length; i += merged) {
      const together = answer.pieces.slice(i, i + merged);
      const text = together.map(([words]) => words).join('');
      pieces.push([text, Math.min(together[0]![1], longestPauseMs), 1]);
    }
    return { ...answer, pieces };
  });
  const as = new Map(recorded.answers.map((answer, i) => [answer, answers[i]!]));
  return {
    ...recorded,
    answers,
    answersTo: (npc, player) => recorded.answersTo(npc, player).map((answer) => as.get(answer)!),
  };
}
