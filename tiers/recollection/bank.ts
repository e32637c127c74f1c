// What one character recalls: every authored wording with its answer, and which answers belong to words that are near in
// meaning. Pure; the vectors come from encoder.ts, the exchanges from npcs/exchanges.

import type { StateFacts } from '../../bus/state.ts';
import type { Character } from '../../npcs/characters.ts';
import type { AuthoredAct, Kind } from '../../npcs/exchange.ts';
import { figures, normal } from '../../npcs/figures.ts';
import type { Authored } from '../../npcs/read-exchanges.ts';
import { nameOf, type Ware } from '../../npcs/wares.ts';
import { fnv1a } from '../../runtime/hash.ts';
import { hear, plainText } from '../sums/heard.ts';
import { sumOf } from '../sums/sums.ts';
import { nearness, type Vector } from './encoder.ts';

/** One authored wording. */
export interface Memory {
  readonly words: string;
  /** What was said and answered before it (`exchangeText`); undefined for what may begin a conversation. */
  readonly before: string | undefined;
  readonly answer: string;
  readonly kind: Kind;
  /** What the game must have told for the answer to hold, gold aside. */
  readonly state: StateFacts;
  /** The purse that the answer was written for. */
  readonly gold: number | undefined;
  readonly does: boolean;
  /** Whether it does what it does for buyers, and which wares those are (`nameOf`), where that is clear. */
  readonly serves?: boolean;
  readonly sells?: { readonly name: string; readonly price: number } | undefined;
  /** Words of a table (a name, mostly) that the answer says, so they must have been said: "I never met a Greta." */
  readonly needs: readonly string[];
}

/** What was just said, with what it is about. */
export interface Question {
  readonly words: string;
  readonly vector: Vector;
  /** Of what was said and answered before (`exchangeText`); undefined at the beginning of a conversation. */
  readonly before: Vector | undefined;
  /** Of the words by name: "where is he" as "where is Tam". */
  readonly named?: Vector | undefined;
  /** What the game tells. */
  readonly told: StateFacts;
  /** The wares that the words take (`nameOf`, tiers/takes). */
  readonly takes?: string | undefined;
  /** They say no: nothing is handed over. */
  readonly declines?: boolean | undefined;
  /** Names of those facts of the game that these words bring up: they are newer than what was written without them. */
  readonly asked: readonly string[];
}

/** How much the words before count beside those just said: "and where?" is nothing without them. */
const beforeWeight = { few: 0.6, many: 0.3 };
/** A wording that needs words before it is so much further off at the beginning, and behind other words than its own. */
const alonePenalty = { few: 0.15, many: 0.05 };
const elsewherePenalty = { few: 0.3, many: 0.1 };
/** Words by name are a guess at what was meant. */
const namedPenalty = 0.05;
/** So many words are few. */
const fewWords = 6;
/** Who takes something is handed it, unless what was written for nearly these words says otherwise. */
const takenBonus = 0.3;
/** And so much when other numbers are named. */
const numbersPenalty = 0.05;
/** So many of the nearest wordings have a say, and the less, the further off they are. */
const voters = 10;
const fade = 0.04;
/** A question that is no nearer than this to anything written is none that the author thought of. */
const unfamiliar = 0.73;
/** What of the exchanges of a character can be recalled. Sums that are reckoned anyway (tiers/sums) are left out. */
export function memoriesOf(
  all: readonly Authored[],
  character: Pick<Character, 'id' | 'wares' | 'counts'>,
): readonly Memory[] {
  // A table has the same wordings in every row, and there are thousands of them.
  const reckoned = new Map<string, boolean>();
  const isReckoned = (words: string, gold: number | undefined) => {
    const key = `${gold} ${words}`;
    const known = reckoned.get(key) ?? sumOf(character, { words, before: [], gold }) !== undefined;
    reckoned.set(key, known);
    return known;
  };
  const own = all.filter(({ npc, exchange }) => npc === character.id && exchange.kind !== 'think');
  const isForBuyers = servings(own);
  return own.flatMap(({ exchange: { kind, each = {} }, rows }) =>
    rows.flatMap(({ turns, state, row }) => {
      const { gold, ...told } = state;
      const purse = typeof gold === 'number' ? gold : undefined;
      const cells = Object.values(each).flatMap((column) => column[row] ?? []);
      return turns.flatMap(({ wordings, answer, does }, at) => {
        const serves = does.some(isForBuyers);
        const sells = serves ? soldWith(answer, character.wares) : undefined;
        return wordings
          .filter((words) => !isReckoned(words, purse))
          .map((words) => ({
            words,
            before: beforeOf(turns[at - 1]),
            answer,
            kind,
            state: told,
            gold: purse,
            does: does.length > 0,
            serves,
            sells,
            needs: cells
              .filter((cell) => !/\d/.test(cell) && answer.includes(cell) && words.includes(cell))
              .map(normal),
          }));
      });
    }),
  );
}

