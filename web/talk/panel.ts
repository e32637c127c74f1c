// The panel of a conversation: the words, the topics, the field to write in, and the wares of somebody who sells. It shows
// one character at a time and says what the player does; sending it is the game's.

import { iconOfItem, thing } from '../art/icons.ts';
import { find, make, button as makeButton } from '../page.ts';
import type { Ware } from '../village/villagers.ts';
import { Conversation } from './conversation.ts';

export interface PanelEvents {
  onTopic(id: string, topic: string, words: string): void;
  onWords(id: string, text: string): void;
  onStop(id: string): void;
  onLeave(): void;
  /** The player wants to see the wares, which anybody may who stands before them. */
  onWares(): void;
}

export interface Partner {
  readonly id: string;
  readonly name: string;
  readonly topics: Readonly<Record<string, string>>;
  readonly wares?: readonly Ware[];
}

/** Topics that are about what one can have, for somebody whose wares nobody has listed. */
const trade =
  /\b(cost|price|buy|sell|eat|drink|room|food|wares|swords?|shields?|repairs?|bread|potion|fare|ticket)/i;

export class Panel {
  readonly #events: PanelEvents;
  readonly #conversations = new Map<string, Conversation>();
  readonly #element = find('talk');
  readonly #words = find<HTMLTextAreaElement>('words');
  #partner: Partner | undefined;
  #returnTo: HTMLElement | undefined;

  constructor(events: PanelEvents) {
    this.#events = events;
    // What was said may be longer than the panel; the arrow keys scroll it.
    find('conversation').tabIndex = 0;
    find('shop-toggle').addEventListener('click', () => {
      if (find('shop').hidden) events.onWares();
      else this.#showShop(false);
    });
    find('leave').addEventListener('click', () => events.onLeave());
    find('composer').addEventListener('submit', (event) => {
      event.preventDefault();
      this.#send();
    });
    this.#words.addEventListener('input', () => this.#refresh());
    this.#words.addEventListener('keydown', (event) => {
      // Enter says it, Shift+Enter makes a new line; not while an input method is composing.
      if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.#send();
    });
    find('stop').addEventListener('click', () => {
      if (this.#partner) events.onStop(this.#partner.id);
      this.#words.focus();
    });
  }

  get partner(): string | undefined {
    return this.#partner?.id;
  }

  conversation(id: string, name: string): Conversation {
    let conversation = this.#conversations.get(id);
    if (!conversation) {
      conversation = new Conversation(id, name);
      this.#conversations.set(id, conversation);
    }
    return conversation;
  }

  /** Shows a character. `focus`: the keyboard goes into the field, and back to where it was when the panel closes. */
  open(partner: Partner, portrait: HTMLCanvasElement, focus: boolean): void {
    if (this.#partner?.id !== partner.id) {
      this.#partner = partner;
      find('talk-name').textContent = partner.name;
      this.#showShop(false);
      find('shop-toggle').hidden = !partner.wares?.length;
      const picture = find<HTMLCanvasElement>('portrait').getContext('2d')!;
      picture.clearRect(0, 0, 14, 14);
      picture.drawImage(portrait, 2, 0, 14, 14, 0, 0, 14, 14);
      find('conversation').replaceChildren(this.conversation(partner.id, partner.name).element);
      find('topics').replaceChildren(
        ...Object.entries(partner.topics).map(([topic, words]) => this.#topic(topic, words)),
      );
      this.#words.placeholder = `Say something to ${partner.name}`;
    }
    const active = document.activeElement;
    if (this.#element.hidden && active instanceof HTMLElement && active !== document.body)
      this.#returnTo = active;
    this.#element.hidden = false;
    document.body.classList.add('talking');
    find('conversation').scrollTop = find('conversation').scrollHeight;
    if (focus) this.#words.focus();
    this.#refresh();
  }

  close(): void {
    if (!this.#partner) return;
    const hadFocus = this.#element.contains(document.activeElement);
    this.#partner = undefined;
    this.#element.hidden = true;
    document.body.classList.remove('talking');
    if (hadFocus)
      (this.#returnTo?.isConnected && this.#returnTo.offsetParent ? this.#returnTo : find('village')).focus();
    this.#returnTo = undefined;
  }

  /** Shows what somebody sells and for how much; `gold` is what the player has, where that is known. */
  openShop(gold?: number): void {
    const partner = this.#partner;
    if (!partner) return;
    const { name, topics, wares = [] } = partner;
    find('shop-name').textContent = `${name}'s wares`;
    const offers = wares.map((ware) => this.#ware(ware));
    if (offers.length === 0)
      for (const [topic, words] of Object.entries(topics))
        if (trade.test(`${topic} ${words}`)) offers.push(this.#topic(topic, words));
    find('wares').replaceChildren(...offers);
    this.#showShop(offers.length > 0);
    this.purse(gold);
    find('conversation').scrollTop = find('conversation').scrollHeight;
  }

  /** What the player has now: what is dearer is shown so. It may still be asked for; the answer is the character's. */
  purse(gold: number | undefined): void {
    for (const offer of find('wares').querySelectorAll<HTMLElement>('[data-price]'))
      offer.classList.toggle('dear', gold !== undefined && Number(offer.dataset.price) > gold);
  }

  doing(text: string): void {
    if (find('talk-doing').textContent !== text) find('talk-doing').textContent = text;
  }

  /** `speaking`: the character has not ended; `open`: words can be sent, now or when the connection is back. */
  state(speaking: boolean, open: boolean): void {
    find('stop').hidden = !speaking;
    this.#words.disabled = !open;
    for (const topic of this.#element.querySelectorAll<HTMLButtonElement>('.choices button'))
      topic.disabled = !open;
    this.#refresh();
  }

  limit(textChars: number): void {
    this.#words.maxLength = textChars;
  }

  #topic(topic: string, words: string): HTMLButtonElement {
    const element = makeButton(words, () => {
      if (this.#partner) this.#events.onTopic(this.#partner.id, topic, words);
    });
    element.className = 'choice';
    element.dataset.topic = topic;
    return element;
  }

  #showShop(shown: boolean): void {
    find('shop').hidden = !shown;
    find('shop-toggle').setAttribute('aria-expanded', String(shown));
  }

  #ware({ name, price }: Ware): HTMLButtonElement {
    const element = makeButton('', () => {
      if (this.#partner) this.#events.onWords(this.#partner.id, `I will buy ${withArticle(name)}.`);
    });
    element.className = 'choice ware';
    element.dataset.price = String(price);
    const picture = thing(iconOfItem(name)).canvas();
    picture.setAttribute('aria-hidden', 'true');
    element.append(picture, make('span', '', name), make('span', 'price', `${price} gold`));
    return element;
  }

  #send(): void {
    const text = this.#words.value.trim();
    if (!this.#partner || text === '' || this.#words.disabled) return;
    this.#words.value = '';
    this.#refresh();
    this.#events.onWords(this.#partner.id, text);
  }

  #refresh(): void {
    find<HTMLButtonElement>('send').disabled = this.#words.disabled || this.#words.value.trim() === '';
  }
}

const withArticle = (name: string) => `${/^[aeiou]/i.test(name) ? 'an' : 'a'} ${name}`;
