// The text of an answer before it is paced: which recorded pieces, in which order. A pure function of the prompt and
// a seed, so that a second worker that is told what was said goes on byte for byte as the first would have.

import { fnv1a } from '../../runtime/hash.ts';
import type { AnswerSchema, Prompt } from '../../tiers/engine.ts';
import { fitting } from './fitting.ts';
import type { RecordedAnswer, RecordedPiece, Recording } from './recording.ts';

export interface ScriptOptions {
  readonly seed: number;
  /** Instead of ending where the recorded answer ends, goes on with another one: for streams of any length. */
  readonly endless: boolean;
  /** The form that the answer has to have. */
  readonly schema?: AnswerSchema;
}

/** What decides the answer. Not the history: a second worker may read it a turn later than the first. */
export type Asked = Pick<Prompt, 'npc' | 'player' | 'said'>;

/** The pieces, as long as they are asked for. */
export type Script = Generator<RecordedPiece, void>;

/**
 * The pieces of the answer to a prompt. With `said` it begins right behind these words, in the middle of a piece if
 * need be. Words that are no beginning of the answer (somebody else's) are followed by an answer that they choose.
 */
export function script(recording: Recording, asked: Asked, options: ScriptOptions): Script {
  const { said = '' } = asked;
  if (options.schema) return formed(recording, asked, options.seed, options.schema);
  const pieces = chosen(recording, asked, options);
  let left = said;
  while (left !== '') {
    const next = pieces.next();
    if (next.done) break;
    const [text, ms, tokens] = next.value;
    if (left.startsWith(text)) left = left.slice(text.length);
    else if (text.startsWith(left)) return resumed([text.slice(left.length), ms, tokens], pieces);
    else break;
  }
  if (left === '') return pieces;
  const other = chosen(recording, { ...asked, player: `${said} ${asked.player}` }, options);
  return /\s$/.test(said) ? other : spaced(other);
}

function* chosen(recording: Recording, { npc, player }: Asked, { seed, endless }: ScriptOptions): Script {
  // Behind the first line stand the character's own facts (tiers/prompt.ts).
  const words = player.split('\n', 1)[0]!;
  const answers = recording.answersTo(npc, words);
  let state = hash(`${seed}\n${npc}\n${words}`);
  yield* pick(answers, state).pieces;
  const more = endless ? recording.answersTo(npc, '') : [];
  while (endless) {
    state = scramble(state);
    yield* spaced(pick(more, state).pieces);
  }
}

/** A value of the form, about four letters a token, each in the time of a recorded one. */
function* formed(recording: Recording, { npc, player }: Asked, seed: number, schema: AnswerSchema): Script {
  const number = hash(`${seed}\n${npc}\n${player}`);
  const rhythm = pick(recording.answersTo(npc, ''), number).pieces;
  const tokens = JSON.stringify(fitting(schema, number)).match(/.{1,4}/gsu) ?? [];
  for (const [i, token] of tokens.entries()) yield [token, rhythm[i % rhythm.length]![1], 1];
}

function* resumed(first: RecordedPiece, rest: Script): Script {
  yield first;
  yield* rest;
}

/** With a blank before the first word. */
function* spaced(pieces: Iterable<RecordedPiece>): Script {
  let blank = ' ';
  for (const [text, ms, tokens] of pieces) {
    yield [blank + text, ms, tokens];
    blank = '';
  }
}

function pick(answers: readonly RecordedAnswer[], state: number): RecordedAnswer {
  return answers[state % answers.length]!;
}

/** 32 bits of a text, well mixed. */
function hash(text: string): number {
  return scramble(fnv1a(text));
}

/** The finaliser of MurmurHash3, on the next number: neighbours end far apart. */
function scramble(value: number): number {
  let h = (value + 0x9e3779b9) | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
