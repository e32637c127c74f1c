// One generation on one Triton server: the prompt as tokens, the request as tensors, its stream, the pieces of the answer.
// Which server, and what follows when it fails, is decided in triton-engine.ts.

import { randomInt, randomUUID } from 'node:crypto';
import type { Chunk, GenerateOptions, Prompt, Usage } from '../../engine.ts';
import type { Speculation } from '../speculation.ts';
import { goesOn, TextAnswer, TokenAnswer } from './answer.ts';
import { renderText } from './chat-templates.ts';
import { type Adapters, loraTensors } from './lora.ts';
import type { TritonPins } from './pins.ts';
import { textInputs, tokenInputs } from './requests.ts';
import { type RetentionRange, retentionRanges } from './retention.ts';
import { orAborted, type TritonServer } from './server.ts';
import { streamInfer } from './stream.ts';
import { inferRequest } from './tensors.ts';

export interface GenerationParts {
  /** As clients see it. */
  readonly model: string;
  readonly adapters: Adapters;
  readonly pins: TritonPins;
  readonly pace: Pace;
  /** Says how many tokens the draft model of a server is to guess at once. */
  readonly speculation: Speculation;
  readonly options: {
    readonly contextTokens: number;
    readonly firstTokenMs: number;
    readonly silentMs: number;
    readonly retention?: (prefix: number, until: number | undefined) => RetentionRange[];
  };
}

/** What an engine was asked, and where it looks for what was spent when the answer breaks off. */
export interface Wanted {
  readonly prompt: Prompt;
  readonly options: GenerateOptions;
  readonly signal: AbortSignal;
  readonly usage: { of: () => Usage };
  /** Whether somebody waits for the words; else the prompt is only to be in the cache. */
  readonly live: boolean;
}

export interface Rendered {
  readonly tokens: readonly number[];
  /** Tokens that all players of the character share; 0 where only the model knows. */
  readonly prefix: number;
  readonly trailing: string;
}

/** Weight of the newest measurement in the moving averages. */
const newest = 0.1;

/** Moving averages, milliseconds for a token; 0 until measured. */
export class Pace {
  prefillMs = 0;
  decodeMs = 0;

  prefilled(ms: number, tokens: number): void {
    this.prefillMs = average(this.prefillMs, ms / Math.max(1, tokens));
  }

  decoded(ms: number): void {
    this.decodeMs = average(this.decodeMs, ms);
  }
}

/** The prompt in the tokens of a server's model. Throws TritonFault, or the reason of the abort. */
export async function render(server: TritonServer, prompt: Prompt, signal: AbortSignal): Promise<Rendered> {
  const { tokenizer, template } = server.repository;
  if (tokenizer) return orAborted(tokenizer.render(prompt), signal);
  // Nobody tells how many tokens a text has until it was answered: the model refuses what is too long.
  return { tokens: [], prefix: 0, trailing: renderText(template, prompt).trailing };
}

