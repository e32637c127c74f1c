// What a character does: after a speech what goes with it, in mode think what the situation calls for. Acts that the
// speech promises and that leave nothing open are done as they are; the model is asked for the rest, in JSON, and only
// what its verb's schema allows is ever sent. Knows no stream and no bus.

import type { GenerateRequest } from '../bus/envelopes.ts';
import { actVersion, type Intent } from '../bus/protocol.ts';
import type { CharacterAct } from '../npcs/acts.ts';
import type { Character } from '../npcs/characters.ts';
import { argsSchema, faultOf, type Game, type Verb } from '../npcs/verbs.ts';
import type { Log } from '../runtime/log.ts';
import type { WorkerMetrics } from '../runtime/metrics.ts';
import { agree } from './agreement.ts';
import { type AnswerSchema, type Engine, EngineError, type Prompt, type Usage } from './engine.ts';

export interface DecideParts {
  readonly engine: Engine;
  readonly game: () => Game;
  readonly metrics: Pick<WorkerMetrics, 'acts'>;
  readonly log: Log;
}

export interface Question {
  readonly request: Pick<GenerateRequest, 'npc' | 's' | 'g' | 'session'>;
  readonly character: Character;
  /** What was said to the character, or the situation. */
  readonly words: string;
  /** What it said; undefined in mode think. */
  readonly speech?: string;
  /** What was done already, by a worker before this one. */
  readonly done: readonly Intent[];
  /** The prompt that ends with this question. */
  readonly promptFor: (question: string) => Prompt;
  readonly signal: AbortSignal;
  readonly emit: (intent: Intent) => void;
}

/** A way to do an act, with the arguments that are still open. */
export interface Candidate {
  readonly verb: Verb;
  /** How the model knows it: "give sword". */
  readonly label: string;
  readonly fixed: Readonly<Record<string, unknown>>;
  readonly open: Readonly<Record<string, AnswerSchema>>;
}

/** One decision: which of these is done. */
export interface Choice {
  readonly candidates: readonly Candidate[];
  /** Nothing may be done as well. */
  readonly isFree: boolean;
}

/** What the model may choose when it is free to do nothing. */
export const nothing = 'nothing';
/** More than this a speech cannot promise. */
const mostActs = 4;
/** More than this no model weighs. */
const mostCandidates = 24;
/** About what the question and its answer take, after the speech. */
export const actRoomTokens = 200;
const labelTokens = 24;
const mostTokens = 160;
/** About so many letters make a token, at the least. */
const lettersPerToken = 2.5;

/**
 * Emits what the character does, none or more acts, and resolves with what asking the model took. Rejects with the
 * engine's error or the reason of the abort; acts that were emitted until then stand.
 */
export async function decide(question: Question, parts: DecideParts): Promise<Usage> {
  let usage: Usage = { prompt: 0, cached: 0, completion: 0 };
  for (const choice of choicesOf(question, parts.game())) {
    // Nothing to be decided: no time is spent on it.
    if (isSettled(choice)) take(question, choice.candidates[0]!, {}, undefined, parts);
    else usage = add(usage, await ask(question, choice, parts));
  }
  return usage;
}

/** What there is to decide, in order; of each choice one candidate is done, or nothing where that is free. */
export function choicesOf(
  { character, words, speech, done }: Pick<Question, 'character' | 'words' | 'speech' | 'done'>,
  game: Game,
): readonly Choice[] {
  const { due, open, isFree } = agree(character, game, { words, speech });
  const ways = due
    .map((act) => waysOf(act, game.verbs))
    .filter((candidates) => !candidates.some((way) => done.some((intent) => isDone(way, intent))))
    .slice(0, mostActs)
    // Those first that need no time.
    .sort((a, b) => a.length - b.length)
    .map((candidates) => ({ candidates, isFree: false }));
  const others = done.length === 0 ? distinct(open.flatMap((act) => waysOf(act, game.verbs))) : [];
  return [...ways, { candidates: others, isFree }].filter(({ candidates }) => candidates.length > 0);
}

/** Whether a choice leaves nothing open, so that no model is asked. */
export function isSettled({ candidates, isFree }: Choice): boolean {
  return candidates.length === 1 && !isFree && Object.keys(candidates[0]!.open).length === 0;
}

/** Has the model choose among the candidates (and nothing), and takes its choice if it is sound. */
async function ask(question: Question, choice: Choice, parts: DecideParts): Promise<Usage> {
  const { candidates, isFree } = choice;
  const { character, request, signal } = question;
  const forms = candidates.map(({ label, open }) => form(label, open));
  const schema: AnswerSchema = { oneOf: isFree ? [...forms, form(nothing, {})] : forms };
  const prompt = question.promptFor(questionText(character.name, choice));
  const longest = Math.max(...candidates.map(({ open }) => tokensOf(open)));
  const options = { temperature: 0, maxTokens: Math.min(mostTokens, labelTokens + longest), schema };
  let text = '';
  for await (const chunk of parts.engine.generate(prompt, options, signal)) {
    if (chunk.type === 'text') {
      text += chunk.text;
      continue;
    }
    if (chunk.reason === 'aborted') signal.throwIfAborted();
    const { do: label, ...args } = readAnswer(text);
    const candidate = candidates.find((c) => c.label === label);
    if (candidate) take(question, candidate, args, chunk.confidence, parts);
    else if (label === nothing && isFree) parts.metrics.acts.inc({ result: 'none' });
    else drop(request, parts, 'no choice that was offered', text);
    return chunk.usage;
  }
  throw new EngineError('internal', 'the engine stopped without saying why');
}

