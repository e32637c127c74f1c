// Puts a prompt together from a character, the conversation so far and what was just said, in the order that
// keeps the KV cache useful: what is the same for every player first. What players say is cleaned here; an
// engine tokenises it as plain text besides. Does not talk to an engine.

import type { Character } from '../npcs/characters.ts';
import type { Prompt, Turn } from './engine.ts';

export type PromptCharacter = Pick<
  Character,
  'id' | 'persona' | 'facts' | 'reminders' | 'otherwise' | 'rules' | 'examples'
>;

export interface PromptParts {
  readonly character: PromptCharacter;
  /** Oldest first. */
  readonly history: readonly Turn[];
  /** What was just said: the text of the request, or the words of its topic. */
  readonly words: string;
  /** What the player's game says about the scene. Nobody has checked it. */
  readonly context?: string;
  /** What the character has said so far in this very answer. */
  readonly said?: string;
  /** The engine's context, which has to hold persona, history and answer. */
  readonly contextTokens: number;
  /** Room that the answer needs. */
  readonly maxTokens: number;
}

/** Template tokens around one message, with some to spare. */
const messageTokens = 6;
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
  const { character } = parts;
  const system = systemText(character);
  const examples = character.examples.map((turn) => withReminders(turn, character));
  const player = playerText(parts.words, parts.context, character);
  const fixed =
    estimateTokens(system) +
    examples.reduce((sum, turn) => sum + turnTokens(turn), 0) +
    estimateTokens(player) +
    estimateTokens(parts.said ?? '') +
    4 * messageTokens;
  const room = parts.contextTokens - parts.maxTokens - fixed;
  const turns = parts.history
    .map((turn) => ({ player: cleanText(turn.player), npc: cleanText(turn.npc) }))
    .filter((turn) => turn.player !== '' && turn.npc !== '')
    .map((turn) => withReminders(turn, character));
  return {
    npc: character.id,
    system,
    examples,
    turns: newestBlocks(turns, room),
    player,
    ...(parts.said ? { said: parts.said } : {}),
  };
}

/** Persona, facts and rules: the beginning of every prompt of the character. */
export function systemText(character: Pick<Character, 'persona' | 'facts' | 'rules'>): string {
  const facts = character.facts.map(({ fact }) => fact);
  return [character.persona, ...facts, ...character.rules].join('\n');
}

function playerText(words: string, context: string | undefined, character: PromptCharacter): string {
  const seen = cleanText(context ?? '');
  const said = cleanText(words);
  // In the player's own turn, so that it can weigh no more than what a player says. The character's own facts
  // come last, on a line of their own, which a player's text cannot begin: it has no line breaks.
  const text = seen === '' ? said : `(As the traveller tells it: ${seen}) ${said}`;
  return withReminders({ player: text, npc: '' }, character, said).player;
}

/**
 * A turn with the facts that its words bring to mind. The same words of the same character always bring the same
 * facts, so that a turn reads the same when it has become history, and its KV stays good.
 */
function withReminders(turn: Turn, character: PromptCharacter, words = turn.player): Turn {
  const facts = reminders(character, words);
  return facts.length === 0 ? turn : { ...turn, player: `${turn.player}\n\nFact: ${facts.join(' ')}` };
}

/** The first facts that fit the words, in the order of the file, at most as many as the character asks for. */
export function reminders(
  character: Pick<Character, 'facts' | 'reminders' | 'otherwise'>,
  words: string,
): readonly string[] {
  if (character.reminders === 0) return [];
  const said = stems(words);
  const fitting = character.facts.filter(({ about }) => about.some((phrase) => isSaid(phrase, said)));
  if (fitting.length > 0) return fitting.slice(0, character.reminders).map(({ fact }) => fact);
  return character.otherwise === undefined ? [] : [character.otherwise];
}

/** Whether all words of a phrase (mostly one) were said. */
function isSaid(phrase: string, said: ReadonlySet<string>): boolean {
  return [...stems(phrase)].every((stem) => said.has(stem));
}

/** The words of a text without their commonest endings: `repairing` and `repairs` count as `repair`. */
function stems(text: string): ReadonlySet<string> {
  const words = text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
  return new Set(
    words.map((word) => (word.length < 4 ? word : word.replace(/(?<=.{3})(?:ing|ed|es|s|e)$/, ''))),
  );
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
  let hash = 0x811c9dc5;
  for (const text of [turn.player, '\n', turn.npc]) {
    for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  }
  return (hash >>> 8) % turnsPerBlock === 0;
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

/** What chat templates use for control, in the forms that the common model families have. */
const controlForms = [
  /<\|[^<>|\n]{0,64}\|>/g,
  /<[｜|][^<>\n]{0,64}[｜|]>/g,
  /<\/?(?:s|start_of_turn|end_of_turn|bos|eos|pad|unk|think|tool_call|tool_response)>/gi,
  /\[\/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS)\]/g,
  /<<\/?SYS>>/g,
];
// Control characters but for line breaks, zero-width and direction marks, tag characters, non-characters.
const invisible =
  /[\p{Cc}\u00ad\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}\p{Noncharacter_Code_Point}]/gu;

/** A player's text without what is no text: control and invisible characters, and the control forms of chat templates. */
export function cleanText(text: string): string {
  let clean = text.toWellFormed().normalize('NFC').replace(/\s+/g, ' ').replace(invisible, '');
  // Until nothing changes, or a form could be hidden inside another one.
  for (let before = ''; before !== clean; ) {
    before = clean;
    for (const form of controlForms) clean = clean.replace(form, ' ');
  }
  return clean.replace(/ {2,}/g, ' ').trim();
}
