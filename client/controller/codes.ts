// The small numbers that stand in the controller's arrays, and their names. A renderer reads them; nothing here runs.

/** What a character is doing. The last two are done for an intent, the others of its own accord. */
export const policyNames = [
  'idle',
  'look',
  'walk',
  'flee',
  'follow',
  'take_cover',
  'chatter',
  'go',
  'approach',
] as const;
export type PolicyName = (typeof policyNames)[number];
export const policy = {
  idle: 0,
  look: 1,
  walk: 2,
  flee: 3,
  follow: 4,
  take_cover: 5,
  chatter: 6,
  go: 7,
  approach: 8,
} as const satisfies Record<PolicyName, number>;

/** What its body shows. `gesture` is a hand-over, an emote or a verb of the game's own. */
export const animationNames = ['stand', 'walk', 'run', 'talk', 'gesture', 'cower', 'strike'] as const;
export type AnimationName = (typeof animationNames)[number];
export const animation = {
  stand: 0,
  walk: 1,
  run: 2,
  talk: 3,
  gesture: 4,
  cower: 5,
  strike: 6,
} as const satisfies Record<AnimationName, number>;

/** What an intent leads to. */
export const goal = { none: 0, point: 1, player: 2, character: 3 } as const;

/** What a character notices. */
export type Perception = 'sight' | 'noise' | 'attacked';
/** The newest of it; `nothing` when there was none. */
export const perception = { nothing: 0, sight: 1, noise: 2, attacked: 3 } as const;
