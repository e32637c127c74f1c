// Judges answers for the rewards of training: reads one JSON object a line (what was asked, what was answered) and writes
// one line for each, with what a program can know of the answer. The same checks that authored exchanges have to pass, so
// that rewards and authors cannot drift apart. Gives no points: parley_training/rewards.py does.

import { createInterface } from 'node:readline';
import { loadCharacters } from '../npcs/characters.ts';
import { type Kind, kinds, type Row, type SpokenTurn } from '../npcs/exchange.ts';
import type { Game } from '../npcs/verbs.ts';
import { readConfig } from '../runtime/config.ts';
import { agree, isPromise, sentences } from '../tiers/agreement.ts';
import { faultsOfFacts, type World, worldOf } from './authoring/facts.ts';
import { readLore } from './authoring/lore.ts';
import { faultsOfStyle, leaks } from './authoring/style.ts';
import { amountsOf, checkSum } from './authoring/sums.ts';
import { clauses, keywords } from './authoring/words.ts';

/** An answer of a character and what it answers, as rendered examples hold it: facts and context beside the words. */
interface Spoken {
  readonly npc: string;
  readonly kind: string;
  readonly turns: readonly { readonly player: string; readonly npc: string }[];
  readonly player: string;
  readonly answer: string;
}

interface Verdict {
  /** What is wrong with the form: length, letters, words that nobody there knows. */
  readonly style: readonly string[];
  /** What contradicts the facts, the lore or the sums, or gives away a secret. */
  readonly facts: readonly string[];
  /** Acts that the words promise: verb and arguments. */
  readonly due: readonly string[];
  readonly amounts: readonly number[];
  /** Amounts that the player or the game's state named. */
  readonly heard: readonly number[];
  /** Whether one of its sentences denies something. */
  readonly denies: boolean;
  /** Stems of the words that are of the character's facts. */
  readonly told: readonly string[];
}

const contextMark = /^\(As the traveller tells it: (.*?)\) /s;

function judge(spoken: Spoken, world: World): Verdict {
  const character = world.characters.get(spoken.npc);
  if (!character) throw new Error(`there is no character ${JSON.stringify(spoken.npc)}`);
  if (!kinds.includes(spoken.kind as Kind))
    throw new Error(`there is no kind ${JSON.stringify(spoken.kind)}`);
  const { npc, answer } = spoken;
  const asked = plainWords(spoken.player, world.game);
  const row: Row = {
    row: 0,
    turns: [
      ...spoken.turns.map((turn) => turnOf(plainWords(turn.player, world.game).words, turn.npc)),
      turnOf(asked.words, answer),
    ],
    state: asked.state,
    context: asked.context,
    does: [],
  };
  const at = row.turns.length - 1;
  const turn = row.turns[at]!;
  const sum = checkSum(npc, row, at, world.lore);
  const known = keywords(character.facts.map(({ fact }) => fact).join('\n'));
  const { due } = agree(character, world.game, { words: asked.words, speech: answer });
  return {
    style: faultsOfStyle(turn, spoken.kind as Kind, world),
    facts: [
      ...faultsOfFacts(npc, row, at, world),
      ...leaks(npc, turn, world),
      ...(sum.fault ? [sum.fault] : []),
    ],
    due: due.map(({ verb, args }) => [verb, ...Object.values(args).flat()].join(' ')).sort(),
    amounts: amountsIn(answer),
    heard: [
      ...new Set([
        ...row.turns.flatMap(({ wordings }) => amountsIn(wordings[0]!)),
        ...numbersOf(asked.state),
      ]),
    ],
    denies: sentences(answer).some(
      (sentence) => !sentence.includes('?') && !isPromise(sentence, world.game.denials),
    ),
    told: [...keywords(answer)].filter((word) => known.has(word)).sort(),
  };
}

const turnOf = (words: string, answer: string): SpokenTurn => ({ wordings: [words], answer, does: [] });

const amountsIn = (text: string) => [...new Set(clauses(text).flatMap(amountsOf))];

const numbersOf = (state: Row['state']) =>
  Object.values(state).filter((value): value is number => typeof value === 'number');

/** The player's words without what the prompt tells beside them, and what that was. */
function plainWords(
  player: string,
  game: Game,
): { words: string; context: string | undefined; state: Row['state'] } {
  const [said = '', ...beside] = player.split('\n\n');
  const context = contextMark.exec(said)?.[1];
  const state: Record<string, string | number | boolean> = {};
  for (const [name, { says }] of game.state) {
    const [before = '', after] = says.split('{value}');
    const facts = beside.join('\n');
    const at = facts.indexOf(before);
    if (at < 0) continue;
    if (after === undefined) state[name] = true;
    else {
      const rest = facts.slice(at + before.length);
      const value = rest.slice(0, Math.max(0, rest.indexOf(after)));
      if (value !== '') state[name] = /^\d+$/.test(value) ? Number(value) : value;
    }
  }
  return { words: said.replace(contextMark, ''), context, state };
}

async function main(): Promise<void> {
  const { npcs } = readConfig();
  const { characters, game } = await loadCharacters(npcs);
  const world = worldOf(characters, game, await readLore(npcs, characters));
  for await (const line of createInterface({ input: process.stdin })) {
    let verdict: Verdict | { error: string };
    try {
      verdict = judge(JSON.parse(line) as Spoken, world);
    } catch (error) {
      verdict = { error: (error as Error).message };
    }
    process.stdout.write(`${JSON.stringify(verdict)}\n`);
  }
}

main().catch((error: Error) => {
  process.stderr.write(`judge: ${error.message}\n`);
  process.exitCode = 1;
});