/** Tells acts that the character does for buyers. */
function servings(own: readonly Authored[]): (act: AuthoredAct) => boolean {
  const key = ({ verb, args }: AuthoredAct) => JSON.stringify([verb, args]);
  const buys = own.filter(({ exchange }) => exchange.kind === 'buy').flatMap(({ rows }) => rows);
  const all = new Set(buys.flatMap(({ turns }) => turns.flatMap(({ does }) => does.map(key))));
  return (act) => all.has(key(act));
}

/** The wares that an answer names, or the only one that there is. */
function soldWith(answer: string, wares: readonly Ware[]): Memory['sells'] {
  const all = wares.length === 1 ? wares : hear(plainText(answer), wares).items.map(({ ware }) => ware);
  if (all.length === 0) return undefined;
  return { name: nameOf(all), price: all.reduce((sum, { price }) => sum + price, 0) };
}

function beforeOf(turn: { wordings: readonly string[]; answer: string } | undefined): string | undefined {
  return turn && exchangeText({ player: turn.wordings[0]!, npc: turn.answer });
}

/** What was said before as one text: "her" is who was spoken of, by either. */
export function exchangeText({ player, npc }: { player: string; npc: string }): string {
  return `${player} ${npc}`;
}

interface Kept extends Memory {
  /** Whether the answer names the purse that it was written for. */
  readonly namesPurse: boolean;
  /** Which of the bank's wordings. */
  readonly at: number;
  readonly conditions: readonly (readonly [name: string, value: StateFacts[string]])[];
}

/** What is known of one wording. Many memories have the same: what may follow on several things is written with each. */
interface Wording {
  readonly numbers: string;
  readonly plain: string;
}

/** The memories of one character with their vectors. */
export class Bank {
  private readonly memories: readonly Kept[];
  /** Of each memory: which of the wordings, and which of the exchanges before; −1 for none. */
  private readonly ats: Int32Array;
  private readonly beforeAts: Int32Array;
  private readonly wordings: readonly Wording[];
  /** The vectors one after the other: thousands are read from end to end for every question. */
  private readonly vectors: Vector;
  private readonly beforeVectors: Vector;
  /** How near each is to what was asked last; of use in one look alone. */
  private readonly near: Float32Array;
  private readonly beforeNear: Float32Array;
  private readonly scores: Float32Array;
  private readonly refusals: readonly string[];
  /** What buyers are told in a state of the game in which they are not served: at night nobody is rowed over. */
  private readonly closed: readonly Kept[];

