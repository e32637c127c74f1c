// One generation as tensors, in the two forms that TensorRT-LLM's backend has: token ids (`tensorrt_llm`) and text
// (`tensorrt_llm_bls`, `ensemble`). Optional tensors are sent where the model declares them.

import type { AnswerSchema, GenerateOptions } from '../../engine.ts';
import type { LoraTensors } from './lora.ts';
import { type RetentionRange, retentionTensors } from './retention.ts';
import { bool, bytes, fp32, int32, type Tensor, uint64 } from './tensors.ts';

/** What is the same in both forms. */
interface Wanted {
  readonly options: GenerateOptions;
  readonly maxTokens: number;
  readonly lora?: LoraTensors;
  /** Tokens that the draft model of TensorRT-LLM's BLS is to guess at once; 0 or absent: none. */
  readonly draftTokens?: number;
  /** Whether the model has an input of that name. */
  readonly has: (input: string) => boolean;
  readonly seed: number;
}

const one = [1, 1];

/** For `tensorrt_llm`. */
export function tokenInputs(
  wanted: Wanted & { tokens: readonly number[]; endToken: number; retention: readonly RetentionRange[] },
): Tensor[] {
  const { tokens, maxTokens, endToken, retention, has } = wanted;
  const inputs = [
    int32('input_ids', tokens, [1, tokens.length]),
    int32('input_lengths', [tokens.length], one),
    int32('request_output_len', [maxTokens], one),
    bool('streaming', [true], one),
    int32('end_id', [endToken], one),
    int32('pad_id', [endToken], one),
    bool('exclude_input_in_output', [true], one),
    bool('return_log_probs', [wanted.options.schema !== undefined], one),
    ...sampling(wanted, { topK: 'runtime_top_k', topP: 'runtime_top_p' }),
    ...common(wanted),
    ...retentionTensors(retention),
  ];
  return inputs.filter(({ name }) => has(name));
}

/** For `tensorrt_llm_bls` and `ensemble`. */
export function textInputs(wanted: Wanted & { text: string }): Tensor[] {
  const inputs = [
    bytes('text_input', [wanted.text], one),
    int32('max_tokens', [wanted.maxTokens], one),
    bool('stream', [true], one),
    bool('exclude_input_in_output', [true], one),
    bool('return_num_output_tokens', [true], one),
    // Without it the BLS asks its draft model nothing.
    ...(wanted.draftTokens ? [int32('num_draft_tokens', [wanted.draftTokens], one)] : []),
    ...sampling(wanted, { topK: 'top_k', topP: 'top_p' }),
    ...common(wanted),
  ];
  return inputs.filter(({ name }) => wanted.has(name));
}

function sampling({ options, seed }: Wanted, names: { topK: string; topP: string }): Tensor[] {
  // The most probable token alone: in TensorRT-LLM that is top-k 1, and a temperature of 0 is refused.
  if (options.temperature === 0) return [int32(names.topK, [1], one), uint64('seed', [seed], one)];
  const penalty = (options.repeatPenalty ?? 1) - 1;
  return [
    fp32('temperature', [options.temperature], one),
    int32(names.topK, [options.topK ?? 40], one),
    fp32(names.topP, [options.topP ?? 0.95], one),
    uint64('seed', [seed], one),
    // Its repetition_penalty counts the words of the persona too, and would drive a character out of its role; the
    // presence penalty counts the answer alone. A tenth of the one is about as strong as 1 of the other.
    ...(penalty > 0 ? [fp32('presence_penalty', [Math.min(2, 10 * penalty)], one)] : []),
  ];
}

function common({ options, lora }: Wanted): Tensor[] {
  return [
    bool('return_perf_metrics', [true], one),
    bool('return_num_input_tokens', [true], one),
    ...(options.schema === undefined
      ? []
      : [
          bytes('guided_decoding_guide_type', ['json_schema'], one),
          bytes('guided_decoding_guide', [JSON.stringify(jsonSchema(options.schema))], one),
        ]),
    ...(lora?.tensors ?? []),
  ];
}

/** Our small part of JSON Schema, as JSON Schema. */
export function jsonSchema(schema: AnswerSchema): object {
  if ('oneOf' in schema) return { anyOf: schema.oneOf.map(jsonSchema) };
  if (!('type' in schema) || schema.type !== 'object') return schema;
  const properties = Object.entries(schema.properties);
  return {
    type: 'object',
    properties: Object.fromEntries(properties.map(([name, inner]) => [name, jsonSchema(inner)])),
    required: properties.map(([name]) => name),
    additionalProperties: false,
  };
}