/** Streams the answer of this server. Throws TritonFault, or the reason of the abort. */
export async function* generateOn(
  server: TritonServer,
  parts: GenerationParts,
  { prompt, options, signal, usage, live }: Wanted,
): AsyncGenerator<Chunk> {
  const { repository } = server;
  const { tokenizer, template } = repository;
  const { adapters, pins, pace, speculation } = parts;
  const { npc } = prompt;
  const rendered = await render(server, prompt, signal);
  const maxTokens = Math.min(options.maxTokens, parts.options.contextTokens - 1 - rendered.tokens.length);
  const adapter = await adapters.of(npc);
  server.speaksBy(npc, adapter?.taskId);
  pins.saw(prompt, rendered.prefix);
  const believed = server.isResident(npc);
  let cached: number | undefined;
  let first = true;
  const leave = await server.enter(npc, signal);
  server.running++;
  try {
    const lora = adapter && loraTensors(adapter, server.adapters.has(adapter.taskId));
    const shared = {
      options,
      maxTokens,
      lora,
      // Guided decoding is not done beside a draft model.
      draftTokens:
        repository.drafts && options.schema === undefined ? speculation.wanted('triton', maxTokens - 1) : 0,
      seed: options.seed ?? randomInt(2 ** 31),
      has: (name: string) => repository.inputs.has(name),
    };
    const keepUntil = pins.keepUntil(npc);
    const retention = (parts.options.retention ?? retentionRanges)(rendered.prefix, keepUntil);
    const inputs = tokenizer
      ? tokenInputs({ ...shared, tokens: rendered.tokens, endToken: tokenizer.endToken, retention })
      : textInputs({ ...shared, text: renderText(template, prompt).text });
    const about = {
      prompt: rendered.tokens.length,
      options,
      maxTokens,
      continues: goesOn(prompt, rendered.trailing),
    };
    const { tokensPerBlock } = server.figures;
    const answer = tokenizer
      ? new TokenAnswer(tokenizer, about, tokensPerBlock)
      : new TextAnswer(repository.accumulates, about, tokensPerBlock);
    usage.of = () => answer.usage;
    const { firstTokenMs: firstMs, silentMs } = parts.options;
    const limits = { firstMs, silentMs, answers: maxTokens + 8 };
    let before = performance.now();
    let decodeMs = 0;
    const request = inferRequest(repository.model, randomUUID(), inputs);
    for await (const outputs of streamInfer(server.client, request, limits, signal)) {
      const pieces = [...answer.take(outputs)];
      const ms = performance.now() - before;
      server.heard();
      if (answer.tellsCached) cached = answer.usage.cached;
      if (first) {
        if (lora) server.adapters.add(lora.taskId);
        for (const gone of server.used(npc, rendered.prefix, pins.book)) pins.book.countEvicted(gone);
        pins.told(server, npc, keepUntil);
        leave?.();
        const { prompt: all, cached: had } = answer.usage;
        pace.prefilled(ms, all - had);
      } else {
        pace.decoded(ms);
        decodeMs += ms;
      }
      first = false;
      yield* pieces;
      before = performance.now();
      if (answer.reason) break;
    }
    if (!answer.reason) yield* answer.end();
    if (repository.drafts)
      tellOf(speculation, shared.draftTokens, answer.guessed, answer.usage.completion, decodeMs);
    const confidence = options.schema === undefined ? undefined : answer.confidence;
    yield {
      type: 'done',
      reason: answer.reason ?? 'stop',
      usage: answer.usage,
      model: parts.model,
      ...(confidence !== undefined && { confidence }),
    };
  } finally {
    server.running--;
    leave?.();
    // Some servers tell what they really had, with the first token or with the last.
    const lost =
      believed && cached !== undefined && cached + server.figures.tokensPerBlock <= rendered.prefix;
    if (lost) pins.book.countEvicted(npc);
    if (live && !first) pins.book.countFound(believed && !lost ? 'memory' : 'computed');
  }
}

/** What an answer with or without a draft model was like, a step of the model on average; the first token is not counted. */
function tellOf(
  speculation: Speculation,
  wanted: number,
  guessed: { readonly drafted: number; readonly accepted: number } | undefined,
  tokens: number,
  decodeMs: number,
): void {
  if (tokens < 2 || decodeMs <= 0) return;
  const { drafted, accepted } = wanted > 0 && guessed ? guessed : { drafted: 0, accepted: 0 };
  // A step yields what was accepted and one token more.
  const steps = Math.max(1, tokens - 1 - accepted);
  speculation.saw({
    kind: 'triton',
    drafted: drafted / steps,
    accepted: accepted / steps,
    ms: decodeMs / steps,
    // Inside the server nobody tells the draft model's share.
    draftMs: 0,
    steps,
  });
}

function average(before: number, value: number): number {
  return before === 0 ? value : before + newest * (value - before);
}
