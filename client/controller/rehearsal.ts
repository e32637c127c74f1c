// A rehearsal, for a game's loading screen: characters of its own live through everything that a controller does, so that
// the compiler has seen it all before the first frame that counts. Otherwise the first noise, the first intent, the first
// failure each cost a frame a few tenths of a millisecond. It has no effect on anything but the compiler.

import type { Intent } from '../../bus/protocol.ts';
import { createController } from './controller.ts';
import { type Answers, type Mind, sharedMind } from './mind.ts';
import { habits } from './options.ts';
import type { Point } from './surroundings.ts';

export interface RehearsalOptions {
  /** How long it may take, in milliseconds; 600. */
  forMs?: number;
}

const crowd = 240;
const side = 60;
/** What the mind of a rehearsal comes up with, in turns: good, useless and broken. */
const ideas: readonly Intent[] = asTheyCome([
  { name: 'go_to', args: { place: 'forge' }, ttlMs: 900, confidence: 0.7 },
  { name: 'emote', args: { kind: 'wave' }, ttlMs: 2_000 },
  { name: 'go_to', args: { place: 'home' }, ttlMs: 700, confidence: 0.1 },
  { name: 'say', args: { text: 'Good day.' }, ttlMs: 2_000 },
  { name: 'go_to', args: { place: 'the moon' }, ttlMs: 2_000 },
  { name: 'go_to', args: { place: 'the traveller' }, ttlMs: 1_200 },
  { name: 'attack', args: { target: 'player' }, ttlMs: 3_000, confidence: 0.9 },
  { name: 'give', args: { item: 'sword', price: 30 }, ttlMs: 2_000 },
  { name: 'go_to', args: { place: 'npc_7' }, ttlMs: 1_500 },
  { name: 'open_shop', args: {}, ttlMs: 2_000 },
  { name: 'emote', args: { kind: 'no such thing' }, ttlMs: 2_000 },
  { name: 'flee', args: {}, ttlMs: 500 },
]);
const verbs = {
  say: { args: { text: { type: 'string', maxLength: 200 } } },
  go_to: { ttlMs: 20_000, args: { place: { type: 'string' } } },
  give: {
    authority: 'server',
    args: { item: { type: 'string' }, price: { type: 'integer', minimum: 0, optional: true } },
  },
  attack: { authority: 'server', args: { target: { type: 'string' } } },
  open_shop: { ttlMs: 15_000 },
  emote: { args: { kind: { type: 'string', enum: ['wave', 'nod'] } } },
  flee: {},
  take_cover: {},
} as const;

/**
 * Lives through it for `forMs` and returns. It holds the thread for so long: call it once, while the game loads. More than
 * a second of it gains nothing.
 */
export function rehearse({ forMs = 600 }: RehearsalOptions = {}): void {
  const until = performance.now() + forMs;
  // One after the other: a game has one kind of mind, but which is not known here.
  for (let act = 0; performance.now() < until; act++) live(act, until);
}

/** A few seconds of a village, of another seed each time. */
function live(act: number, until: number): void {
  const late: (() => void)[] = [];
  let thought = 0;
  const think = (index: number, generation: number, answers: Answers): boolean => {
    const n = thought++;
    if (n % 41 === 40) return false;
    const answer = () => {
      if (n % 7 === 6)
        answers.failed(index, generation, n % 2 === 0, n % 3 === 0 ? 5 : undefined, 'deadline');
      else {
        if (n % 5 !== 4) answers.act(index, generation, ideas[n % ideas.length]!);
        answers.done(index, generation);
      }
    };
    if (n % 11 === 10) return true;
    late.push(answer);
    return true;
  };
  const inWords: Mind = {
    ask: (index, _npc, _situation, generation, answers) => think(index, generation, answers),
    isBusy: (index) => index % 97 === 0,
    cancel: () => {},
  };
  const inFacts: Mind = {
    ...inWords,
    askFacts: (index, _npc, _facts, _places, generation, answers) => think(index, generation, answers),
  };
  const npcs = createController({
    capacity: crowd,
    mind: sharedMind([act % 3 === 2 ? inWords : inFacts]),
    verbs,
    seed: act + 1,
    cache: { ttlMs: 4_000 },
    asking: { outstanding: 12, perSecond: 60, answerMs: 1_000, restMs: 800 },
    ground: act % 4 === 3 ? walls : {},
  });
  // Whole numbers and others are not the same to the compiler.
  const part = act % 2 === 0 ? 0.5 : 0;
  npcs.place('forge', 20 + part, 20 + part);
  npcs.place('barn', 40 + part, 30 + part, { cover: act % 2 === 0 });
  const enter = (i: number) =>
    npcs.add({
      npc: `npc_${i % 12}`,
      x: (i * 7.3) % side,
      y: (i * 3.1) % side,
      policy: habits[i % habits.length]!,
    });
  for (let i = 0; i < crowd; i++) enter(i);
  let nowMs = 1_000.3 * act;
  for (let frame = 0; frame < 2_400 && performance.now() < until; frame++) {
    const dt = frame % 3 === 0 ? 16.6 : 3.3;
    nowMs += dt;
    const angle = nowMs / 3_000;
    if (frame > 20) npcs.player(side / 2 + 14 * Math.cos(angle), side / 2 + 14 * Math.sin(angle));
    if (frame % 40 === 0)
      npcs.perceive(frame % crowd, frame % 80 === 0 ? 'noise' : 'attacked', { x: 30, y: 30, strength: 0.9 });
    if (frame % 90 === 0) npcs.talk(frame % 5, frame % 180 === 0);
    if (frame % 60 === 0) npcs.offer(frame % crowd, ideas[(frame / 60) % ideas.length]!);
    if (frame % 300 === 299) {
      npcs.remove(frame % crowd);
      enter(frame % crowd);
    }
    if (late.length > 3 || frame % 12 === 0) late.shift()?.();
    npcs.tick(nowMs, dt, frame % 5 !== 0);
    npcs.intentAgeMs(frame % crowd);
  }
}

/** In all the forms that messages have: encodings and versions differ in which fields there are, and in their order. */
function asTheyCome(acts: readonly Intent[]): Intent[] {
  return acts.flatMap((act, k) => {
    const { name, args, ttlMs, confidence = 0.5 } = act;
    const forms = [
      act,
      { name, args, ttlMs: ttlMs + 0.5, confidence, g: 4_000_000_000, v: 1 },
      { t: 'act', s: k, n: k, name, args, ttlMs, v: 1 },
      { t: 'act', s: k, n: k, name, args, ttlMs, v: 1, confidence, g: 4_000_000_001 },
      { v: 1, g: 4_000_000_000, confidence, ttlMs, args, name },
    ];
    return forms.map((form) => JSON.parse(JSON.stringify(form)) as Intent);
  });
}

/** A ground with ways, whose next step is the way straight ahead, and a wall. */
const walls = {
  isFree: (x: number, y: number) => Math.abs(x - 30) > 1 || y > 20,
  next(fromX: number, fromY: number, toX: number, toY: number, out: Point): boolean {
    if (toX < 0 || toY < 0) return false;
    out.x = fromX + Math.max(-2, Math.min(2, toX - fromX));
    out.y = fromY + Math.max(-2, Math.min(2, toY - fromY));
    return true;
  },
};
