// The body and the habits of characters in the game loop: they never jump, they live by themselves, and the same seed
// gives the same lives.

import { expect, test } from 'vitest';
import {
  animationNames,
  createController,
  fadeSeconds,
  fastestGaze,
  fastestTurn,
  policyNames,
  rehearse,
} from '../client/controller/index.ts';
import { randomly } from './chaos/strikes.ts';
import { between, Loop } from './controller/loop.ts';

const metres = (npcs: { x: Float64Array; y: Float64Array }, i: number, x: number, y: number) =>
  Math.hypot(npcs.x[i]! - x, npcs.y[i]! - y);

test('whatever characters are told, they never jump: not in place, turn, gaze or animation', () => {
  const random = randomly(7);
  const count = 60;
  const npcs = createController({ capacity: count, seed: 7 });
  const habits = ['idle', 'walk', 'look', 'chatter', 'follow'] as const;
  for (let i = 0; i < count; i++)
    npcs.add({ npc: `n${i}`, x: random() * 30, y: random() * 30, policy: habits[i % 5]! });
  const places = ['forge', 'inn', 'gate', 'well'];
  for (const [k, name] of places.entries()) npcs.place(name, k * 10, 30 - k * 7, { cover: k === 2 });
  const kinds = ['noise', 'attacked', 'sight'] as const;
  const acts = [
    () => ({ name: 'go_to', args: { place: places[Math.floor(random() * 4)]! } }),
    () => ({ name: 'attack', args: { target: random() < 0.5 ? 'traveller' : 'n3' } }),
    () => ({ name: 'emote', args: { kind: 'wave' } }),
    () => ({ name: 'say', args: { text: 'Well met.' } }),
  ];
  const top = 1.4 * 2.2;
  const loop = new Loop(npcs);
  const weightOf = (i: number, code: number) =>
    (npcs.animation[i] === code ? npcs.animationWeight[i]! : 0) +
    (npcs.animationFrom[i] === code && npcs.animationFrom[i] !== npcs.animation[i]
      ? 1 - npcs.animationWeight[i]!
      : 0);
  const snapshot = () => ({
    x: npcs.x.slice(),
    y: npcs.y.slice(),
    heading: npcs.heading.slice(),
    gaze: npcs.gaze.slice(),
    weights: Array.from({ length: count }, (_, i) => animationNames.map((_, code) => weightOf(i, code))),
  });
  let before = snapshot();
  const faults: string[] = [];
  for (let frame = 0; frame < 2_500; frame++) {
    const dt = frame % 97 === 0 ? 90 : 2 + random() * 20;
    for (let k = 0; k < 3; k++) {
      const i = Math.floor(random() * count);
      if (random() < 0.3) npcs.offer(i, { ...acts[Math.floor(random() * 4)]!(), ttlMs: random() * 3_000 });
      if (random() < 0.05)
        npcs.perceive(i, kinds[Math.floor(random() * 3)]!, {
          x: random() * 30,
          y: random() * 30,
          strength: random(),
        });
      if (random() < 0.02) npcs.talk(i, random() < 0.5);
    }
    npcs.player(random() * 30, random() * 30);
    loop.frame(dt);
    const s = dt / 1_000;
    const now = snapshot();
    for (let i = 0; i < count; i++) {
      const moved = Math.hypot(now.x[i]! - before.x[i]!, now.y[i]! - before.y[i]!);
      const weights = now.weights[i]!;
      const faded = Math.max(...weights.map((w, code) => Math.abs(w - before.weights[i]![code]!)));
      // A sum of everything is a number only if all of them are.
      const all = moved + now.heading[i]! + now.gaze[i]! + weights.reduce((sum, w) => sum + w, 0);
      const says = (what: string) => faults.push(`frame ${frame}, ${i}: ${what}`);
      if (!Number.isFinite(all)) says('no number');
      if (moved > top * s + 1e-9) says(`moved ${moved}`);
      if (between(now.heading[i]!, before.heading[i]!) > fastestTurn * s + 1e-9) says('turned too fast');
      if (between(now.gaze[i]!, before.gaze[i]!) > fastestGaze * s + 1e-9) says('gaze too fast');
      if (faded > s / fadeSeconds + 1e-9) says(`faded ${faded}`);
      if (Math.abs(weights.reduce((sum, w) => sum + w, 0) - 1) > 1e-9) says('weights are not 1 together');
    }
    before = now;
  }
  expect(faults).toEqual([]);
});

test('a turn takes the shorter way round', () => {
  const npcs = createController();
  const i = npcs.add({ x: 0, y: 0, heading: 3 });
  const loop = new Loop(npcs);
  loop.frame();
  npcs.player(-3, -0.6);
  npcs.talk(i);
  let turned = 0;
  let last = npcs.heading[i]!;
  loop.until(() => {
    turned += between(npcs.heading[i]!, last);
    last = npcs.heading[i]!;
    return between(npcs.heading[i]!, Math.atan2(-0.6, -3)) < 0.05;
  });
  expect(turned).toBeLessThan(1);
});