/** Emits an act if its verb allows it; otherwise it is dropped, and the answer is none the worse. */
function take(
  { request, emit }: Question,
  { verb, fixed, open }: Candidate,
  chosen: Readonly<Record<string, unknown>>,
  confidence: number | undefined,
  parts: DecideParts,
): void {
  const own = Object.entries(chosen).filter(([key]) => Object.hasOwn(open, key));
  const args = { ...fixed, ...Object.fromEntries(own) };
  const fault = faultOf(verb, args);
  if (fault) return drop(request, parts, fault, JSON.stringify(args));
  parts.metrics.acts.inc({ result: 'sent' });
  emit({
    v: actVersion,
    name: verb.name,
    args,
    ttlMs: verb.ttlMs,
    ...(request.g === undefined ? {} : { g: request.g }),
    ...(confidence === undefined ? {} : { confidence: Math.round(confidence * 1_000) / 1_000 }),
  });
}

function drop({ npc, s, session }: Question['request'], parts: DecideParts, why: string, what: string): void {
  parts.metrics.acts.inc({ result: 'dropped' });
  parts.log.warn({ npc, session, s, why, answer: what.slice(0, 200) }, 'an act that is none: dropped');
}

/**
 * The ways to do an act: one, or where a single argument with few values is open, one for each value. That is quicker to
 * write for a model than the argument, and easier to weigh.
 */
function waysOf(act: CharacterAct, verbs: ReadonlyMap<string, Verb>): readonly Candidate[] {
  const verb = verbs.get(act.verb);
  if (!verb) return [];
  const schemas = argsSchema(verb);
  const given = Object.entries(act.args);
  const fixed = Object.fromEntries(given.filter(([, value]) => !Array.isArray(value)));
  const open = Object.fromEntries([
    ...given.filter(([, value]) => Array.isArray(value)).map(([key, values]) => [key, { enum: values }]),
    ...schemas.required
      .filter((key) => !(key in act.args))
      .map((key) => [key, narrowed(schemas.properties[key] as ArgSchema)]),
  ]) as Record<string, AnswerSchema>;
  const [[key, schema] = [], ...more] = Object.entries(open);
  if (key === undefined || schema === undefined || more.length > 0 || !('enum' in schema))
    return [{ verb, label: labelOf(verb, fixed), fixed, open }];
  return schema.enum.map((value) => {
    const all = { ...fixed, [key]: value };
    return { verb, label: labelOf(verb, all), fixed: all, open: {} };
  });
}

type ArgSchema = AnswerSchema & { minimum?: number; maximum?: number };
const mostIntegers = 12;

/** A few whole numbers are a choice; engines know no bounds. */
function narrowed(schema: ArgSchema): AnswerSchema {
  const { minimum, maximum } = schema;
  if (!('type' in schema) || schema.type !== 'integer' || minimum === undefined || maximum === undefined)
    return schema;
  const first = Math.ceil(minimum);
  const count = Math.floor(maximum) - first + 1;
  return count < 1 || count > mostIntegers
    ? schema
    : { enum: Array.from({ length: count }, (_, i) => first + i) };
}

function labelOf(verb: Verb, args: Readonly<Record<string, unknown>>): string {
  return [verb.name.replaceAll('_', ' '), ...Object.values(args)].join(' ');
}

/** Without those that do the same, and not too many. */
function distinct(candidates: readonly Candidate[]): readonly Candidate[] {
  return [...new Map(candidates.map((candidate) => [candidate.label, candidate])).values()].slice(
    0,
    mostCandidates,
  );
}

/** Whether this intent is what the candidate would have become. */
function isDone({ verb, fixed }: Candidate, { name, args }: Intent): boolean {
  return name === verb.name && Object.entries(fixed).every(([key, value]) => args[key] === value);
}

const form = (label: string, open: Candidate['open']): AnswerSchema => ({
  type: 'object',
  properties: { do: { const: label }, ...open },
});

/** The choice as the model is asked. */
export function questionText(name: string, { candidates, isFree }: Choice): string {
  const labels = [...candidates.map(({ label }) => label), ...(isFree ? [nothing] : [])];
  const keys = new Set(candidates.flatMap(({ open }) => Object.keys(open)));
  // No example of a value: a small model copies it.
  const fields = ['do', ...keys].map((key) => `"${key}"`).join(' and ');
  return `What does ${name} do now? Choose one: ${labels.join(', ')}. Answer in JSON with ${fields}.`;
}

/** Room for arguments that are open. */
function tokensOf(open: Candidate['open']): number {
  return Object.entries(open).reduce((sum, [key, schema]) => {
    const value =
      'type' in schema && schema.type === 'string'
        ? (schema.maxLength ?? mostTokens)
        : JSON.stringify('enum' in schema ? schema.enum : '').length;
    return sum + Math.ceil((key.length + value) / lettersPerToken) + 6;
  }, 0);
}

/** The object in an answer; an engine that cannot be constrained may have wrapped it in words. */
function readAnswer(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(/\{.*\}/s.exec(text)?.[0] ?? text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

export function add(a: Usage, b: Usage): Usage {
  return {
    prompt: a.prompt + b.prompt,
    cached: a.cached + b.cached,
    completion: a.completion + b.completion,
  };
}
