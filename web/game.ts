// The game: the player among the villagers. Turns keys and taps into walking and talking, words into streams, streams into
// bubbles and panel, and acts into deeds. Everything that waits for the network is a callback; `frame` never does.

import { clientMind, type Mind, type VerbSpecs } from '../client/controller/index.ts';
import type { Stream } from '../client/index.ts';
import type { PlayerClient } from '../client/thread/index.ts';
import { Belongings } from './belongings.ts';
import { Deeds } from './deeds.ts';
import { exposeFacts } from './facts.ts';
import { Figures } from './figures.ts';
import { find } from './page.ts';
import { People } from './people.ts';
import { Bubbles } from './talk/bubbles.ts';
import { Panel } from './talk/panel.ts';
import { tall } from './village/figure.ts';
import { metre, start } from './village/layout.ts';
import { hero } from './village/looks.ts';
import { Player } from './village/player.ts';
import type { VillageScene } from './village/scene.ts';
import { type Character, type Villager, Villagers } from './village/villagers.ts';

/** Near enough to talk, and so far that one has left, in metres. */
const talksWithin = 2.4;
const leavesBeyond = 7;
const namesWithin = 6;
const noiseEveryMs = 900;

export class Game {
  readonly scene: VillageScene;
  readonly villagers: Villagers;
  readonly player: Player;
  readonly bubbles = new Bubbles();
  readonly belongings = new Belongings();
  readonly panel: Panel;
  readonly figures: Figures;
  client!: PlayerClient;
  /** Whether it lives in a thread of its own. */
  readonly threaded: boolean;
  /** Answers that have not ended, by character. */
  readonly speaking = new Map<string, Stream>();
  readonly deeds: Deeds;
  #near: Villager | undefined;
  /** Whether the player has been near the one it talks with: then walking away ends the talk. */
  #wasNear = false;
  #noiseAt = 0;
  #mind: Mind | undefined;
  #lastSeen: { npc: string } | undefined;

  constructor(
    scene: VillageScene,
    characters: readonly Character[],
    verbs: VerbSpecs | undefined,
    threaded: boolean,
  ) {
    this.scene = scene;
    this.threaded = threaded;
    // The client may be another one after the session was taken elsewhere, the controller stays.
    const mind: Mind = {
      ask: (...question) => this.#mind?.ask(...question) ?? false,
      cancel: (...question) => this.#mind?.cancel?.(...question),
    };
    this.villagers = new Villagers(scene, mind, verbs);
    this.player = new Player(scene.figure('hero', start.x, start.y, hero), scene.ground);
    this.panel = new Panel({
      onTopic: (id, topic, words) => this.#say(id, words, { topic }),
      onWords: (id, text) => this.#say(id, text, { text }),
      onStop: (id) => this.speaking.get(id)?.cancel(),
      onLeave: () => this.leave(),
      onWares: () => this.panel.openShop(this.belongings.gold),
    });
    this.deeds = new Deeds(this);
    this.villagers.controller.onIntent = (index, intent) => this.deeds.take(index, intent);
    const people = new People((villager, byKeyboard) => this.talkTo(villager, byKeyboard));
    for (const character of characters) people.add(this.villagers.settle(character));
    if (characters.length === 0) this.belongings.toast('This game has no characters.');
    this.figures = new Figures(() => ({
      state: this.client.state,
      threaded: this.threaded,
      ...this.client.stats,
      ...this.villagers.controller.stats,
    }));
    this.#listen();
    exposeFacts(this);
  }

