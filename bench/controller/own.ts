// The controller itself, with a village of every habit, a player who walks about, and a noise now and then.

import { type Controller, createController, type Habit } from '../../client/controller/index.ts';
import type { Arm } from './arm.ts';
import { decideHz } from './arm.ts';

const habits: readonly Habit[] = ['idle', 'walk', 'chatter', 'look', 'follow'];

export function ownArm(count: number, seed = 1): Arm & { npcs: Controller } {
  const npcs = createController({ capacity: count, seed, decideHz });
  const width = Math.ceil(Math.sqrt(count));
  for (let i = 0; i < count; i++)
    npcs.add({ npc: `npc-${i}`, x: (i % width) * 3, y: Math.floor(i / width) * 3, policy: habits[i % 5]! });
  npcs.place('barn', width, width, { cover: true });
  let noiseAt = 0;
  return {
    npcs,
    tick(nowMs, dtMs) {
      npcs.player(width * (1.5 + Math.cos(nowMs / 5_000)), width * (1.5 + Math.sin(nowMs / 5_000)));
      if (nowMs >= noiseAt) {
        noiseAt = nowMs + 1_000;
        for (let k = 0; k < 5; k++)
          npcs.perceive((k * 197) % count, 'noise', { x: width, y: width, strength: 0.9 });
      }
      npcs.tick(nowMs, dtMs);
    },
  };
}
