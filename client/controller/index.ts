// The NPC controller: characters that live in the game loop and ask the language model now and then. One entry;
// README.md in this folder is the guide. In short:
//
//   const npcs = createController({ mind: clientMind(client) });
//   const mira = npcs.add({ npc: 'mira', x: 3, y: 4, policy: 'walk' });
//   npcs.onIntent = (i, intent) => game.do(i, intent);
//   // each frame:
//   npcs.player(hero.x, hero.y);
//   npcs.tick(now, dt);
//   draw(npcs.x[mira], npcs.y[mira], npcs.heading[mira], animationNames[npcs.animation[mira]]);

export type { CacheOptions } from './cache.ts';
export { type ClientMindOptions, clientMind, type Thinker } from './client-mind.ts';
export {
  type AnimationName,
  animationNames,
  type Perception,
  type PolicyName,
  policyNames,
} from './codes.ts';
export { type Controller, createController } from './controller.ts';
export { type Answers, type Mind, sharedMind } from './mind.ts';
export type { CharacterOptions, ControllerOptions, Habit, PerceptionOptions } from './options.ts';
export { type RehearsalOptions, rehearse } from './rehearsal.ts';
export type { AskingOptions } from './scheduler.ts';
export type { Stats } from './stats.ts';
export { fadeSeconds, fastestGaze, fastestTurn } from './steering.ts';
export type { Ground, Point } from './surroundings.ts';
export { type ArgSpec, commonVerbs, type VerbSpec, type VerbSpecs } from './verbs.ts';