test('who likes to walk wanders around home and comes to no place that is not free', () => {
  const npcs = createController({ ground: { isFree: (x) => x >= 0 } });
  const i = npcs.add({ x: 2, y: 0, policy: 'walk', sociability: 0 });
  const loop = new Loop(npcs);
  let farthest = 0;
  let way = 0;
  let [x, y] = [2, 0];
  loop.run(120, () => {
    way += metres(npcs, i, x, y);
    [x, y] = [npcs.x[i]!, npcs.y[i]!];
    farthest = Math.max(farthest, metres(npcs, i, 2, 0));
    expect(x).toBeGreaterThan(-0.5);
  });
  expect(way).toBeGreaterThan(10);
  expect(farthest).toBeLessThan(9);
});

test('it walks by the ways of the game', () => {
  const npcs = createController({
    // A wall at x = 5 with its gate at y = 10.
    ground: {
      next: (fromX, fromY, toX, toY, out) => {
        const before = fromX < 5.5 && toX > 5.5;
        const atGate = Math.abs(fromY - 10) < 0.5;
        out.x = before ? (atGate ? 6 : 4) : toX;
        out.y = before ? 10 : toY;
        return true;
      },
    },
  });
  const i = npcs.add({ x: 0, y: 0 });
  npcs.place('inn', 9, 0);
  npcs.offer(i, { name: 'go_to', args: { place: 'inn' }, ttlMs: 60_000 });
  const loop = new Loop(npcs);
  let crossedAt = Number.NaN;
  loop.until(() => {
    if (Number.isNaN(crossedAt) && npcs.x[i]! >= 5) crossedAt = npcs.y[i]!;
    return metres(npcs, i, 9, 0) < 0.6;
  });
  expect(Math.abs(crossedAt - 10)).toBeLessThan(1);
});

test('it looks at the player who comes near', () => {
  const npcs = createController();
  const i = npcs.add({ x: 0, y: 0 });
  const loop = new Loop(npcs);
  npcs.player(-3, 1);
  loop.until(() => policyNames[npcs.policy[i]!] === 'look');
  loop.until(() => between(npcs.gaze[i]!, Math.atan2(1, -3)) < 0.1);
});

test('a frightened character runs from a noise, and to cover where there is some; later it is calm again', () => {
  const npcs = createController();
  const open = npcs.add({ x: 0, y: 0, boldness: 0 });
  const housed = npcs.add({ x: 100, y: 0, boldness: 0 });
  npcs.place('barn', 108, 0, { cover: true });
  const loop = new Loop(npcs);
  loop.frame();
  npcs.perceive(open, 'noise', { x: 1, y: 0 });
  npcs.perceive(housed, 'attacked', { x: 99, y: 0 });
  loop.frame();
  expect(policyNames[npcs.policy[open]!]).toBe('flee');
  expect(policyNames[npcs.policy[housed]!]).toBe('take_cover');
  loop.run(4);
  expect(npcs.x[open]!).toBeLessThan(-3);
  expect(metres(npcs, housed, 108, 0)).toBeLessThan(1);
  loop.until(() => !['flee', 'take_cover'].includes(policyNames[npcs.policy[housed]!]!));
});

test('two who like company stand together, face each other and speak in turns', () => {
  const npcs = createController({ seed: 5 });
  const [a, b] = [0, 2].map((x) => npcs.add({ x, y: 0, policy: 'chatter', sociability: 1 })) as [
    number,
    number,
  ];
  const loop = new Loop(npcs);
  const name = (i: number) => animationNames[npcs.animation[i]!];
  loop.until(() => [a, b].every((i) => policyNames[npcs.policy[i]!] === 'chatter'));
  loop.until(
    () =>
      between(npcs.heading[a]!, Math.atan2(npcs.y[b]! - npcs.y[a]!, npcs.x[b]! - npcs.x[a]!)) < 0.2 &&
      between(npcs.heading[b]!, Math.atan2(npcs.y[a]! - npcs.y[b]!, npcs.x[a]! - npcs.x[b]!)) < 0.2,
  );
  loop.until(() => metres(npcs, a, npcs.x[b]!, npcs.y[b]!) < 2.2);
  loop.until(() => name(a) === 'talk' && name(b) === 'stand');
  loop.until(() => name(b) === 'talk' && name(a) === 'stand');
});

