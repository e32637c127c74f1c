// All checks of the authored exchanges in one go: form, acts, facts, sums, style, leaks, copies, held-out questions and
// counts. Gives what is wrong as lines; prints nothing.

import { type Characters, loadCharacters } from '../../npcs/characters.ts';
import { type Kind, kinds } from '../../npcs/exchange.ts';
import { type Authored, readExchanges } from '../../npcs/read-exchanges.ts';
import { drills } from '../drills.ts';
import { faultsOfActs } from './acts.ts';
import { faultsOfCopies } from './copies.ts';
import { faultsOfFacts, type World, worldOf } from './facts.ts';
import { faultsOfHeldOut, readHeldOut } from './held-out.ts';
import { readLore } from './lore.ts';
import { faultsOfStyle, leaks } from './style.ts';
import { checkSum } from './sums.ts';

/** A character with fewer has not been written yet. */
export const fewestExchanges = 80;

export interface Report {
  /** Every fault with its file, line, id and place. */
  readonly faults: readonly string[];
  /** How many exchanges there are, by character and kind. */
  readonly counts: ReadonlyMap<string, Readonly<Record<Kind, number>>>;
  /** Answers about gold whose arithmetic could be held against the prices. */
  readonly sums: number;
  /** Held-out questions that the exchanges were compared with. */
  readonly heldOut: number;
}

export interface CheckOptions {
  /** The folder of the characters. */
  readonly npcs: string;
  /** The folder of the held-out questions. */
  readonly questions: string;
  /** Only these characters; copies among the others are not looked for. All, and enough of each, where it is empty. */
  readonly only?: readonly string[];
}

/** Rejects with CharacterError, or with the faults of the lore, when there is nothing to hold the exchanges against. */
export async function checkExchanges({ npcs, questions, only = [] }: CheckOptions): Promise<Report> {
  const set = await loadCharacters(npcs);
  const world = worldOf(set.characters, set.game, await readLore(npcs, set.characters));
  // Copies may be of somebody who is not asked about.
  const { all, faults: unread } = await readExchanges(npcs, set.characters);
  const isMeant = ({ npc }: { npc: string }) => only.length === 0 || only.includes(npc);
  const meant = all.filter(isMeant);
  const files = only.map((id) => `/${id}.jsonl:`);
  const heldOut = await readHeldOut(questions);
  const found = meant.map((authored) => check(authored, set, world));
  const strangers = only.filter((id) => !set.characters.has(id)).map((id) => `there is no character ${id}`);
  return {
    faults: [
      ...strangers,
      ...unread.filter((fault) => only.length === 0 || files.some((file) => fault.includes(file))),
      ...found.flatMap(({ faults }) => faults),
      ...faultsOfCopies(all, set.characters).filter(
        (fault) =>
          only.length === 0 ||
          only.some((id) => fault.includes(`/${id}.jsonl:`) || fault.startsWith(`${id}: `)),
      ),
      ...heldOut.faults,
      ...faultsOfHeldOut([...meant, ...drills(set.characters).filter(isMeant)], heldOut),
      ...(only.length === 0 ? tooFew(all, set) : []),
    ],
    counts: countsOf(meant),
    sums: found.reduce((sum, { sums }) => sum + sums, 0),
    heldOut: heldOut.questions.length,
  };
}

function check(
  authored: Authored,
  { characters, game }: Characters,
  world: World,
): { faults: string[]; sums: number } {
  const { npc, exchange, rows, at } = authored;
  const faults = new Set(faultsOfActs(authored, characters.get(npc)!, game));
  for (const name of Object.keys(exchange.state ?? {}))
    if (!game.state.has(name))
      faults.add(`${at}: state: the game tells no ${name}; it tells ${[...game.state.keys()].join(', ')}`);
  let sums = 0;
  for (const row of rows) {
    for (const [i, turn] of row.turns.entries()) {
      const sum = checkSum(npc, row, i, world.lore);
      if (sum.isChecked) sums++;
      const place = row.turns.length > 1 ? `${at}: turn ${i + 1}` : at;
      for (const fault of [
        ...faultsOfStyle(turn, exchange.kind, world),
        ...leaks(npc, turn, world),
        ...faultsOfFacts(npc, row, i, world),
        ...(sum.fault ? [sum.fault] : []),
      ])
        faults.add(`${place}: ${fault}`);
    }
  }
  return { faults: [...faults], sums };
}

function countsOf(all: readonly Authored[]): Map<string, Record<Kind, number>> {
  const counts = new Map<string, Record<Kind, number>>();
  for (const { npc, exchange } of all) {
    const own =
      counts.get(npc) ?? (Object.fromEntries(kinds.map((kind) => [kind, 0])) as Record<Kind, number>);
    own[exchange.kind] += 1;
    counts.set(npc, own);
  }
  return counts;
}

function tooFew(all: readonly Authored[], { characters }: Characters): string[] {
  return [...characters.keys()].flatMap((id) => {
    const count = all.filter(({ npc }) => npc === id).length;
    return count < fewestExchanges
      ? [`exchanges/${id}.jsonl: ${id} has ${count} exchanges; ${fewestExchanges} at least are needed`]
      : [];
  });
}
