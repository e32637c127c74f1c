// The list of people: everybody in the village by name, to talk with without walking. It is the way in for keyboards and
// screen readers, and for those in a hurry.

import { button, find, make } from './page.ts';
import type { Villager } from './village/villagers.ts';

export class People {
  readonly #onPick: (villager: Villager, byKeyboard: boolean) => void;
  readonly #toggle = find('people-toggle');

  constructor(onPick: (villager: Villager, byKeyboard: boolean) => void) {
    this.#onPick = onPick;
    this.#toggle.addEventListener('click', () => this.#show(find('people').hidden));
    addEventListener('keydown', ({ key }) => {
      if (key !== 'Escape' || find('people').hidden) return;
      const inside = find('people').contains(document.activeElement);
      this.#show(false);
      if (inside) this.#toggle.focus();
    });
  }

  add(villager: Villager): void {
    const { id, name } = villager.character;
    const entry = button(name, () => {});
    entry.dataset.id = id;
    entry.append(make('span', 'where', villager.place));
    // A click that no pointer made comes from a keyboard or a screen reader: it goes on in the panel.
    entry.addEventListener('click', (event) => {
      this.#show(false);
      this.#onPick(villager, event.detail === 0 || matchMedia('(pointer: fine)').matches);
    });
    const item = make('li');
    item.append(entry);
    find('characters').append(item);
  }

  #show(shown: boolean): void {
    find('people').hidden = !shown;
    this.#toggle.setAttribute('aria-expanded', String(shown));
  }
}
