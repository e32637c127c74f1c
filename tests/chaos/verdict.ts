// What a player read against what must have been read. The recorded engine's answer is a pure function of the
// words, so every character is known beforehand; of the real model's answer the history has the only other copy.

import { script } from '../../bench/recorded/script.ts';
import type { HistoryTurn } from '../../bus/history.ts';
import type { Heard } from './player.ts';
import { chaosRecording } from './recording.ts';

export interface Verdict {
  /** Characters that are missing from what was read. */
  readonly lost: number;
  /** Characters that were read and do not belong there. */
  readonly doubled: number;
  /**
   * `whole`: a clean end, every word there. `failed`: an `err` that says so. `authored`: the character's own line,
   * marked as such. `dishonest`: silence, two ends, a clean end of half an answer, or an end that says something else.
   */
  readonly end: 'whole' | 'failed' | 'authored' | 'dishonest';
  /** What is wrong, for a person. */
  readonly fault?: string;
}

/** What the recorded engine answers, with `merged` recorded pieces in one. */
export function recordedAnswers(
  merged: number,
): (asked: Pick<Heard, 'npc' | 'words' | 'maxTokens'>) => string {
  const recording = chaosRecording(merged);
  return ({ npc, words, maxTokens }) => {
    let text = '';
    let tokens = 0;
    for (const [piece, , cost] of script(recording, { npc, player: words }, { seed: 0, endless: true })) {
      tokens += cost;
      if (tokens > maxTokens) break;
      text += piece;
    }
    return text;
  };
}

/** Judges an answer. `expected` is what a whole one says; undefined where only the history knows it. */
export function judge(heard: Heard, expected: string | undefined, authored: readonly string[]): Verdict {
  const { terminal, text } = heard;
  const whole = { lost: 0, doubled: 0 };
  const { closedForGood } = heard.player;
  if (!terminal) {
    const why =
      closedForGood === undefined ? 'it never ended' : `its player was closed with ${closedForGood}`;
    return { ...compare(text, text), end: 'dishonest', fault: why };
  }
  if (heard.afterEnd > 0)
    return { ...whole, end: 'dishonest', fault: `${heard.afterEnd} frames after its end` };
  if (terminal.t === 'err') {
    const { partial = false, code } = terminal;
    // The part that was read must be a beginning of the answer.
    const read = compare(text, expected?.slice(0, text.length) ?? text);
    if (partial !== text.length > 0)
      return { ...read, end: 'dishonest', fault: `${code} with a wrong \`partial\`` };
    return { ...read, end: read.fault ? 'dishonest' : 'failed', fault: read.fault ?? code };
  }
  if (terminal.source === 'authored') {
    if (authored.includes(text)) return { ...whole, end: 'authored' };
    return { ...compare(text, ''), end: 'dishonest', fault: 'an authored line glued to other words' };
  }
  if (terminal.reason !== 'stop' && terminal.reason !== 'length')
    return { ...whole, end: 'dishonest', fault: `ended as ${terminal.reason}, which nobody asked for` };
  const read = compare(text, expected ?? text);
  return { ...read, end: read.fault ? 'dishonest' : 'whole' };
}

/** What the history must have of it; undefined when that is right. */
export function historyFault(
  heard: Heard,
  verdict: Verdict,
  turns: readonly HistoryTurn[],
): string | undefined {
  if (heard.text === '') return undefined;
  if (turns.length !== 1) return `${turns.length} turns in the history instead of one`;
  // What was lost with the connection may have been said and committed: it is longer then, never different.
  const fits = verdict.end === 'failed' ? turns[0]!.npc.startsWith(heard.text) : turns[0]!.npc === heard.text;
  return fits ? undefined : 'the history has another text than the player read';
}

function compare(read: string, expected: string): { lost: number; doubled: number; fault?: string } {
  if (read === expected) return { lost: 0, doubled: 0 };
  let same = 0;
  while (same < read.length && read[same] === expected[same]) same++;
  let tail = 0;
  const most = Math.min(read.length, expected.length) - same;
  while (tail < most && read[read.length - 1 - tail] === expected[expected.length - 1 - tail]) tail++;
  const lost = expected.length - same - tail;
  const doubled = read.length - same - tail;
  const around = JSON.stringify(read.slice(Math.max(0, same - 20), same + 20));
  return { lost, doubled, fault: `${lost} characters lost, ${doubled} too many, at ${same}: ${around}` };
}
