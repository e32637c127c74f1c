// What the player has: gold, things in the bag, a quest; and short messages about it. All of it is the game server's word,
// as it pushes it (examples/village/server.ts); here it is only shown.

import { iconOfItem, thing } from './art/icons.ts';
import { find, make, oneLine } from './page.ts';

const toastMs = 4_500;
const mostToasts = 3;
const mostThings = 24;

export class Belongings {
  #things: readonly string[] = [];
  #gold: number | undefined;

  /** Undefined as long as no server said it. */
  get gold(): number | undefined {
    return this.#gold;
  }

  get things(): readonly string[] {
    return this.#things;
  }

  /** What the game's server says. `gold`, `items`, `quest` and `notice` are understood, anything else is shown as it is. */
  pushed(data: Readonly<Record<string, unknown>>): void {
    const { gold, items, quest, notice, ...rest } = data;
    if (typeof notice === 'string') this.toast(oneLine(notice));
    if (typeof gold === 'number' && Number.isFinite(gold)) this.#show(Math.round(gold), notice === undefined);
    if (Array.isArray(items)) this.#carry(items.slice(0, mostThings).map((item) => oneLine(item, 40)));
    if (quest !== undefined) this.#quest(oneLine(quest));
    for (const [key, value] of Object.entries(rest).slice(0, 4))
      this.toast(
        `${oneLine(key, 40)}: ${oneLine(typeof value === 'object' ? JSON.stringify(value) : value)}`,
      );
  }

  /** A message that goes by itself. One that is there already is not said twice. */
  toast(text: string): void {
    const toasts = find('toasts');
    if ([...toasts.children].some(({ textContent }) => textContent === text)) return;
    const toast = make('p', 'toast', text);
    toasts.append(toast);
    while (toasts.childElementCount > mostToasts) toasts.firstElementChild!.remove();
    setTimeout(() => toast.remove(), toastMs);
  }

  #show(gold: number, say: boolean): void {
    const before = this.#gold;
    this.#gold = gold;
    find('coins').textContent = String(gold);
    find('purse').hidden = false;
    if (say && before !== undefined && before !== gold) this.toast(`Your purse: ${gold} gold`);
  }

  #carry(things: readonly string[]): void {
    this.#things = things;
    find('things').replaceChildren(
      ...things.map((item) => {
        const entry = make('li');
        const picture = thing(iconOfItem(item)).canvas();
        picture.setAttribute('aria-hidden', 'true');
        entry.append(picture, make('span', '', item));
        return entry;
      }),
    );
    find('bag').hidden = things.length === 0;
  }

  #quest(text: string): void {
    const quest = find('quest');
    quest.textContent = text && `Quest: ${text}`;
    quest.hidden = text === '';
    if (text) this.toast(`Quest: ${text}`);
  }
}
