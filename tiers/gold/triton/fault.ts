// What can go wrong with a Triton server, by a name that metrics count and words that operators read.

import { EngineError } from '../../engine.ts';

/**
 * `unreachable`: no answer at the address, or the connection broke. `not_ready`: it is there, and its model is not (yet).
 * `wrong_repository`: its models are not what the engine can use. `garbage`: what it answers is no answer. `flood`: more
 * than was asked for. `silent`: nothing came for too long. `refused`: an error message for this request.
 */
export type FaultReason =
  | 'unreachable'
  | 'not_ready'
  | 'wrong_repository'
  | 'garbage'
  | 'flood'
  | 'silent'
  | 'refused'
  | 'prompt_too_long';

export class TritonFault extends EngineError {
  readonly reason: FaultReason;

  constructor(reason: FaultReason, message: string, options?: { cause?: unknown }) {
    super(kinds[reason], message, options);
    this.reason = reason;
  }

  /** Whether another server might do better with the same request. */
  get elsewhere(): boolean {
    return this.reason !== 'prompt_too_long' && this.reason !== 'refused';
  }
}

const kinds = {
  unreachable: 'unavailable',
  not_ready: 'unavailable',
  wrong_repository: 'unavailable',
  garbage: 'internal',
  flood: 'internal',
  silent: 'unavailable',
  refused: 'internal',
  prompt_too_long: 'prompt_too_long',
} as const satisfies Record<FaultReason, EngineError['kind']>;

/** The words by which TensorRT-LLM (and llama.cpp behind the local Triton) refuse a prompt for its length. */
const tooLong =
  /exceeds? (the )?(maximum|max|available)[ _](input|context|sequence|prompt)|prompt length .* exceeds|max_input_len|max_seq_len/i;

/** A fault for the error message that a server sent for one request. */
export function refusal(message: string): TritonFault {
  if (tooLong.test(message))
    return new TritonFault('prompt_too_long', `Triton refused the prompt: ${message}`);
  // Triton itself says so of a Python model whose process has ended or does not answer.
  if (/stub process .* (is not healthy|is not running)/i.test(message))
    return new TritonFault('not_ready', `Triton's model does not answer: ${message}`);
  return new TritonFault('refused', `Triton refused the request: ${message}`);
}
