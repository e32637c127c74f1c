// What a server's model repository offers, read from the configuration of its models: which form of tensors, which of
// the optional ones, whose tokenizer and template. Says in words what is missing.

import { isTemplateName, type TemplateName, templateNames } from './chat-templates.ts';
import type { ModelConfig, TritonClient } from './client.ts';
import { TritonFault } from './fault.ts';
import { Tokenizer } from './tokenizer.ts';

export interface Repository {
  readonly model: string;
  readonly inputs: ReadonlySet<string>;
  /** The model that TensorRT-LLM's figures are about: itself, or the one that it calls. */
  readonly inner: string;
  readonly template: TemplateName;
  /** Of a model that takes token ids. */
  readonly tokenizer?: Tokenizer;
  /** Of a model that takes text: each answer carries the whole text so far. */
  readonly accumulates: boolean;
  /** Whether it can be asked to guess ahead with a draft model, and tells what came of it. */
  readonly drafts: boolean;
}

const withinMs = 5_000;

/** Reads it. Throws TritonFault: `wrong_repository` with what is wrong, or that the server cannot be asked. */
export async function readRepository(
  client: TritonClient,
  { model, tokenize, template: named }: { model: string; tokenize: string; template: string },
): Promise<Repository> {
  const config = await configOf(client, model);
  const inputs = new Set(config.input.map(({ name }) => name));
  const outputs = new Set(config.output.map(({ name }) => name));
  const wrong = (what: string) =>
    new TritonFault(
      'wrong_repository',
      `The model ${model} of Triton at ${client.address} cannot be used: ${what}`,
    );
  if (!config.model_transaction_policy?.decoupled)
    throw wrong('it is not decoupled, so it cannot stream (model_transaction_policy { decoupled: True }).');
  const takesTokens = inputs.has('input_ids') && outputs.has('output_ids');
  const takesText = inputs.has('text_input') && outputs.has('text_output');
  if (!takesTokens && !takesText)
    throw wrong(
      `it has neither input_ids and output_ids nor text_input and text_output; it has ${[...inputs, ...outputs].join(', ')}.`,
    );
  const tokenizerConfig = takesTokens ? await configOf(client, tokenize) : undefined;
  const template =
    named ||
    config.parameters.chat_template?.string_value ||
    tokenizerConfig?.parameters.chat_template?.string_value ||
    '';
  if (!isTemplateName(template)) {
    const known = templateNames.join(', ');
    throw wrong(
      template === ''
        ? `nobody names its chat template; set PARLEY_TRITON_TEMPLATE or the parameter chat_template of ${takesTokens ? tokenize : model} (one of ${known}).`
        : `its chat template ${template} is not known; known are ${known}.`,
    );
  }
  return {
    model,
    inputs,
    inner: takesTokens ? model : config.parameters.tensorrt_llm_model_name?.string_value || 'tensorrt_llm',
    template,
    ...(takesTokens && { tokenizer: await Tokenizer.load(client, tokenize, template) }),
    accumulates: config.parameters.accumulate_tokens?.string_value === 'true',
    drafts:
      inputs.has('num_draft_tokens') &&
      outputs.has('total_draft_tokens') &&
      outputs.has('total_accepted_draft_tokens'),
  };
}

async function configOf(client: TritonClient, model: string): Promise<ModelConfig> {
  try {
    return await client.modelConfig(model, withinMs);
  } catch (error) {
    if (!(error instanceof TritonFault) || !/unknown model|not found|is not ready/i.test(error.message))
      throw error;
    const models = await client.models(withinMs);
    if (models.includes(model))
      throw new TritonFault('not_ready', `${model} is not ready yet: ${error.message}`);
    throw new TritonFault(
      'wrong_repository',
      `Triton at ${client.address} has no model ${model}; it has ${models.join(', ') || 'none'}. PARLEY_TRITON_MODEL names the one to use.`,
      { cause: error },
    );
  }
}
