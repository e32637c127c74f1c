// `window.parleyDemo`: what is the case in the village, to be read from a browser's console and by the tests. It holds
// numbers and words and no way to change anything but to open a conversation.

import type { Game } from './game.ts';

export interface DemoFacts {
  readonly state: string;
  readonly fps: number;
  readonly player: { x: number; y: number; walks: boolean };
  readonly villagers: { id: string; x: number; y: number; policy: string; bubble: string | undefined }[];
  readonly near: string | undefined;
  readonly talking: string | undefined;
  readonly speaking: string[];
  /** Undefined as long as no server said it. */
  readonly gold: number | undefined;
  readonly things: readonly string[];
  readonly deeds: readonly { npc: string; name: string; args: Readonly<Record<string, unknown>> }[];
  /** Whether the client lives in a thread of its own. */
  readonly threaded: boolean;
  readonly client: Readonly<Record<string, unknown>>;
  readonly intents: Readonly<Record<string, unknown>>;
  /** Where a villager's feet are on the page. */
  onPage(id: string): { x: number; y: number } | undefined;
  talk(id: string): void;
}

declare global {
  interface Window {
    parleyDemo?: DemoFacts;
  }
}

export function exposeFacts(game: Game): void {
  window.parleyDemo = {
    get state() {
      return game.client?.state ?? 'idle';
    },
    get fps() {
      return game.figures.fps;
    },
    get player() {
      const { x, y } = game.player.figure;
      return { x, y, walks: game.player.walks };
    },
    get villagers() {
      return game.villagers.all.map((villager) => ({
        id: villager.character.id,
        x: villager.figure.x,
        y: villager.figure.y,
        policy: game.villagers.policyOf(villager),
        bubble: game.bubbles.textOf(villager.character.id),
      }));
    },
    get near() {
      return game.near?.character.id;
    },
    get talking() {
      return game.panel.partner;
    },
    get speaking() {
      return [...game.speaking.keys()];
    },
    get gold() {
      return game.belongings.gold;
    },
    get things() {
      return [...game.belongings.things];
    },
    get deeds() {
      return [...game.deeds.done];
    },
    get threaded() {
      return game.threaded;
    },
    get client() {
      return { ...game.client?.stats };
    },
    get intents() {
      return { ...game.villagers.controller.stats };
    },
    onPage(id) {
      const villager = game.villager(id);
      return villager && game.scene.toScreen(villager.figure.x, villager.figure.y);
    },
    talk(id) {
      const villager = game.villager(id);
      if (villager) game.talkTo(villager, false);
    },
  };
}