  /** From now on this client speaks for the player. */
  useClient(client: PlayerClient): void {
    this.client = client;
    this.#mind = clientMind(client);
    client.on('welcome', ({ limits }) => {
      this.panel.limit(limits.textChars);
      // The game's server answers with what the player owns.
      client.observe('entered', { place: 'oakfell' });
      if (this.#lastSeen) client.observe('near', this.#lastSeen);
      this.#refreshPanel();
    });
    client.on('closed', () => this.#refreshPanel());
    client.on('push', ({ data }) => {
      this.belongings.pushed(data);
      this.panel.purse(this.belongings.gold);
      const partner = this.panel.partner && this.villager(this.panel.partner);
      // What the game's server has to say about a deal belongs where the deal was struck.
      if (partner && typeof data.notice === 'string')
        this.panel.conversation(partner.character.id, partner.character.name).deed(data.notice.slice(0, 200));
    });
    client.on('speech', (stream) => this.#hear(stream));
  }

  // ---- talking ----

  /** Opens the panel with somebody, and walks there. `focus`: the keyboard goes into the field. */
  talkTo(villager: Villager, focus: boolean): void {
    const { character, index } = villager;
    const before = this.panel.partner;
    if (before && before !== character.id) this.#letGo(before);
    this.villagers.controller.talk(index, true);
    this.panel.open(
      character,
      this.scene.textures.get(`person-${character.id}`).getSourceImage() as HTMLCanvasElement,
      focus,
    );
    this.#wasNear = false;
    // Also from near by: the player may be on the way to somebody else.
    this.#approach(villager);
    this.#refreshPanel();
  }

  /** Ends the talk. What is being said goes on in the bubble. */
  leave(): void {
    const id = this.panel.partner;
    this.panel.close();
    if (id) this.#letGo(id);
  }

  /** A loud noise where the player stands. */
  makeNoise(): void {
    const now = performance.now();
    if (now - this.#noiseAt < noiseEveryMs) return;
    this.#noiseAt = now;
    const { x, y } = this.player.figure;
    this.player.figure.gesture('cheer', 500);
    this.scene.effect('ring', x, y);
    const heard = this.villagers.startle(x, y);
    find('announcer').textContent = heard
      ? `You make a noise. ${heard} heard it.`
      : 'You make a noise. Nobody heard it.';
  }

  /** Who is near enough to talk. */
  get near(): Villager | undefined {
    return this.#near;
  }

  villager(id: string): Villager | undefined {
    return this.villagers.all.find(({ character }) => character.id === id);
  }

  #say(id: string, words: string, said: { text: string } | { topic: string }): void {
    const villager = this.villager(id);
    if (!villager) return;
    const conversation = this.panel.conversation(id, villager.character.name);
    conversation.mine(words);
    const g = this.villagers.controller.talk(villager.index, true);
    const stream = this.client.say({ npc: id, g, ...said });
    conversation.theirs(stream);
    this.#follow(villager, stream);
  }

  /** Shows an answer over the head, and does what comes with it. */
  #follow(villager: Villager, stream: Stream): void {
    const { character, index } = villager;
    const { id, name } = character;
    this.speaking.set(id, stream);
    this.bubbles.begin(id);
    this.#refreshPanel();
    const isNewest = () => this.speaking.get(id) === stream;
    stream.on('text', () => {
      if (isNewest()) this.bubbles.show(id, stream.text);
    });
    stream.on('act', ({ g: _, ...intent }) => {
      // The newest answer is always in date, whatever the character noticed meanwhile.
      if (isNewest()) this.villagers.controller.offer(index, intent);
    });
    const over = () => {
      if (!isNewest()) return;
      this.speaking.delete(id);
      this.bubbles.end(id, stream.text);
      if (this.panel.partner !== id) this.villagers.controller.talk(index, false);
      if (stream.text) find('announcer').textContent = `${name}: ${stream.text}`;
      this.#refreshPanel();
    };
    stream.on('end', ({ tier, source }) => {
      const { asked, first } = stream.times;
      this.figures.answer(tier, source, first === undefined ? undefined : first - asked);
      over();
    });
    stream.on('error', over);
  }

  /** Somebody speaks by itself, because the game's backend asked for it. */
  #hear(stream: Stream): void {
    const villager = this.villager(stream.npc);
    if (!villager) return;
    this.panel.conversation(stream.npc, villager.character.name).theirs(stream);
    this.#follow(villager, stream);
  }

  #letGo(id: string): void {
    const villager = this.villager(id);
    if (villager && !this.speaking.has(id)) this.villagers.controller.talk(villager.index, false);
  }

