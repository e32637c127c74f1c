// The panel of a conversation: the words, the topics, the field to write in, and the wares of somebody who sells. It shows
// one character at a time and says what the player does; sending it is the game's.

import { find, button as makeButton } from '../page.ts';
import { Conversation } from './conversation.ts';

export interface PanelEvents {
  onTopic(id: string, topic: string, words: string): void;
  onWords(id: string, text: string): void;
  onStop(id: string): void;
  onLeave(): void;
}

export interface Partner {
  readonly id: string;
  readonly name: string;
  readonly topics: Readonly<Record<string, string>>;
}

/** Topics that are about what one can have, as they stand in a character's file. */
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
      conversation = new Conversation(name);
      this.#conversations.set(id, conversation);
    }
    return conversation;
  }

  /** Shows a character. `focus`: the keyboard goes into the field, and back to where it was when the panel closes. */
  open(partner: Partner, portrait: HTMLCanvasElement, focus: boolean): void {
    if (this.#partner?.id !== partner.id) {
      this.#partner = partner;
      find('talk-name').textContent = partner.name;
      find('shop').hidden = true;
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

  /** Shows what somebody sells: those of its topics that are about it. */
  openShop(): void {
    const partner = this.#partner;
    if (!partner) return;
    const topics = Object.entries(partner.topics).filter(([topic, words]) => trade.test(`${topic} ${words}`));
    find('shop-name').textContent = `${partner.name}'s wares`;
    const buy = makeButton('I want to buy…', () => {
      this.#words.value = 'I want to buy ';
      this.#words.focus();
      this.#refresh();
    });
    buy.className = 'choice';
    find('wares').replaceChildren(...topics.map(([topic, words]) => this.#topic(topic, words)), buy);
    find('shop').hidden = false;
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
