// Puts a prompt together from a character, the conversation so far and what was just said, in the order that
// keeps the KV cache useful: what is the same for every player first. What players say is cleaned here; an
// engine tokenises it as plain text besides. Does not talk to an engine.

import type { StateFacts } from '../bus/state.ts';
import type { Character } from '../npcs/characters.ts';
import { nameOf, type Ware } from '../npcs/wares.ts';
import { fnv1a } from '../runtime/hash.ts';
import { cleanText } from './clean-text.ts';
import type { Prompt, Turn } from './engine.ts';
import { reminders, type StateLines } from './recall.ts';
import { exchangeText } from './recollection/bank.ts';
import { byName } from './recollection/by-name.ts';
import type { Recall } from './recollection/recollection.ts';
import { sumOf } from './sums/sums.ts';
import { declines, taken } from './takes/taken.ts';

export type PromptCharacter = Pick<
  Character,
  'id' | 'persona' | 'facts' | 'reminders' | 'otherwise' | 'rules' | 'examples' | 'wares' | 'counts'
> &
  Partial<Pick<Character, 'spokenOf'>>;

export interface PromptParts {
  readonly character: PromptCharacter;
  /** Oldest first. */
  readonly history: readonly Turn[];
  /** What was just said: the text of the request, or the words of its topic. */
  readonly words: string;
  /** What the player's game says about the scene. Nobody has checked it. */
  readonly context?: string;
  /** Facts of the game that belong to these words. */
  readonly state?: StateLines;
  /** What was written for such words; without it the words themselves bring up facts. */
  readonly recall?: Recall | undefined;
  /** What the character has said so far in this very answer. */
  readonly said?: string;
  /** The engine's context, which has to hold persona, history and answer. */
  readonly contextTokens: number;
  /** The history takes no more than so many; left out, as many as there is room for. */
  readonly historyTokens?: number;
  /** Room that the answer needs. */
  readonly maxTokens: number;
}

/** Template tokens around one message, with some to spare. */
const messageTokens = 6;
/** Words with their facts that take no more do not change where the history begins. */
const usualWordsTokens = 64;
/** One turn in so many begins a block, on average. */
const turnsPerBlock = 4;
/** A shorter conversation is never cut but for want of room. */
const shortHistory = 16;

/**
 * The prompt for one answer. Its `system` and `examples` are byte for byte the same for every player. History
 * that does not fit is left out from its old end, in blocks. Words that alone are too long for the context are
 * not cut: the engine says `prompt_too_long`.
 */
export function buildPrompt(parts: PromptParts): Prompt {
  const { character, state } = parts;
  const system = systemText(character);
  const examples = character.examples.map((turn) => withReminders(turn, character));
  const history = told(parts.history);
  const words = cleanText(parts.words);
  const mind = mindAt(parts, history, history.length);
  const { facts } = factsFor(words, character, { ...mind, state });
  // In the player's own turn, so that it can weigh no more than what a player says. The facts come last, on a line of
  // their own, which a player's text cannot begin: it has no line breaks.
  const player = withFacts(`${situation(parts.context)}${words}`, facts);
  const fixed =
    estimateTokens(system) +
    examples.reduce((sum, turn) => sum + turnTokens(turn), 0) +
    Math.max(usualWordsTokens, estimateTokens(player)) +
    estimateTokens(parts.said ?? '') +
    4 * messageTokens;
  const room = Math.min(
    parts.historyTokens ?? Number.POSITIVE_INFINITY,
    parts.contextTokens - parts.maxTokens - fixed,
  );
  const turns = history.map((turn, i) => withReminders(turn, character, mindAt(parts, history, i)));
  return {
    npc: character.id,
    system,
    examples,
    turns: newestBlocks(turns, room),
    player,
    ...(parts.said ? { said: parts.said } : {}),
  };
}

/** The prompt in which nothing was said yet, for computing what all prompts of a character begin with. */
export function prefixPrompt(character: PromptCharacter, contextTokens: number): Prompt {
  return buildPrompt({ character, history: [], words: '', contextTokens, maxTokens: 1 });
}

