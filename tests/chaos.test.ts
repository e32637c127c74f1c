// The machinery of `npm run chaos` on few streams: every part is killed or frozen once while players listen, and what
// they read is compared with what must have been read. No time is judged here; the whole list is in tests/chaos/.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Fault, faults, type Plan } from './chaos/faults.ts';
import { Heard, type Player } from './chaos/player.ts';
import { tableRow } from './chaos/report.ts';
import { Stage, type StageOptions } from './chaos/stage.ts';
import { judge } from './chaos/verdict.ts';

const plan: Plan = {
  streams: 40,
  answerMs: 3_000,
  // Longer than a gateway remembers workers that it does not hear.
  outageMs: 6_000,
  frozenMs: 5_000,
};
const some = new Set(['kill-gateway', 'kill-worker', 'freeze-gateway', 'race-with-end', 'nats-away']);

function onStage(options: StageOptions, chosen: readonly Fault[]) {
  let stage: Stage;
  beforeAll(async () => {
    stage = await Stage.set(options);
  });
  afterAll(() => stage?.[Symbol.asyncDispose]());
  test.each(chosen)('$title', async (fault) => {
    const result = await fault.run(stage, plan);
    process.stdout.write(`${tableRow({ title: fault.title, result })}\n`);
    expect(result).toMatchObject({ lost: 0, doubled: 0, dishonest: 0, faults: [] });
    expect(result.streams).toBeGreaterThanOrEqual(8);
  });
}

describe('every player reads one whole answer, or hears that it is lost', () => {
  onStage(
    { engine: 'recorded' },
    faults.filter(({ name }) => some.has(name)),
  );
});

describe('the judge', () => {
  const whole = 'The mill stands by the river.';
  const heard = (text: string, terminal: object): Heard => {
    const answer = new Heard({ closedForGood: undefined } as Player, 1, 'storyteller', 'Tell me.', 20);
    answer.text = text;
    answer.terminal = terminal as Heard['terminal'];
    return answer;
  };
  const end = { t: 'end', source: 'live', reason: 'stop', attempts: 1 };
  const verdict = (text: string, terminal: object) => judge(heard(text, terminal), whole, ['Not now.']);

  test('a whole answer is whole', () =>
    expect(verdict(whole, end)).toEqual({ lost: 0, doubled: 0, end: 'whole' }));
  test('a clean end of half an answer is dishonest, and what is missing is counted', () =>
    expect(verdict('The mill stands', end)).toMatchObject({ lost: 14, doubled: 0, end: 'dishonest' }));
  test('words in the middle that are missing, or there twice', () => {
    expect(verdict('The mill by the river.', end)).toMatchObject({ lost: 7, doubled: 0, end: 'dishonest' });
    expect(verdict('The mill mill stands by the river.', end)).toMatchObject({
      doubled: 5,
      end: 'dishonest',
    });
  });
  test('half an answer that says so is honest, unless its words are others', () => {
    const err = { t: 'err', code: 'lost', partial: true };
    expect(verdict('The mill', err)).toMatchObject({ lost: 0, doubled: 0, end: 'failed' });
    expect(verdict('The mall', err).end).toBe('dishonest');
    expect(verdict('', err).end).toBe('dishonest');
  });
  test('an authored line stands alone', () => {
    expect(verdict('Not now.', { ...end, source: 'authored' }).end).toBe('authored');
    expect(verdict('The mill Not now.', { ...end, source: 'authored' }).end).toBe('dishonest');
  });
});
