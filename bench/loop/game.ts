// The game loop that is measured: one thread at 300 frames a second that draws a thousand characters, and in the arm
// `parley` holds the controller and the SDK's clients of its own players, mostly one. A frame works, lets the event loop turn
// once, and sleeps. Each arm has a process of its own, so that none collects the other's garbage. Driven by loop.ts;
// orders.ts says how.

import { constants, PerformanceObserver } from 'node:perf_hooks';
import {
  type Controller,
  clientMind,
  createController,
  rehearse,
  sharedMind,
} from '../../client/controller/index.ts';
import { type Random, randomly } from '../../tests/chaos/strikes.ts';
import { Crowd, draw, side } from './crowd.ts';
import { Frames, frameMs, leadFrames, percentile } from './frames.ts';
import { type Order, obey, type RunResult, type World } from './orders.ts';
import { PlainWork } from './plain-work.ts';
import { Players } from './players.ts';
import { begin, ranInFrame, used } from './thread-clock.ts';

const places = ['forge', 'inn', 'north_gate', 'market', 'well', 'bakery'];
const habits = ['idle', 'walk', 'look', 'chatter', 'follow'] as const;
/** So much of a frame must be left for the plain work of the baseline, or it is left out: it must make no frame late. */
const spareMs = 1.5;
/** Half the width of the park that the player walks around in. */
const roundM = 30;
/** A noise startles somebody near the player, so often. */
const noiseMs = 2_000;

/** What the arm `parley` has and the baseline has not. */
interface Parley {
  readonly players: Players;
  readonly npcs: Controller;
}

interface Game {
  readonly world: World;
  readonly crowd: Crowd;
  readonly random: Random;
  readonly plain: PlainWork;
  readonly parley?: Parley;
}

type RunOrder = Extract<Order, { op: 'run' }>;
let game: Game | undefined;

async function open(world: World, arm: 'parley' | 'bare'): Promise<Game> {
  const random = randomly(world.seed);
  const parts = {
    world,
    random,
    crowd: new Crowd(world.characters, world.seed),
    plain: new PlainWork(world.characters),
  };
  const all = arm === 'bare' ? parts : { ...parts, parley: await join(world, random) };
  // As a game does that has loaded (client/README.md): what stays is put where it stays.
  globalThis.gc?.();
  return all;
}

async function join(world: World, random: Random): Promise<Parley> {
  // As a game does while it loads.
  rehearse();
  const players = await Players.connect(world);
  const npcs = createController({
    capacity: world.characters,
    mind: sharedMind(players.clients.map((client) => clientMind(client))),
    // What is left of a third of a millisecond when a few characters more, or an interrupt, take longer than they should.
    tickMs: 0.15,
    seed: world.seed,
  });
  for (const [i, name] of places.entries()) npcs.place(name, (i + 0.5) * (side / places.length), side / 2);
  for (let i = 0; i < world.characters; i++) {
    npcs.add({
      npc: world.npcs[i % world.npcs.length]!,
      x: random() * side,
      y: random() * side,
      policy: habits[i % habits.length]!,
    });
  }
  return { players, npcs };
}

const numbersIn = (counters: object): Record<string, number> =>
  Object.fromEntries(Object.entries(counters).filter(([, value]) => typeof value === 'number'));

const kindNames: ReadonlyMap<number, string> = new Map([
  [constants.NODE_PERFORMANCE_GC_MINOR, 'young'],
  [constants.NODE_PERFORMANCE_GC_MAJOR, 'all'],
  [constants.NODE_PERFORMANCE_GC_INCREMENTAL, 'a part'],
]);
/** Pauses of the garbage collector on this thread. */
const collections: { at: number; ms: number; kind: number }[] = [];
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) {
    const { startTime, duration, detail } = entry as PerformanceEntry & { detail: { kind: number } };
    if (detail.kind !== constants.NODE_PERFORMANCE_GC_WEAKCB)
      collections.push({ at: startTime, ms: duration, kind: detail.kind });
  }
}).observe({ entryTypes: ['gc'] });

