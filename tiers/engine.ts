// The contract between a worker and whatever turns a prompt into text. One implementation a file
// (llama-engine.ts here, gold/triton-engine.ts and others later); which one runs is chosen in
// tiers/main.ts. tests/engine-contract.ts is run on every implementation.

import type { SpeculationFigures } from './gold/speculation.ts';

/** One exchange, oldest first in a list. */
export interface Turn {
  readonly player: string;
  readonly npc: string;
}

/**
 * What an engine is asked to continue. The order of the parts is fixed for the cache: `system` and
 * `examples` are the same for every player of a character, so their KV is shared; `memory` and `turns` are one
 * player's; `player` is what was just said. The engine renders it with the chat template of its model.
 * All texts of players are plain text: an engine must not read control tokens out of them.
 */
export interface Prompt {
  readonly npc: string;
  /** Persona, facts and rules: the stable prefix. */
  readonly system: string;
  readonly examples: readonly Turn[];
  readonly turns: readonly Turn[];
  readonly player: string;
  /** What the character has said so far in this very answer (a stream that goes on elsewhere). */
  readonly said?: string;
}

/** A small part of JSON Schema: what an engine that constrains its answers has to understand. */
export type AnswerSchema =
  | { readonly const: string | number | boolean }
  | { readonly enum: readonly (string | number | boolean)[] }
  | { readonly type: 'string'; readonly maxLength?: number }
  | { readonly type: 'integer' | 'number' | 'boolean' }
  | {
      readonly type: 'object';
      /** All of them are there, in this order, and no others. */
      readonly properties: Readonly<Record<string, AnswerSchema>>;
    }
  | { readonly oneOf: readonly AnswerSchema[] };

export interface GenerateOptions {
  /** Upper bound of tokens to decode, at least 1. */
  readonly maxTokens: number;
  /** 0 is greedy. */
  readonly temperature: number;
  readonly topP?: number;
  readonly topK?: number;
  readonly minP?: number;
  /** 1 is off. */
  readonly repeatPenalty?: number;
  readonly seed?: number;
  /** The answer ends before the first of these strings, which is not emitted. */
  readonly stop?: readonly string[];
  /**
   * The answer is JSON of this form, from an engine that `constrains`; it ends with the value. Cut short by
   * `maxTokens` or an abort it is no JSON. An engine that does not constrain takes no notice of it.
   */
  readonly schema?: AnswerSchema;
}

export interface Usage {
  /** Tokens of the whole prompt. */
  readonly prompt: number;
  /** Of these, tokens whose KV was already there. */
  readonly cached: number;
  /** Tokens decoded. */
  readonly completion: number;
}

/**
 * `text` is valid Unicode: bytes of a character that is cut between tokens wait for the rest. The last chunk is
 * always `done`, also after an abort (then `reason` is `aborted` and `usage` says what was spent).
 */
export type Chunk =
  | { readonly type: 'text'; readonly text: string; readonly tokens: number }
  | {
      readonly type: 'done';
      readonly reason: 'stop' | 'length' | 'aborted';
      readonly usage: Usage;
      /** The model that answered, where the engine's `model` may have changed meanwhile. */
      readonly model?: string;
      /** 0 to 1: how sure the model was of an answer with a schema, where the engine knows. */
      readonly confidence?: number;
    };

/** Where a character's prefix was when somebody spoke: in the cache, on disk, or nowhere, so that it had to be computed. */
export type Whereabouts = 'memory' | 'disk' | 'computed';

/** The cache of an engine in figures. */
export interface KvFigures {
  readonly unit: 'sequences' | 'blocks';
  /** What leases may hold and what they do hold, in that unit. Infinite where nobody says how large the cache is. */
  readonly budget: number;
  readonly held: number;
  /** Characters that lost their last copy in the cache, with and without a lease, since the start. */
  readonly evicted: { readonly leased: number; readonly unleased: number };
  /** Where the prefix was, for each answer since the start. */
  readonly found: Readonly<Record<Whereabouts, number>>;
}

/** Figures that routing and metrics use; cheap to read, never waits. */
export interface EngineStats {
  /** Streams that can decode at once. */
  readonly concurrency: number;
  readonly active: number;
  /** Characters whose prefix has KV in memory now. */
  readonly resident: readonly string[];
  /** Moving averages, milliseconds for a token; 0 until measured. */
  readonly prefillMsPerToken: number;
  readonly decodeMsPerToken: number;
  /** Characters pinned by a lease that has not run out. */
  readonly pinned: readonly string[];
  /** The cache in figures, from an engine that has one of its own. */
  readonly kv?: KvFigures;
  /**
   * What the model has done since the start, a token or a chunk of a prompt at a time: one that is asked and does nothing hangs.
   * Undefined where it runs elsewhere: then `health` tells of it, and nothing is mended by starting this process again.
   */
  readonly steps: number | undefined;
  /** What guessing ahead has brought, from an engine that can. */
  readonly speculation?: SpeculationFigures;
}

export interface Engine {
  /** As in configuration: `llama`, `triton`, … */
  readonly name: string;
  /** The model as clients and metrics see it: a plain name, no path. May change while the engine runs. */
  readonly model: string;
  /** Whether an answer that was begun elsewhere can be continued from its text (`Prompt.said`). */
  readonly continues: 'text' | 'none';
  /** Whether it holds an answer to `GenerateOptions.schema`. Whoever asks checks the answer all the same. */
  readonly constrains: 'json' | 'none';

  /**
   * Streams the continuation of `prompt`. Aborting `signal` stops the engine within two tokens while it decodes
   * and within one chunk while it prefills. Waits for a free slot if all are busy.
   * Throws EngineError, before or between chunks; never ends without `done` or an error.
   */
  generate(prompt: Prompt, options: GenerateOptions, signal: AbortSignal): AsyncIterable<Chunk>;

  /** Prefills the stable prefix (`system`, `examples`) so that the next `generate` finds it. Gives way to live streams. */
  warm(prompt: Prompt, signal: AbortSignal): Promise<void>;

  /**
   * Prefills all of a prompt, so that the next `generate` that begins so finds it. Gives way to live streams; what was prefilled when
   * `signal` aborts stays. Left out by engines that cannot.
   */
  read?(prompt: Prompt, signal: AbortSignal): Promise<void>;

  /**
   * Keeps the character's prefix in the cache until `until` (ms since the epoch), once it is there: `warm` brings it
   * there. A later call renews the lease, or ends it with a time that is over. Throws EngineError `kv_full` when the
   * leases of others hold all that leases may hold.
   */
  pin(npc: string, until: number): void;
  /** Ends the lease; what is in the cache stays until the room is needed. */
  release(npc: string): void;

  stats(): EngineStats;
  /** Resolves when the engine can serve; throws EngineError with the cause when not. */
  health(): Promise<void>;
  /** Has the model itself decode one token of an answer to nobody. Rejects when it cannot; does neither while it hangs. */
  probe(signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

/** Why an engine could not answer. `message` is for operators. */
export class EngineError extends Error {
  readonly kind: 'prompt_too_long' | 'unavailable' | 'kv_full' | 'internal';

  constructor(kind: EngineError['kind'], message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'EngineError';
    this.kind = kind;
  }
}
