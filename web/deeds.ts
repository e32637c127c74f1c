// What characters do when they take up an intent: the controller moves them by itself, and everything else is shown here. A
// thing changes hands, a shop opens, a feeling hangs over a head. Verbs that nobody knows get a general sign.

import type { Intent } from '../bus/protocol.ts';
import { type Icon, iconOfItem, isIcon } from './art/icons.ts';
import type { Game } from './game.ts';
import { oneLine } from './page.ts';
import { metre } from './village/layout.ts';
import type { Villager } from './village/villagers.ts';

/** Beyond so many metres the player does not see it. */
const sees = 14;
/** The same sign of the same character is not shown again before; thoughts repeat themselves. */
const restMs = 9_000;

const feelings: Readonly<Record<string, string>> = {
  wave: 'waves',
  nod: 'nods',
  shrug: 'shrugs',
  laugh: 'laughs',
  sigh: 'sighs',
  point: 'points',
  cheer: 'cheers',
  bow: 'bows',
};

/** Signs for a game's own verbs, by what is in their names. */
const signs: readonly (readonly [RegExp, Icon])[] = [
  [/bell/, 'bell'],
  [/lantern|lamp|light|fire/, 'lantern'],
  [/gate|door|open|unlock/, 'key'],
  [/shop|sell|trade/, 'shop'],
  [/heal|potion/, 'potion'],
  [/fight|hit|strike/, 'sword'],
];

export class Deeds {
  readonly #game: Game;
  readonly #shownAt = new Map<string, number>();
  /** What was done, newest last; for the tests and for who looks at `parleyDemo`. */
  readonly done: { npc: string; name: string; args: Readonly<Record<string, unknown>> }[] = [];

  constructor(game: Game) {
    this.#game = game;
  }

  /** A character takes up an intent. */
  take(index: number, { name, args }: Intent): void {
    const villager = this.#game.villagers.byIndex(index);
    if (!villager) return;
    this.done.push({ npc: villager.character.id, name, args });
    if (this.done.length > 100) this.done.shift();
    const { figure } = villager;
    if (name !== 'give' && this.#isRepeated(`${index} ${name} ${JSON.stringify(args)}`)) return;
    switch (name) {
      case 'say':
        this.#game.bubbles.say(villager.character.id, oneLine(args.text, 200));
        break;
      case 'emote':
        this.#emote(villager, oneLine(args.kind, 20));
        break;
      case 'give':
        this.#give(villager, oneLine(args.item, 40), Number(args.price ?? 0) || 0);
        break;
      case 'open_shop':
        this.#openShop(villager);
        break;
      case 'attack':
        figure.balloon('sword');
        this.#attack(villager, oneLine(args.target, 40));
        break;
      case 'go_to':
        break;
      default: {
        const sign = signs.find(([pattern]) => pattern.test(name))?.[1] ?? 'star';
        figure.balloon(sign, 3_000);
        figure.gesture('cheer', 1_200);
        this.#game.scene.effect('ring', figure.x, figure.y - 12);
        // Near by it is seen; a line is for whom the player talks with.
        this.#tell(villager, verbInWords(name), this.#game.panel.partner === villager.character.id);
      }
    }
  }

  #isRepeated(what: string): boolean {
    const now = performance.now();
    const before = this.#shownAt.get(what) ?? Number.NEGATIVE_INFINITY;
    if (this.#shownAt.size > 200) this.#shownAt.clear();
    this.#shownAt.set(what, now);
    return now - before < restMs;
  }

  #emote(villager: Villager, kind: string): void {
    const { figure } = villager;
    figure.balloon(isIcon(kind) ? kind : 'star');
    if (kind === 'cheer' || kind === 'wave' || kind === 'laugh') figure.gesture('cheer');
    if (kind === 'bow' || kind === 'nod') figure.gesture('bow');
    // A feeling is seen; it needs no line unless the two are talking.
    if (this.#game.panel.partner === villager.character.id)
      this.#tell(villager, feelings[kind] ?? kind, false);
  }

  /** The game's server has agreed and says what the player owns now; here the thing is seen to change hands. */
  #give(villager: Villager, item: string, price: number): void {
    const { player, scene } = this.#game;
    const { figure } = villager;
    figure.gesture('cheer', 600);
    figure.balloon('gift', 1_200);
    this.#tell(villager, `gives you: ${item}${price ? `, for ${price} gold` : ''}`, false);
    scene.fly(iconOfItem(item), figure, player.figure, () => player.figure.balloon(iconOfItem(item), 1_400));
  }

  #openShop(villager: Villager): void {
    villager.figure.balloon('shop', 3_000);
    this.#tell(villager, 'shows the wares', false);
    if (this.#game.panel.partner === villager.character.id)
      this.#game.panel.openShop(this.#game.belongings.gold);
  }

  #attack(villager: Villager, target: string): void {
    const { scene, player, villagers, belongings } = this.#game;
    const other = this.#game.villager(target)?.figure ?? player.figure;
    scene.effect('slash', other.x, other.y);
    other.balloon('startle', 1_200);
    const { index, character } = villager;
    for (const { index: i, figure } of villagers.all)
      if (i !== index && Math.hypot(figure.x - other.x, figure.y - other.y) < 5 * metre)
        villagers.controller.perceive(i, 'noise', { x: other.x, y: other.y, strength: 0.8 });
    if (other === player.figure) belongings.toast(`${character.name} strikes at you!`);
  }

  /** A line in the conversation, and a message when the player can see it. */
  #tell({ character, figure }: Villager, what: string, toast = true): void {
    const { panel, player, belongings } = this.#game;
    const line = `${character.name} ${what}.`;
    panel.conversation(character.id, character.name).deed(line);
    const far = Math.hypot(figure.x - player.figure.x, figure.y - player.figure.y) / metre;
    if (toast && far < sees) belongings.toast(line);
  }
}

/** `ring_bell` as somebody would say it: "rings bell". */
function verbInWords(name: string): string {
  const [verb = '', ...rest] = name.split('_');
  const end = /(s|sh|ch|x)$/.test(verb) ? 'es' : 's';
  return [`${verb}${end}`, ...(rest.length ? ['the'] : []), ...rest].join(' ');
}
