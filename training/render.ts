// Renders the authored exchanges into what training reads: for every turn the prompt that a worker would send, history
// and facts included, and the answer. `node --import tsx training/render.ts --out FILE [--as-authored] [ID...]`. A small
// model, the default, is taught to say what its prompt tells (taught.ts), and sums are drilled (drills.ts). Uses the worker's
// own code for every prompt; checks no content (npm run author -- check).

import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { Character, Characters } from '../npcs/characters.ts';
import type { AuthoredAct, Kind, Row } from '../npcs/exchange.ts';
import type { Authored } from '../npcs/read-exchanges.ts';
import { type Config, readConfig } from '../runtime/config.ts';
import { speechPrompt } from '../tiers/answer.ts';
import { type Choice, choicesOf, isSettled, nothing, questionText } from '../tiers/decide.ts';
import type { Prompt, Turn } from '../tiers/engine.ts';
import { buildAfterthought, buildThought, factsOf, textsToRecall } from '../tiers/prompt.ts';
import { stateLines } from '../tiers/recall.ts';
import { type Recall, Recollection } from '../tiers/recollection/recollection.ts';
import { readAuthored } from './authored.ts';
import { isWay } from './authoring/acts.ts';
import { drills } from './drills.ts';
import { type Teach, teacher } from './taught.ts';

/** One prompt and its answer. `form`: what is asked for; acts and thoughts are answered in JSON. */
export interface Example {
  /** The exchange and a number that counts within it. */
  readonly id: string;
  readonly npc: string;
  readonly kind: Kind;
  readonly form: 'speech' | 'act' | 'think';
  readonly system: string;
  readonly examples: readonly Turn[];
  readonly turns: readonly Turn[];
  readonly player: string;
  readonly answer: string;
}

export interface RenderOptions extends Pick<Characters, 'characters' | 'game'> {
  /** Length of the worker's context: what does not fit into it is left out of the history. */
  readonly contextTokens: number;
  /** How a character recalls at these texts; left out, the words themselves bring up facts. */
  readonly recalls?: ReadonlyMap<string, Recall>;
  /** What is to be answered where it is not what was written; undefined leaves the example out. */
  readonly teach?: Teach;
}

/**
 * The examples of these exchanges, in their order: for each row and wording the speeches turn by turn, each followed by the
 * act that a worker would ask the model about. Where it would not ask, there is none. Throws an Error for acts that do
 * not go with their words; the check of the exchanges names them all.
 */
export function render(all: readonly Authored[], options: RenderOptions): readonly Example[] {
  return all.flatMap((authored) => {
    const character = options.characters.get(authored.npc)!;
    const own = authored.rows.flatMap((row) =>
      authored.exchange.kind === 'think'
        ? thought(row, character, options)
        : conversations(row).flatMap((conversation) => spoken(conversation, row, authored, options)),
    );
    const { id, kind } = authored.exchange;
    // Rows of a table that differ in what this wording does not tell are one example.
    const distinct = new Map(own.map((asked) => [JSON.stringify(asked), asked]));
    return [...distinct.values()].map(({ form, prompt, answer }, i) => {
      const { npc, system, examples, turns, player } = prompt;
      return { id: `${id}/${i}`, npc, kind, form, system, examples, turns, player, answer };
    });
  });
}

interface Asked {
  readonly form: Example['form'];
  readonly prompt: Prompt;
  readonly answer: string;
}

interface Said extends Turn {
  readonly does: readonly AuthoredAct[];
  /** A turn that an earlier conversation of the same row ended with is history here, and no example once more. */
  readonly isNew: boolean;
}

/** A row as often as its turns have wordings: the first conversation takes the first of each, and so on. */
function conversations({ turns }: Row): readonly (readonly Said[])[] {
  const count = Math.max(...turns.map(({ wordings }) => wordings.length));
  return Array.from({ length: count }, (_, i) =>
    turns.map(({ wordings, answer, does }) => ({
      player: wordings[i % wordings.length]!,
      npc: answer,
      does,
      isNew: i < wordings.length,
    })),
  );
}

function spoken(
  conversation: readonly Said[],
  { state, context }: Row,
  { npc, exchange: { kind } }: Authored,
  { characters, game, contextTokens, recalls, teach = ({ answer }) => answer }: RenderOptions,
): Asked[] {
  const character = characters.get(npc)!;
  return conversation.flatMap(({ player: words, npc: authored, does, isNew }, i) => {
    if (!isNew) return [];
    const history = conversation.slice(0, i);
    const told = stateLines(state, game.state, words);
    const parts = {
      character,
      history,
      words,
      context,
      state: told,
      recall: recalls?.get(npc),
      contextTokens,
    };
    const answer = teach({ npc, kind, answer: authored, does, ...factsOf(parts) });
    if (answer === undefined) return [];
    const prompt = speechPrompt(parts, character.sampling.maxTokens);
    const choices = choicesOf({ character, words, speech: answer, done: [] }, game);
    const acts = asked(choices, does, character).map(({ question, answer: json }) => ({
      form: 'act' as const,
      prompt: buildAfterthought(prompt, answer, question),
      answer: json,
    }));
    return [{ form: 'speech' as const, prompt, answer }, ...acts];
  });
}