  /** `vectorOf` knows every text of the memories. `refusals`: what is said to questions that nothing is near to. */
  constructor(
    memories: readonly Memory[],
    vectorOf: (text: string) => Vector,
    refusals: readonly string[] = [],
  ) {
    this.refusals = refusals;
    const words = new Map<string, number>();
    const befores = new Map<string, number>();
    this.memories = unlike(memories).map((memory) => ({
      ...memory,
      at: numbered(words, memory.words),
      conditions: Object.entries(memory.state),
      // "One stays with you" speaks of it as well: a price alone does not.
      namesPurse: figures(memory.answer).some(
        ({ value }) => value === memory.gold || value !== memory.sells?.price,
      ),
    }));
    this.closed = this.memories.filter(
      ({ kind, does, conditions }) => kind === 'buy' && !does && conditions.length > 0,
    );
    this.ats = Int32Array.from(this.memories, ({ at }) => at);
    this.beforeAts = Int32Array.from(this.memories, ({ before }) =>
      before === undefined ? -1 : numbered(befores, before),
    );
    this.wordings = [...words.keys()].map((text) => ({ numbers: numbersOf(text), plain: normal(text) }));
    this.vectors = inOne([...words.keys()].map(vectorOf));
    this.beforeVectors = inOne([...befores.keys()].map(vectorOf));
    this.near = new Float32Array(words.size);
    this.beforeNear = new Float32Array(befores.size);
    this.scores = new Float32Array(this.memories.length);
  }

  /** Whether an answer is one to a question that nothing written is near to. */
  refuses(answer: string): boolean {
    return this.refusals.includes(answer);
  }

  /**
   * The answer that belongs to these words; undefined where nothing written holds now. `own` leaves out what was written in these very words: training must not be told
   * what players will not be.
   */
  recall(question: Question, own = true): string | undefined {
    const numbers = numbersOf(question.words);
    const plain = normal(question.words);
    const size = plain.split(' ').length <= fewWords ? 'few' : 'many';
    this.compare(question, numbers);
    const nearest: { memory: Kept; score: number }[] = [];
    const scores = this.score(question.before !== undefined, size);
    const mostBonus = question.takes === undefined ? 0 : takenBonus;
    for (let i = 0; i < scores.length; i++) {
      // Of thousands a few dozen get further than this.
      const last = nearest[voters - 1];
      if (last && scores[i]! + mostBonus <= last.score) continue;
      const memory = this.memories[i]!;
      const isSold = question.takes !== undefined && memory.sells?.name === question.takes;
      const score = isSold ? scores[i]! + takenBonus : scores[i]!;
      if (last && score <= last.score) continue;
      const wording = this.wordings[memory.at]!;
      if (question.takes !== undefined && memory.sells !== undefined && !isSold) continue;
      if (question.declines && memory.serves) continue;
      if (!holds(memory, wording, question, { numbers, plain }) || (!own && wording.plain === plain))
        continue;
      // What is written behind several things has one vote.
      const same = nearest.findIndex(
        (other) => other.memory.at === memory.at && other.memory.answer === memory.answer,
      );
      if (same >= 0) {
        if (nearest[same]!.score >= score) continue;
        nearest.splice(same, 1);
      }
      const at = nearest.findIndex((other) => score > other.score);
      nearest.splice(at < 0 ? nearest.length : at, 0, { memory, score });
      if (nearest.length > voters) nearest.pop();
    }
    const best = nearest[0];
    if (!best) return undefined;
    if (
      question.takes === undefined &&
      best.score < unfamiliar &&
      this.refusals.length > 0 &&
      isQuestion(question.words)
    )
      return this.refusals[pick(plain, this.refusals.length)];
    const closed = this.closed.filter(({ conditions }) => areTrue(conditions, question.told));
    const votes = new Map<string, number>();
    for (const { memory, score } of nearest) {
      const isClosed = closed.length > 0 && memory.serves && memory.conditions.length === 0;
      const { answer } = isClosed ? closed[pick(plain, closed.length)]! : memory;
      votes.set(answer, (votes.get(answer) ?? 0) + Math.exp((score - best.score) / fade));
    }
    // Of two that are close the first alone: a small model that is told both says the first, after reading twice as much.
    return [...votes].reduce((most, one) => (one[1] > most[1] ? one : most))[0];
  }

