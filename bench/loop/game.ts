// The game loop that is measured: one thread at 300 frames a second that draws a thousand characters, and in the arm
// `parley` holds the controller and the SDK's clients of its own players, mostly one. A frame works, lets the event loop turn
// once, and sleeps. Driven by loop.ts; orders.ts says how.

import { constants, PerformanceObserver } from 'node:perf_hooks';
import { clientMind, createController, sharedMind } from '../../client/controller/index.ts';
import { randomly } from '../../tests/chaos/strikes.ts';
import { Crowd, draw, side } from './crowd.ts';
import { Frames, frameMs } from './frames.ts';
import { obey, type RunResult, type World } from './orders.ts';
import { Players } from './players.ts';
import { begin, used } from './thread-clock.ts';

const places = ['forge', 'inn', 'north_gate', 'market', 'well', 'bakery'];
const habits = ['idle', 'walk', 'look', 'chatter', 'follow'] as const;
/** Half the width of the park that the player walks around in. */
const roundM = 30;
/** A noise startles somebody near the player, so often. */
const noiseMs = 2_000;

type Game = Awaited<ReturnType<typeof open>>;
let game: Game | undefined;

async function open(world: World) {
  const players = await Players.connect(world);
  const npcs = createController({
    capacity: world.characters,
    mind: sharedMind(players.clients.map((client) => clientMind(client))),
    seed: world.seed,
  });
  const random = randomly(world.seed);
  for (const [i, name] of places.entries()) npcs.place(name, (i + 0.5) * (side / places.length), side / 2);
  for (let i = 0; i < world.characters; i++) {
    npcs.add({
      npc: world.npcs[i % world.npcs.length]!,
      x: random() * side,
      y: random() * side,
      policy: habits[i % habits.length]!,
    });
  }
  const crowd = new Crowd(world.characters, world.seed);
  return { world, players, npcs, crowd, random };
}

const numbersIn = (counters: object): Record<string, number> =>
  Object.fromEntries(Object.entries(counters).filter(([, value]) => typeof value === 'number'));

/** Pauses of the garbage collector on this thread. */
const collections = { count: 0, longestMs: 0 };
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) {
    const { duration, detail } = entry as PerformanceEntry & { detail: { kind: number } };
    if (detail.kind === constants.NODE_PERFORMANCE_GC_WEAKCB) continue;
    collections.count++;
    collections.longestMs = Math.max(collections.longestMs, duration);
  }
}).observe({ entryTypes: ['gc'] });

/** Whether sockets are being cut, one a frame. */
let cutting = false;

const sleeper = new Int32Array(new SharedArrayBuffer(4));
const turn = () => new Promise((resolve) => setImmediate(resolve));

async function run(
  { world, players, npcs, crowd, random }: Game,
  arm: 'parley' | 'bare',
  count: number,
  saysPerSecond: number,
): Promise<RunResult> {
  const frames = new Frames(count);
  const intentAgeMs: number[] = [];
  const tally = (): Record<string, number> => ({
    ...numbersIn(npcs.stats),
    says: players.says,
    pieces: players.pieces,
    broken: players.broken,
    reconnects: players.clients.reduce((total, { stats }) => total + stats.reconnects, 0),
  });
  const before = tally();
  collections.count = 0;
  collections.longestMs = 0;
  let nextSayAt = performance.now();
  let nextNoiseAt = nextSayAt + noiseMs;
  let nextSampleAt = nextSayAt + 1_000;
  let due = performance.now() + frameMs;
  let last = due - frameMs;
  const startedAt = last;

  for (let i = 0; i < count; i++) {
    const now = performance.now();
    const dt = now - last;
    last = now;
    const angle = now / 20_000;
    const playerX = side / 2 + roundM * Math.cos(angle);
    const playerY = side / 2 + roundM * Math.sin(angle);
    let tickMs = 0;
    let ofParleyMs = 0;
    if (arm === 'parley') {
      begin();
      let isFull = players.pump();
      if (now >= nextSayAt && !isFull) {
        nextSayAt = now + 1_000 / saysPerSecond;
        players.say();
        isFull = true;
      }
      if (now >= nextNoiseAt) {
        nextNoiseAt = now + noiseMs;
        const startled = Math.floor(random() * npcs.size);
        npcs.perceive(startled, 'noise', { x: playerX, y: playerY });
      }
      npcs.player(playerX, playerY);
      // A network that goes does not ask for a moment that suits; but it is the kernel that works then, not the game.
      if (cutting) cutting = players.cutNext();
      ofParleyMs += used();
      begin();
      npcs.tick(now, dt, !isFull);
      tickMs = used();
      ofParleyMs += tickMs;
      draw(npcs, npcs.size, playerX, playerY);
    } else {
      crowd.step(dt);
      draw(crowd, world.characters, playerX, playerY);
    }
    // Timers, callbacks, and what the collector makes of it all.
    begin();
    await turn();
    ofParleyMs += used();
    const end = performance.now();
    frames.add(tickMs, arm === 'parley' ? ofParleyMs : 0, end - now, end > due);
    if (arm === 'parley' && end >= nextSampleAt) {
      nextSampleAt = end + 1_000;
      for (let c = 0; c < npcs.size; c++) {
        const age = npcs.intentAgeMs(c);
        if (age >= 0) intentAgeMs.push(age);
      }
    }
    // A frame that was missed is not made up for.
    while (due <= end) due += frameMs;
    Atomics.wait(sleeper, 0, 0, due - performance.now());
    due += frameMs;
  }

  const seconds = (performance.now() - startedAt) / 1_000;
  const counts = Object.fromEntries(
    Object.entries(tally()).map(([name, value]) => [name, value - before[name]!]),
  );
  return {
    ...frames.take(),
    load: { thinksPerSecond: counts.asked! / seconds, saysPerSecond: counts.says! / seconds },
    collections: collections.count,
    longestCollectionMs: collections.longestMs,
    intentAgeMs,
    counts,
  };
}

obey(async (order) => {
  if (order.op === 'open') {
    game = await open(order);
    return;
  }
  if (!game) throw new Error('open comes first');
  if (order.op === 'run') return run(game, order.arm, order.frames, order.saysPerSecond);
  if (order.op === 'cut') {
    cutting = true;
    return;
  }
  throw new Error(`the game does not ${order.op}`);
});