function thought({ context = '', state, does }: Row, character: Character, { game }: RenderOptions): Asked[] {
  const told = stateLines(state, game.state, context);
  const choices = choicesOf({ character, words: context, done: [] }, game);
  return asked(choices, does, character).map(({ question, answer }) => ({
    form: 'think',
    prompt: buildThought({ character, context, state: told, question }),
    answer,
  }));
}

/** What the model is asked about these choices, and the answer that makes the authored acts of it. */
function asked(
  choices: readonly Choice[],
  does: readonly AuthoredAct[],
  character: Character,
): { question: string; answer: string }[] {
  return choices
    .filter((choice) => !isSettled(choice))
    .map((choice) => ({ question: questionText(character.name, choice), answer: answerTo(choice, does) }));
}

/** Compact JSON, as the engine's grammar makes it. */
function answerTo({ candidates, isFree }: Choice, does: readonly AuthoredAct[]): string {
  for (const act of does) {
    const way = candidates.find((candidate) => isWay(act, candidate));
    if (!way) continue;
    const open = Object.keys(way.open).map((key) => [key, act.args[key]]);
    return JSON.stringify({ do: way.label, ...Object.fromEntries(open) });
  }
  if (!isFree)
    throw new Error(
      `no act of the exchange is one of ${candidates.map(({ label }) => label).join(', ')}; see npm run author -- check`,
    );
  return JSON.stringify({ do: nothing });
}

/** The examples as a file: one JSON object a line. */
export function linesOf(examples: readonly Example[]): string {
  return examples.map((example) => `${JSON.stringify(example)}\n`).join('');
}

/** How each character recalls at all that is said in these exchanges. */
export async function recallsOf(
  all: readonly Authored[],
  recollection: Recollection,
  characters: ReadonlyMap<string, Character>,
): Promise<ReadonlyMap<string, Recall>> {
  const recalls = new Map<string, Recall>();
  for (const npc of new Set(all.map((one) => one.npc))) {
    const rows = all.filter((one) => one.npc === npc).flatMap((one) => one.rows);
    const texts = rows
      .filter(({ turns }) => turns.length > 0)
      .flatMap(conversations)
      .flatMap((turns) =>
        turns.flatMap(({ player: words }, at) =>
          textsToRecall(characters.get(npc)!, { history: turns.slice(0, at), words }),
        ),
      );
    const recall = await recollection.of(npc, texts);
    if (recall) recalls.set(npc, recall);
  }
  return recalls;
}

/** Less what was written in the very same words: players ask in others. */
async function recallsFor(
  all: readonly Authored[],
  { npcs, recall: setting }: Pick<Config, 'npcs' | 'recall'>,
  { characters }: Characters,
): Promise<ReadonlyMap<string, Recall>> {
  const recollection = await Recollection.learnt({ npcs, setting, withoutOwn: true }, characters);
  if (!recollection) return new Map();
  const recalls = await recallsOf(all, recollection, characters);
  await recollection.close();
  return recalls;
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { out: { type: 'string' }, 'as-authored': { type: 'boolean' } },
  });
  if (!values.out)
    throw new Error('usage: node --import tsx training/render.ts --out FILE [--as-authored] [ID...]');
  const config = readConfig();
  const { set, all } = await readAuthored(config.npcs, positionals);
  if (all.length === 0) throw new Error(`there are no exchanges in ${config.npcs}/exchanges`);
  const chosen = values['as-authored'] ? all : [...all, ...drills(set.characters)];
  const own = chosen.filter(({ npc }) => positionals.length === 0 || positionals.includes(npc));
  const examples = render(own, {
    ...set,
    contextTokens: config.contextTokens,
    recalls: await recallsFor(own, config, set),
    ...(values['as-authored'] ? {} : { teach: teacher(all, set) }),
  });
  const lines = linesOf(examples);
  const out = resolve(values.out);
  await mkdir(dirname(out), { recursive: true });
  await writeFile(out, lines);
  const count = (form: Example['form']) => examples.filter((example) => example.form === form).length;
  const report = {
    file: out,
    exchanges: own.length,
    examples: examples.length,
    speech: count('speech'),
    act: count('act'),
    think: count('think'),
    sha256: createHash('sha256').update(lines).digest('hex'),
  };
  process.stdout.write(`${JSON.stringify(report)}\n`);
}

if (process.argv[1] && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  main().catch((error: Error) => {
    process.stderr.write(`render: ${error.message}\n`);
    process.exitCode = 1;
  });
}