/**
 * Whether a turn says something of its own. A reply that came twice in a row to different words is a small model that has
 * begun to copy itself; with such turns before it, it would never stop.
 */
function isNoEcho(turn: Turn, at: number, turns: readonly Turn[]): boolean {
  return ![turns[at - 1], turns[at + 1]].some(
    (other) => other && other.npc === turn.npc && other.player !== turn.player,
  );
}

/** Persona, facts and rules: the beginning of every prompt of the character. */
export function systemText(character: Pick<Character, 'persona' | 'facts' | 'rules'>): string {
  const facts = character.facts.map(({ fact }) => fact);
  return [character.persona, ...facts, ...character.rules].join('\n');
}

/** The facts that the prompt for these words tells; `sum` where they are the answer to one. */
export function factsOf(
  parts: Pick<PromptParts, 'character' | 'history' | 'words' | 'state' | 'recall'>,
): Facts {
  const history = told(parts.history);
  const mind = mindAt(parts, history, history.length);
  return factsFor(cleanText(parts.words), parts.character, { ...mind, state: parts.state });
}

/** The texts that recall is asked about for these words: `Recollection.of` prepares them. */
export function textsToRecall(
  { spokenOf = [] }: Pick<PromptCharacter, 'spokenOf'>,
  { history, words }: Pick<PromptParts, 'history' | 'words'>,
): readonly string[] {
  const turns = told(history);
  const all = [...turns.map(({ player }) => player), cleanText(words)];
  const named = all.flatMap((said, at) => byName(said, saidBefore(turns, at), spokenOf) ?? []);
  return [...turns.map(exchangeText), ...all, ...named];
}

/** What was said and answered, cleaned. */
function told(history: readonly Turn[]): readonly Turn[] {
  return history
    .map((turn) => ({ player: cleanText(turn.player), npc: cleanText(turn.npc) }))
    .filter((turn) => turn.player !== '' && turn.npc !== '')
    .filter(isNoEcho);
}

interface Facts {
  readonly facts: readonly string[];
  readonly sum?: string;
}

/** What was said before some words, and what is known of the one who says them. */
interface Mind {
  /** What player and character said, and what of it the player did, newest first. */
  readonly before: readonly string[];
  readonly own?: readonly string[];
  /** The last exchange, as recall wants it. */
  readonly previous?: string | undefined;
  /** What the game tells. */
  readonly told?: StateFacts | undefined;
  readonly recall?: Recall | undefined;
}

/** How many turns back a thing is still "it". */
const turnsInMind = 3;

function mindAt(
  { state, recall }: Pick<PromptParts, 'state' | 'recall'>,
  history: readonly Turn[],
  at: number,
): Mind {
  const before = saidBefore(history, at);
  const own = before.filter((_, i) => i % 2 === 1);
  const last = history[at - 1];
  const previous = last && exchangeText(last);
  return { before, own, previous, told: state?.facts, recall };
}

/** What character and player said before that place, newest first, in turns. */
function saidBefore(history: readonly Turn[], at: number): readonly string[] {
  return history
    .slice(Math.max(0, at - turnsInMind), at)
    .reverse()
    .flatMap(({ player, npc }) => [npc, player]);
}

/**
 * The facts for some words: a sum, if one is asked for, and nothing else, since a small model that is told more mixes it up;
 * else the state of the game and what is recalled, or what the words bring up.
 */
function factsFor(
  words: string,
  character: PromptCharacter,
  {
    before,
    own = [],
    previous,
    told = {},
    recall,
    state,
  }: Mind & { readonly state?: StateLines | undefined },
): Facts {
  // Nothing was said yet, or is known of what will be.
  if (words === '') return { facts: [] };
  const { beside = [], asked = [], askedOf = [] } = state ?? {};
  if (character.reminders === 0) return { facts: [...beside, ...asked] };
  const gold = typeof told.gold === 'number' ? told.gold : undefined;
  const takes = taken(words, before, character.wares);
  if (takes?.isUnclear) return { facts: [whichOf(takes.wares)] };
  const sum = sumOf(character, { words, before, own, gold, takes: takes?.wares });
  if (sum !== undefined) return { facts: [sum], sum };
  const named = byName(words, before, character.spokenOf ?? []);
  const recalled = recall?.({
    words,
    named,
    takes: takes && nameOf(takes.wares),
    declines: declines(words),
    before: previous,
    told,
    asked: askedOf,
  });
  // What is recalled was written with the state that the words ask for, and says it.
  if (recalled !== undefined) return { facts: [...beside, recalled] };
  return { facts: [...beside, ...asked, ...reminders(character, words, asked.length)] };
}

