// What was said, kept in this tab over a reload: the characters remember the player, so the panel should not have
// forgotten. A few lines of each conversation, as text; nothing of it leaves the browser, and closing the tab ends it.

import { player } from '../session.ts';

export interface Line {
  readonly of: 'mine' | 'theirs' | 'deed';
  readonly text: string;
}

const most = 24;
const longest = 2_000;

const keyOf = (npc: string) => `parley.talk.${player()}.${npc}`;

/** The last lines with a character, oldest first; none where the browser keeps nothing. */
export function recall(npc: string): Line[] {
  try {
    const lines: unknown = JSON.parse(sessionStorage.getItem(keyOf(npc)) ?? '[]');
    return Array.isArray(lines) ? lines.filter(isLine).slice(-most) : [];
  } catch {
    return [];
  }
}

export function remember(npc: string, line: Line): void {
  try {
    const lines = [...recall(npc), { of: line.of, text: line.text.slice(0, longest) }].slice(-most);
    sessionStorage.setItem(keyOf(npc), JSON.stringify(lines));
  } catch {
    // A browser that keeps nothing forgets; the village goes on.
  }
}

function isLine(value: unknown): value is Line {
  if (typeof value !== 'object' || value === null) return false;
  const { of, text } = value as Partial<Line>;
  return (of === 'mine' || of === 'theirs' || of === 'deed') && typeof text === 'string';
}