  /** How near every wording, and every exchange before, is to what is asked. */
  private compare({ vector, named, before }: Question, numbers: string): void {
    const { wordings, vectors, near } = this;
    const { length } = vector;
    for (let i = 0; i < wordings.length; i++) {
      let nearest = nearness(vector, vectors, i * length);
      if (named) nearest = Math.max(nearest, nearness(named, vectors, i * length) - namedPenalty);
      near[i] = wordings[i]!.numbers === numbers ? nearest : nearest - numbersPenalty;
    }
    if (before)
      for (let i = 0; i < this.beforeNear.length; i++)
        this.beforeNear[i] = nearness(before, this.beforeVectors, i * length);
  }

  /** What was compared, put together for each memory. Numbers in arrays alone: there are thousands for each question. */
  private score(hasBefore: boolean, size: 'few' | 'many'): Float32Array {
    const { ats, beforeAts, near, beforeNear, scores } = this;
    const weight = beforeWeight[size];
    const penalty = hasBefore ? elsewherePenalty[size] : alonePenalty[size];
    for (let i = 0; i < scores.length; i++) {
      const alone = near[ats[i]!]!;
      const beforeAt = beforeAts[i]!;
      if (beforeAt < 0) {
        scores[i] = alone;
        continue;
      }
      const together = hasBefore ? (alone + weight * beforeNear[beforeAt]!) / (1 + weight) : -1;
      scores[i] = Math.max(together, alone - penalty);
    }
    return scores;
  }
}

/** Each once: a table of follow-ups has its first turn in every row. */
function unlike(memories: readonly Memory[]): readonly Memory[] {
  const all = new Map<string, Memory>();
  for (const memory of memories) {
    const { words, before, answer, state, gold } = memory;
    const key = JSON.stringify([words, before, answer, state, gold]);
    if (!all.has(key)) all.set(key, memory);
  }
  return [...all.values()];
}

/** The number of a text, a new one if it has none. */
function numbered(numbers: Map<string, number>, text: string): number {
  const known = numbers.get(text);
  if (known !== undefined) return known;
  numbers.set(text, numbers.size);
  return numbers.size - 1;
}

function inOne(vectors: readonly Vector[]): Vector {
  const all = new Int8Array(vectors.length * (vectors[0]?.length ?? 0));
  for (const [i, vector] of vectors.entries()) all.set(vector, i * vector.length);
  return all;
}

/** Whether an answer fits to what the game tells, and to the numbers and names in the words. */
function holds(
  { state, conditions, gold, does, sells, namesPurse, kind, needs }: Kept,
  wording: Wording,
  { told, asked }: Question,
  { numbers, plain }: Wording,
): boolean {
  // Of other numbers the sum is another.
  if (kind === 'sum' && wording.numbers !== numbers) return false;
  if (needs.some((word) => !` ${plain} `.includes(` ${word} `))) return false;
  if (!areTrue(conditions, told)) return false;
  // Nothing is handed over to who cannot pay it.
  if (sells !== undefined && typeof told.gold === 'number' && told.gold < sells.price) return false;
  if (asked.some((name) => !(name in state))) return false;
  // What was written for a purse speaks of that purse, but for what is handed over without a word of it: who has too little for
  // it is told so.
  return gold === undefined || told.gold === gold || (does && !namesPurse);
}

function areTrue(conditions: Kept['conditions'], told: StateFacts): boolean {
  return conditions.every(([name, value]) => told[name] === value);
}

function numbersOf(words: string): string {
  return figures(words)
    .map(({ value }) => value)
    .sort((a, b) => a - b)
    .join(' ');
}

/** Statements that are unlike anything written want no refusal. */
function isQuestion(words: string): boolean {
  return /\?\s*$|^\W*(?:and |but |so |hey |ok )?(?:who|whom|whose|what|whats|which|when|where|why|how|is|are|am|was|were|do|does|did|can|could|will|would|should|have|has|may|tell)\b/i.test(
    words,
  );
}

/** The same words always get the same refusal: a prompt must read the same when it is made again. */
function pick(words: string, count: number): number {
  return (fnv1a(words) >>> 8) % count;
}