test('who follows stays near the player and stands aside for others', () => {
  const npcs = createController();
  const all = Array.from({ length: 5 }, (_, k) => npcs.add({ x: k, y: 8, policy: 'follow', sociability: 0 }));
  const loop = new Loop(npcs);
  let x = 0;
  loop.run(20, () => {
    x += 0.015;
    npcs.player(x, 0);
  });
  for (const i of all) expect(metres(npcs, i, x, 0)).toBeLessThan(6);
  loop.run(10);
  for (const i of all)
    for (const j of all) if (i < j) expect(metres(npcs, i, npcs.x[j]!, npcs.y[j]!)).toBeGreaterThan(0.3);
});

test('the same seed and the same calls give the same lives, another seed other ones', () => {
  const live = (seed: number) => {
    const npcs = createController({ seed, capacity: 40 });
    for (let i = 0; i < 40; i++)
      npcs.add({ npc: `n${i}`, x: i, y: i % 7, policy: i % 2 ? 'walk' : 'chatter' });
    npcs.player(5, 5);
    new Loop(npcs).run(20);
    return [...npcs.x, ...npcs.gaze, ...npcs.policy];
  };
  expect(live(3)).toEqual(live(3));
  expect(live(3)).not.toEqual(live(4));
  const before = live(5);
  // Characters that rehearse are nobody's.
  rehearse({ forMs: 30 });
  expect(live(5)).toEqual(before);
});

test('points that are none are refused with a RangeError, and there is room for so many and no more', () => {
  const npcs = createController({ capacity: 1 });
  const wrong = [
    () => npcs.add({ x: Number.NaN, y: 0 }),
    () => npcs.add({ x: 0, y: 0, home: { x: 0, y: Number.POSITIVE_INFINITY } }),
    () => npcs.add({ x: 0, y: 0, speed: 0 }),
    () => npcs.add({ x: 0, y: 0, policy: 'fly' as 'idle' }),
    () => npcs.player(0, Number.NaN),
    () => npcs.place('forge', Number.NaN, 0),
    () => npcs.perceive(0, 'noise', { x: 0, y: 0 }),
    () => createController({ metre: 0 }),
    () => {
      npcs.hour = 25;
    },
  ];
  for (const call of wrong) expect(call).toThrow(RangeError);
  const i = npcs.add({ x: 0, y: 0 });
  expect(() => npcs.perceive(i, 'noise', { x: Number.NaN, y: 0 })).toThrow(RangeError);
  expect(() => npcs.perceive(i, 'noise', { x: 0, y: 0, strength: 2 })).toThrow(RangeError);
  expect(() => npcs.add({ x: 0, y: 0 })).toThrow(RangeError);
  npcs.remove(i);
  expect(npcs.add({ x: 4, y: 0 })).toBe(i);
});

test('a clock that stands, jumps or is no number does no harm', () => {
  const npcs = createController();
  const i = npcs.add({ x: 0, y: 0, policy: 'walk' });
  for (const [now, dt] of [
    [1_000, 16],
    [Number.NaN, Number.NaN],
    [900, -16],
    [1_000, 0],
    [3_600_000, 3_599_000],
    [Number.POSITIVE_INFINITY, 16],
    [3_600_016, 16],
  ] as const) {
    const x = npcs.x[i]!;
    npcs.tick(now, dt);
    expect(Math.abs(npcs.x[i]! - x)).toBeLessThan(0.31);
  }
});

test('a tick that may take next to nothing moves everybody by turns, by the whole time, and no farther', () => {
  const count = 600;
  const cast = (tickMs?: number) => {
    const npcs = createController({ capacity: count, seed: 3, ...(tickMs && { tickMs }) });
    npcs.place('far', 10_000, 0);
    for (let i = 0; i < count; i++) {
      npcs.add({ x: 0, y: i * 10 });
      npcs.offer(i, { name: 'go_to', args: { place: 'far' }, ttlMs: 60_000 });
    }
    return new Loop(npcs);
  };
  const [all, some] = [cast(), cast(1e-6)];
  const frames = 1_000;
  let farthest = 0;
  for (let frame = 0; frame < frames; frame++) {
    const before = some.npcs.x.slice();
    for (const loop of [all, some]) loop.frame(10);
    for (let i = 0; i < count; i++) farthest = Math.max(farthest, some.npcs.x[i]! - before[i]!);
  }
  expect(all.npcs.stats.putOff).toBe(0);
  expect(some.npcs.stats.putOff).toBe(frames);
  // A hundred and some in each frame: a character waits four frames at most, and walks as far in the end.
  expect(farthest).toBeLessThan(6 * 0.01 * 1.4);
  for (let i = 0; i < count; i++) {
    expect(all.npcs.x[i]).toBeGreaterThan(10);
    expect(Math.abs(some.npcs.x[i]! - all.npcs.x[i]!)).toBeLessThan(0.2);
  }
  expect(() => createController({ tickMs: 0 })).toThrow(RangeError);
});