const nothing = { asked: 0, cacheHits: 0 };
const sleeper = new Int32Array(new SharedArrayBuffer(4));

/** A run of the loop. Its numbers change in place: variables of a closure would be garbage. */
class Loop {
  readonly #game: Game;
  readonly #parley: Parley | undefined;
  readonly #count: number;
  readonly #saysPerSecond: number;
  readonly #cutAt: number;
  readonly #wantedMs: number;
  readonly #plainMs: Float32Array;
  #plainCount = 0;
  readonly #frames: Frames;
  readonly #intentAgeMs: number[] = [];
  readonly #rest = () => this.#sleep();
  #finished!: (result: RunResult) => void;
  #before: Record<string, number> = {};
  #frame = -leadFrames;
  #due = performance.now() + frameMs;
  #last = this.#due - frameMs;
  #startedAt = this.#last;
  #nextSayAt = this.#last;
  #nextNoiseAt = this.#last + noiseMs;
  #nextSampleAt = this.#last + 1_000;
  /** The least that drawing ever took: so much of a frame's CPU was surely not Parley's. */
  #drawMs = Number.POSITIVE_INFINITY;
  #asked = 0;
  #hits = 0;
  /** Whether sockets are being cut, one a frame. */
  #cutting = false;

  constructor(game: Game, order: RunOrder) {
    this.#game = game;
    this.#parley = game.parley;
    this.#count = order.frames;
    this.#saysPerSecond = order.saysPerSecond;
    this.#cutAt = order.cutAt ?? Number.POSITIVE_INFINITY;
    this.#frames = new Frames(order.frames);
    this.#wantedMs = order.plainMs;
    this.#plainMs = new Float32Array(order.frames);
  }

  run(): Promise<RunResult> {
    return new Promise((resolve) => {
      this.#finished = resolve;
      ranInFrame();
      this.#work();
    });
  }