  #refreshPanel(): void {
    const { partner } = this.panel;
    if (partner) this.panel.state(this.speaking.has(partner), this.client.state !== 'closed');
  }

  /** Walks up to somebody, who may be walking too. */
  #approach({ figure }: Villager): void {
    this.player.follow(figure, talksWithin * 0.6 * metre, () => {
      const { figure: me } = this.player;
      me.face(Math.atan2(figure.y - me.y, figure.x - me.x));
    });
  }

  // ---- keys and taps ----

  #listen(): void {
    const village = find('village');
    addEventListener('keydown', (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
      if (event.key === 'Escape') {
        this.leave();
        return;
      }
      // Keys belong to fields and buttons that have the focus; the rest of the page plays.
      const on = event.target as HTMLElement;
      if (on.closest('textarea, input, dialog')) return;
      if (event.code.startsWith('Arrow') && on !== village && on !== document.body) return;
      if (this.player.press(event.code)) event.preventDefault();
      else if (!event.repeat) this.#key(event);
    });
    addEventListener('keyup', (event) => this.player.release(event.code));
    addEventListener('blur', () => this.player.releaseAll());
    village.addEventListener('focusout', () => this.player.releaseAll());
    village.addEventListener('pointerdown', (event) => this.#tap(event));
    const hint = find('hint');
    hint.addEventListener('click', () => {
      if (this.#near) this.talkTo(this.#near, false);
    });
    find('noise').addEventListener('click', () => this.makeNoise());
    find('plug').addEventListener('click', () => this.client.drop());
  }

  #key(event: KeyboardEvent): void {
    if (event.code === 'KeyE' && this.#near) {
      // The letter must not land in the field that gets the focus.
      event.preventDefault();
      this.talkTo(this.#near, true);
    } else if (event.code === 'KeyN') this.makeNoise();
    else if (event.code === 'KeyO') this.figures.toggle();
  }

  #tap(event: PointerEvent): void {
    if (event.button !== 0) return;
    const box = find('village').getBoundingClientRect();
    const { x, y } = this.scene.toVillage(event.clientX - box.left, event.clientY - box.top);
    // A figure is tapped anywhere on its body.
    const tapped = this.villagers.near(x, y + tall / 2 - 2, 15);
    if (tapped) {
      this.talkTo(tapped, event.pointerType === 'mouse');
      if (event.pointerType === 'mouse') event.preventDefault();
      return;
    }
    this.scene.mark(x, y);
    this.player.follow({ x, y }, 2, () => {});
  }

  // ---- the loop ----

  frame(nowMs: number, dtMs: number, frameMs: number): void {
    const { figure } = this.player;
    this.player.update(dtMs);
    const used = this.villagers.update(nowMs, dtMs, figure, {
      hour: this.scene.ambience.hour,
      // The one model of this machine is the player's while somebody answers.
      mayThink: this.speaking.size === 0,
    });
    const room = freeRoom();
    this.scene.follow(figure.x, figure.y, dtMs, room.coveredRight, room.coveredBelow);
    this.#meet();
    this.bubbles.update(dtMs, (id) => this.#headOf(id), room);
    this.figures.frame(nowMs, frameMs, used);
  }

  #headOf(id: string): { x: number; y: number } | undefined {
    const villager = this.villager(id);
    return villager && this.scene.toScreen(villager.figure.x, villager.figure.y - tall);
  }

  /** Who is near: the names that are seen, the hint to talk, and whether the player has walked away. */
  #meet(): void {
    const { figure: me } = this.player;
    const partner = this.panel.partner;
    for (const { character, figure } of this.villagers.all) {
      const near = Math.hypot(figure.x - me.x, figure.y - me.y) < namesWithin * metre;
      this.bubbles.name(
        character.id,
        character.name,
        near && this.bubbles.textOf(character.id) === undefined,
      );
    }
    this.#near = this.villagers.near(me.x, me.y, talksWithin * metre);
    this.#observe();
    const hint = find('hint');
    const shown = this.#near !== undefined && this.#near.character.id !== partner;
    if (hint.hidden === shown) hint.hidden = !shown;
    if (shown && this.#near) {
      const text = `Talk to ${this.#near.character.name}`;
      if (hint.textContent !== text) hint.textContent = text;
      const { figure } = this.#near;
      // Below both, so that it hides neither.
      const { x, y } = this.scene.toScreen(figure.x, Math.max(figure.y, me.y) + 6);
      hint.style.transform = `translate(${Math.round(x)}px, ${Math.round(y)}px) translate(-50%, 0)`;
    }
    if (!partner) return;
    const villager = this.villager(partner)!;
    const far = Math.hypot(villager.figure.x - me.x, villager.figure.y - me.y) / metre;
    if (far < talksWithin) this.#wasNear = true;
    this.panel.doing(doing[this.villagers.policyOf(villager)] ?? '');
    if (this.#wasNear && far > leavesBeyond) this.leave();
  }

  /** Tells Parley whom the player came near to, and left: that character is kept ready to answer. */
  #observe(): void {
    const npc = this.#near?.character.id;
    if (npc === this.#lastSeen?.npc) return;
    if (this.#lastSeen) this.client.observe('left', this.#lastSeen);
    this.#lastSeen = npc === undefined ? undefined : { npc };
    if (npc !== undefined) this.client.observe('near', { npc });
  }
}

const doing: Readonly<Record<string, string>> = {
  idle: 'at ease',
  look: 'looks at you',
  walk: 'takes a walk',
  flee: 'runs away',
  take_cover: 'hides',
  follow: 'follows you',
  chatter: 'chats with a neighbour',
  go: 'is on the way',
  approach: 'comes closer',
};

let covered = { coveredRight: 0, coveredBelow: 0, left: 0, top: 0, right: 0, bottom: 0 };

/** The part of the page in which the village is seen beside the panel. Measured when something changes, not each frame. */
function freeRoom(): typeof covered {
  return covered;
}

function measureRoom(): void {
  const { clientWidth: width, clientHeight: height } = document.documentElement;
  const panel = find('talk').getBoundingClientRect();
  const beside = panel.width > 0 && panel.width < width * 0.7;
  const below = panel.width > 0 && !beside;
  const right = beside ? panel.left : width;
  const bottom = below ? panel.top : height;
  const figures = find('figures').getBoundingClientRect();
  const across = figures.width > width * 0.7;
  const top = (across ? figures : find('bar').getBoundingClientRect()).bottom;
  covered = {
    coveredRight: width - right,
    coveredBelow: height - bottom,
    left: across ? 0 : figures.right,
    top,
    right,
    bottom,
  };
}

const rooms = new ResizeObserver(measureRoom);
for (const id of ['talk', 'bar', 'figures', 'village']) rooms.observe(find(id));
