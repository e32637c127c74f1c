// The players of a chaos run together: they join, ask, are waited for, and are judged one by one.

import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { History } from '../../bus/history.ts';
import { createKeys } from '../../bus/subjects.ts';
import { type Heard, type Patience, Player, usualPatience } from './player.ts';
import { authoredLines, npc, type Stage } from './stage.ts';
import { historyFault, judge, recordedAnswers, type Verdict } from './verdict.ts';

export interface CrowdOptions {
  readonly players: number;
  /** Where they connect first: all at one gateway, or half at each. */
  readonly at?: 'first' | 'both';
  readonly patience?: Patience;
}

/** What became of a crowd's answers. */
export interface Result {
  streams: number;
  lost: number;
  doubled: number;
  honest: number;
  dishonest: number;
  whole: number;
  /** Of the streams that the fault touched: those that were lost and found, went to another worker, or failed. */
  touched: number;
  /** Of these, the ones that were read to their end all the same. */
  continued: number;
  /** Of the touched streams (of all, where there are none): ms of silence. */
  gapP50Ms: number;
  gapP99Ms: number;
  /** Answers that the history does not have, although they were read. */
  forgotten: number;
  /** How the others ended, honestly, and how often. */
  failures: Record<string, number>;
  /** The first few things that went wrong, for a person. */
  faults: string[];
}

export interface Judging {
  /** The span of the fault, monotonic ms. */
  readonly from: number;
  readonly to: number;
  /** Whether the history can be asked: not when Redis was the one to suffer. */
  readonly history: boolean;
  /** Whether a failed stream is a fault too: a rolling restart is planned. */
  readonly mustBeWhole?: boolean;
}

let crowds = 0;
const joinedAtOnce = 50;
const tickMs = 250;
/** How long a turn may take to be in the history after the end was read. */
const committedMs = 10_000;
/** How long a player waits before asking again what was refused. */
const afterErrMs = 500;
const shownFaults = 5;

export class Crowd implements Disposable {
  readonly players: Player[];
  readonly heard: Heard[] = [];
  readonly #stage: Stage;
  readonly #ticking: NodeJS.Timeout;
  #asking = false;