  /** The first half of a frame: what the game and Parley do in it. */
  #work(): void {
    const { world, crowd } = this.#game;
    const now = performance.now();
    const dt = now - this.#last;
    this.#last = now;
    const angle = now / 20_000;
    const playerX = side / 2 + roundM * Math.cos(angle);
    const playerY = side / 2 + roundM * Math.sin(angle);
    if (this.#parley) this.#parleyWorks(this.#parley, now, dt, playerX, playerY);
    else {
      crowd.step(dt);
      begin();
      draw(crowd, world.characters, playerX, playerY);
      this.#drawMs = Math.min(this.#drawMs, used());
    }
    // Timers, callbacks, and what the collector makes of it all.
    begin();
    setImmediate(this.#rest);
  }

  #parleyWorks({ players, npcs }: Parley, now: number, dt: number, playerX: number, playerY: number): void {
    const { random } = this.#game;
    const spent = this.#frames.now;
    this.#asked = npcs.stats.asked;
    this.#hits = npcs.stats.cacheHits;
    begin();
    let isFull = players.pump();
    spent[0] = used();
    begin();
    if (now >= this.#nextSayAt && !isFull) {
      this.#nextSayAt = now + 1_000 / this.#saysPerSecond;
      players.say();
      isFull = true;
    }
    if (now >= this.#nextNoiseAt) {
      this.#nextNoiseAt = now + noiseMs;
      const startled = Math.floor(random() * npcs.size);
      npcs.perceive(startled, 'noise', { x: playerX, y: playerY });
    }
    npcs.player(playerX, playerY);
    spent[1] = used();
    begin();
    npcs.tick(now, dt, !isFull);
    spent[2] = used();
    begin();
    draw(npcs, npcs.size, playerX, playerY);
    this.#drawMs = Math.min(this.#drawMs, used());
    // It stands for a network that goes, which costs a game no call; what comes of it counts.
    if (this.#frame === this.#cutAt) this.#cutting = true;
    if (this.#cutting) this.#cutting = players.cutNext();
  }

  /** The second half: the sleep until the next frame, and the figures of this one. */
  #sleep(): void {
    const npcs = this.#parley?.npcs;
    this.#frames.now[3] = used();
    const end = performance.now();
    const from = this.#last;
    const late = end > this.#due;
    if (npcs && end >= this.#nextSampleAt) {
      this.#nextSampleAt = end + 1_000;
      for (let c = 0; c < npcs.size; c++) {
        const age = npcs.intentAgeMs(c);
        if (age >= 0) this.#intentAgeMs.push(age);
      }
    }
    const isPlain = !npcs && this.#frame >= 0 && this.#due - end > spareMs;
    if (isPlain) this.#workPlainly();
    // A frame that was missed is not made up for.
    while (this.#due <= end) this.#due += frameMs;
    Atomics.wait(sleeper, 0, 0, this.#due - performance.now());
    this.#due += frameMs;
    const mostMs = ranInFrame() - this.#drawMs;
    // As for Parley, what the hypervisor took is no one's.
    if (isPlain) {
      const ms = this.#plainMs[this.#plainCount]!;
      this.#plainMs[this.#plainCount++] = Math.min(ms, mostMs);
    }
    if (this.#frame >= 0) {
      const { asked, cacheHits } = npcs?.stats ?? nothing;
      this.#frames.add(from, end, mostMs, late, asked - this.#asked, cacheHits - this.#hits);
    }
    this.#frame++;
    if (this.#frame === 0) {
      this.#startedAt = performance.now();
      this.#before = this.#tally();
      collections.length = 0;
    }
    if (this.#frame < this.#count) this.#work();
    else this.#finished(this.#result());
  }

  /** In the time before the next frame is due, after this one's own figures were taken. */
  #workPlainly(): void {
    begin();
    this.#game.plain.run();
    this.#plainMs[this.#plainCount] = used();
  }

  #tally(): Record<string, number> {
    if (!this.#parley) return { asked: 0, says: 0 };
    const { npcs, players } = this.#parley;
    return {
      ...numbersIn(npcs.stats),
      says: players.says,
      pieces: players.pieces,
      broken: players.broken,
      reconnects: players.clients.reduce((total, { stats }) => total + stats.reconnects, 0),
    };
  }

  /** Fits the work for the next run. */
  #plain(): Float32Array {
    const all = this.#plainMs.slice(0, this.#plainCount);
    this.#game.plain.fit(percentile(all, 0.5), this.#wantedMs);
    return all;
  }

  #result(): RunResult {
    const seconds = (performance.now() - this.#startedAt) / 1_000;
    const counts = Object.fromEntries(
      Object.entries(this.#tally()).map(([name, value]) => [name, value - (this.#before[name] ?? 0)]),
    );
    return {
      ...this.#frames.take(),
      load: { thinksPerSecond: counts.asked! / seconds, saysPerSecond: counts.says! / seconds },
      collections: collections.length,
      longestCollectionMs: Math.max(0, ...collections.map(({ ms }) => ms)),
      drops: this.#frames.drops.map((drop) => {
        const within = collections.filter(({ at }) => at >= drop.from && at <= drop.to);
        return {
          ...drop,
          collectionMs: within.reduce((total, { ms }) => total + ms, 0),
          collected: within.map(({ kind }) => kindNames.get(kind) ?? 'other'),
        };
      }),
      intentAgeMs: this.#intentAgeMs,
      plainMs: this.#plain(),
      counts,
    };
  }
}

obey(async (order) => {
  if (order.op === 'open') {
    game = await open(order, order.arm ?? 'parley');
    return;
  }
  if (!game) throw new Error('open comes first');
  if (order.op === 'run') return new Loop(game, order).run();
  throw new Error(`the game does not ${order.op}`);
});