/** "Which one, the sword or the shield?" */
function whichOf(wares: readonly Ware[]): string {
  return `Which one, ${wares.map(({ name }) => `the ${name}`).join(' or ')}?`;
}

/** What the player's game says about the scene, marked as such. */
function situation(context: string | undefined): string {
  const seen = cleanText(context ?? '');
  return seen === '' ? '' : `(As the traveller tells it: ${seen}) `;
}

/**
 * The prompt for a decision without words (mode think): the same beginning as any prompt of the character, then the
 * situation and the question.
 */
export function buildThought({
  character,
  context,
  state,
  question,
}: {
  character: PromptCharacter;
  context: string;
  state: StateLines;
  question: string;
}): Prompt {
  const seen = cleanText(context);
  return {
    npc: character.id,
    system: systemText(character),
    examples: character.examples.map((turn) => withReminders(turn, character)),
    turns: [],
    player:
      `${withFacts(seen === '' ? '' : `(${seen})`, [...state.beside, ...state.asked])}\n\n${question}`.trim(),
  };
}

/** The prompt for what goes with a speech: the prompt of the speech, the speech as one more turn, and the question. */
export function buildAfterthought(prompt: Prompt, speech: string, question: string): Prompt {
  const { said: _, ...rest } = prompt;
  return { ...rest, turns: [...prompt.turns, { player: prompt.player, npc: speech }], player: question };
}

/**
 * A turn with the facts that its words bring to mind. With the same turns before it and the same purse it brings the same
 * facts, so that it reads the same when it has become history, and its KV stays good.
 */
function withReminders(turn: Turn, character: PromptCharacter, mind: Mind = { before: [] }): Turn {
  return { ...turn, player: withFacts(turn.player, factsFor(turn.player, character, mind).facts) };
}

/** Each on a line of its own: two sentences of one fact and two facts are not the same to who must pick one. */
function withFacts(text: string, facts: readonly string[]): string {
  return facts.length === 0 ? text : `${text}\n\n${facts.map((fact) => `Fact: ${fact}`).join('\n')}`;
}

/**
 * The newest turns that fit. Where the history begins must stay the same from one request to the next, or the
 * cached prefix is lost with each turn. So it only begins at certain turns, picked by their content: that stays
 * put however the history's keeper drops old turns.
 */
export function newestBlocks(turns: readonly Turn[], room: number): readonly Turn[] {
  let first = turns.length;
  for (let used = 0; first > 0; first--) {
    used += turnTokens(turns[first - 1]!);
    if (used > room) break;
  }
  if (first === 0 && turns.length <= shortHistory) return turns;
  const block = turns.findIndex((turn, i) => i >= first && beginsBlock(turn));
  return turns.slice(block < 0 ? first : block);
}

function beginsBlock(turn: Turn): boolean {
  return (fnv1a(`${turn.player}\n${turn.npc}`) >>> 8) % turnsPerBlock === 0;
}

function turnTokens(turn: Turn): number {
  return estimateTokens(turn.player) + estimateTokens(turn.npc) + 2 * messageTokens;
}

/**
 * Tokens of a text, rather too many than too few: without the engine's tokenizer. English has about 4.5 letters
 * a token; other scripts may need a token for each byte of UTF-8.
 */
export function estimateTokens(text: string): number {
  const bytes = Buffer.byteLength(text, 'utf8');
  const plain = text.match(/[a-zA-Z ]/g)?.length ?? 0;
  return Math.ceil(plain / 3.5 + (bytes - plain) * 0.9);
}