  private constructor(stage: Stage, players: Player[]) {
    this.#stage = stage;
    this.players = players;
    this.#ticking = setInterval(() => {
      const now = performance.now();
      for (const player of players) player.tick(now);
    }, tickMs);
  }

  /** Resolves when all are welcome. */
  static async join(stage: Stage, { players, at = 'both', patience }: CrowdOptions): Promise<Crowd> {
    const crowd = ++crowds;
    const all: Player[] = [];
    for (let i = 0; i < players; i++) {
      const name = `crowd-${crowd}-${i}`;
      all.push(
        new Player({
          name,
          token: await stage.stack.token(name),
          urls: () => stage.urls(),
          from: at === 'both' ? i : 0,
          encoding: i % 4 < 2 ? 'msgpack' : 'json',
          patience: patience ?? usualPatience,
        }),
      );
    }
    const joined = new Crowd(stage, all);
    for (let i = 0; i < players; i += joinedAtOnce)
      await Promise.all(all.slice(i, i + joinedAtOnce).map((player) => player.join()));
    return joined;
  }

  /** One question of each player, spread over the time, so that accepting them is no load of its own. */
  async ask(maxTokens: number, spreadMs: number): Promise<Heard[]> {
    const asked: Heard[] = [];
    const start = performance.now();
    for (const [i, player] of this.players.entries()) {
      const due = start + (i / this.players.length) * spreadMs - performance.now();
      if (due > 2) await sleep(due);
      asked.push(this.#say(player, maxTokens));
    }
    return asked;
  }

  /** From now on each player asks again as soon as an answer has ended, until `stopAsking`. */
  async askOnAndOn(maxTokens: () => number, spreadMs: number): Promise<void> {
    this.#asking = true;
    const goOn = async (player: Player, delayMs: number) => {
      await sleep(delayMs);
      while (this.#asking) {
        const heard = this.#say(player, maxTokens());
        await heard.done;
        if (heard.terminal?.t === 'err') await sleep(afterErrMs);
      }
    };
    for (const [i, player] of this.players.entries()) {
      void goOn(player, (i / this.players.length) * spreadMs);
    }
    await sleep(spreadMs);
  }

  stopAsking(): void {
    this.#asking = false;
  }

  /** Resolves when each answer asked for until now has begun. Rejects when one does not. */
  async begun(pieces = 1, withinMs = 30_000): Promise<void> {
    const late = performance.now() + withinMs;
    const asked = [...this.heard];
    for (;;) {
      const waiting = asked.filter((h) => h.last < pieces && !h.terminal);
      if (waiting.length === 0) return;
      if (performance.now() > late) {
        throw new Error(`${waiting.length} of ${asked.length} answers have not begun`);
      }
      await sleep(20);
    }
  }

  /** Resolves when every answer has ended, or `withinMs` are over: then some are silent, and judged so. */
  async ended(withinMs: number): Promise<void> {
    let over = false;
    const late = sleep(withinMs, undefined, { ref: false }).then(() => {
      over = true;
    });
    while (!over) {
      const open = this.heard.filter((h) => !h.terminal && h.player.closedForGood === undefined);
      if (open.length === 0) return;
      await Promise.race([late, Promise.all(open.map((h) => Promise.race([h.done, sleep(500)])))]);
    }
  }

  /** Judges every answer, word for word. */
  async judged({ from, to, history, mustBeWhole = false }: Judging): Promise<Result> {
    const result: Result = {
      streams: this.heard.length,
      lost: 0,
      doubled: 0,
      honest: 0,
      dishonest: 0,
      whole: 0,
      touched: 0,
      continued: 0,
      gapP50Ms: 0,
      gapP99Ms: 0,
      forgotten: 0,
      failures: {},
      faults: [],
    };
    const gaps: number[] = [];
    const touchedGaps: number[] = [];
    const verdicts = new Map<Heard, Verdict>();
    const fault = (heard: Heard, text: string) => {
      const attempts = heard.terminal?.t === 'end' ? heard.terminal.attempts : '-';
      result.faults.push(
        `${heard.player.name} s ${heard.s} (${heard.last} pieces, ${heard.losses} connections lost, ${attempts} attempts): ${text}`,
      );
    };
    const { engine, merged } = this.#stage;
    const expected = engine === 'recorded' ? recordedAnswers(merged) : () => undefined;
    for (const heard of this.heard) {
      const verdict = judge(heard, expected(heard), authoredLines);
      verdicts.set(heard, verdict);
      result.lost += verdict.lost;
      result.doubled += verdict.doubled;
      if (verdict.end === 'dishonest' || (mustBeWhole && verdict.end !== 'whole')) {
        if (verdict.end === 'dishonest') result.dishonest++;
        else result.honest++;
        fault(heard, verdict.fault ?? verdict.end);
      } else result.honest++;
      const whole = verdict.end === 'whole';
      if (whole) result.whole++;
      else {
        const how = verdict.end === 'failed' ? verdict.fault! : verdict.end;
        result.failures[how] = (result.failures[how] ?? 0) + 1;
      }
      const moved = heard.terminal?.t === 'end' && heard.terminal.attempts > 1;
      const touched = heard.losses > 0 || moved || !whole;
      const gap = heard.silence(from, to);
      if (gap > 0) (touched ? touchedGaps : gaps).push(gap);
      if (!touched) continue;
      result.touched++;
      if (whole) result.continued++;
    }
    const sorted = (touchedGaps.length > 0 ? touchedGaps : gaps).sort((a, b) => a - b);
    result.gapP50Ms = quantile(sorted, 0.5);
    result.gapP99Ms = quantile(sorted, 0.99);
    if (history) await this.#compareHistory(verdicts, result, fault);
    result.faults.splice(shownFaults, Number.POSITIVE_INFINITY, ...more(result.faults.length));
    return result;
  }

  [Symbol.dispose](): void {
    this.#asking = false;
    clearInterval(this.#ticking);
    for (const player of this.players) player.leave();
  }

  #say(player: Player, maxTokens: number): Heard {
    const words = `Tell me more (${player.name}, ${player.heard.length + 1}).`;
    const heard = player.say(npc, words, maxTokens);
    this.heard.push(heard);
    return heard;
  }

  /** Each answer must be in the history once, as it was read. What is not there yet may still come. */
  async #compareHistory(
    verdicts: Map<Heard, Verdict>,
    result: Result,
    fault: (heard: Heard, text: string) => void,
  ): Promise<void> {
    const redis = new Redis(this.#stage.stack.redisUrl('worker'));
    const history = new History({ redis, keys: createKeys('parley'), turns: 1_000, ttlS: 60 });
    const late = performance.now() + committedMs;
    try {
      for (const player of this.players) {
        for (;;) {
          const turns = await history.read(player.name, npc);
          const wrong = player.heard.flatMap((heard) => {
            const own = turns.filter((turn) => turn.player === heard.words);
            const why = historyFault(heard, verdicts.get(heard)!, own);
            return why === undefined ? [] : [{ heard, why }];
          });
          if (wrong.length === 0) break;
          if (performance.now() > late) {
            for (const { heard, why } of wrong) {
              if (!turns.some((turn) => turn.player === heard.words)) {
                result.forgotten++;
                continue;
              }
              fault(heard, why);
              if (verdicts.get(heard)!.end === 'dishonest') continue;
              result.honest--;
              result.dishonest++;
            }
            break;
          }
          await sleep(100);
        }
      }
    } finally {
      redis.disconnect();
    }
  }
}

export function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0;
}

function more(count: number): string[] {
  return count > shownFaults ? [`… and ${count - shownFaults} more`] : [];
}
