// Run by controller-memory.test.ts in a process of its own, with room in the young generation for everything that is
// made in between: ticks a thousand characters and prints how many bytes that allocated and how many stayed.

import { createController, type Mind } from '../../client/controller/index.ts';

const count = 1_000;
const frames = 20_000;
const dt = 1_000 / 300;
const collect = (globalThis as unknown as { gc(): void }).gc;
/** Answers at once that there is nothing to do; after that the cache knows. */
const mind: Mind = {
  ask(index, _npc, _situation, generation, answers) {
    answers.done(index, generation);
    return true;
  },
};
const npcs = createController({
  capacity: count,
  mind,
  cache: { variants: 1, ttlMs: 600_000, size: 16_384 },
  asking: { perSecond: 100, perFrame: 4 },
});
const habits = ['idle', 'walk', 'chatter', 'look', 'follow'] as const;
for (let i = 0; i < count; i++)
  npcs.add({
    npc: `n${i}`,
    role: `r${i % 3}`,
    x: (i % 32) * 3,
    y: Math.floor(i / 32) * 3,
    policy: habits[i % 5]!,
  });
for (let k = 0; k < 9; k++)
  npcs.place(`place ${k}`, (k % 3) * 40, Math.floor(k / 3) * 40, { cover: k % 2 === 0 });

let now = 0;
const noise = { x: 50, y: 50, strength: 0.8 };
const acts = Array.from({ length: 9 }, (_, k) => ({
  name: 'go_to',
  args: { place: `place ${k}` },
  ttlMs: 4_000,
}));
function frame(): void {
  now += dt;
  npcs.player(50 + 20 * Math.cos(now / 3_000), 50 + 20 * Math.sin(now / 3_000));
  npcs.tick(now, dt);
}
// Everything that happens has happened often before it is measured.
for (let n = 0; n < frames; n++) {
  if (n % 7 === 0) npcs.offer(n % count, acts[n % 9]!);
  if (n % 50 === 0) npcs.perceive((n * 7) % count, 'noise', noise);
  frame();
}
const askedBefore = npcs.stats.asked;
const hitsBefore = npcs.stats.cacheHits;
collect();
const before = process.memoryUsage().heapUsed;
for (let n = 0; n < frames; n++) frame();
const allocated = process.memoryUsage().heapUsed - before;
collect();
const stayed = process.memoryUsage().heapUsed - before;
process.stdout.write(
  `${JSON.stringify({
    frames,
    allocated,
    stayed,
    asked: npcs.stats.asked - askedBefore,
    cacheHits: npcs.stats.cacheHits - hitsBefore,
  })}\n`,
);
