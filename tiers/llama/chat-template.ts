// Renders a Prompt into the tokens that the model was trained on, by the chat template in its own file. What
// players say is tokenised as plain text: a player who types a control token gets its letters, never the token.

import {
  type ChatHistoryItem,
  type ChatWrapper,
  type LlamaModel,
  resolveChatWrapper,
  type Token,
} from 'node-llama-cpp';
import type { Prompt } from '../engine.ts';

export interface Rendered {
  readonly tokens: readonly Token[];
  /** How many of them are the same for every player of the character. */
  readonly prefix: number;
  /** Blanks at the end of `said`, which stay out of the tokens: a model goes on badly after a lone blank. */
  readonly trailing: string;
}

const mostPrefixes = 256;

export class ChatTemplate {
  readonly #model: LlamaModel;
  readonly #wrapper: ChatWrapper;
  readonly #prefixes = new Map<string, readonly Token[]>();

  constructor(model: LlamaModel) {
    this.#model = model;
    this.#wrapper = resolveChatWrapper(model, {
      warningLogs: false,
      // A character answers at once; it has no time for thoughts that nobody hears.
      customWrapperSettings: { qwen: { thoughts: 'discourage' } },
    });
  }

  /** The whole prompt, open at its end for the answer (or for the rest of it, after `said`). */
  render(prompt: Prompt): Rendered {
    const said = prompt.said?.trimEnd() ?? '';
    const tokens = this.#tokens(prompt, prompt.turns, prompt.player, said);
    const prefix = commonLength(this.prefix(prompt), tokens);
    return { tokens, prefix, trailing: prompt.said?.slice(said.length) ?? '' };
  }

  /** The tokens of `system` and `examples`, up to where the words of a player begin. */
  prefix(prompt: Pick<Prompt, 'system' | 'examples'>): readonly Token[] {
    const key = JSON.stringify([prompt.system, prompt.examples]);
    const known = this.#prefixes.get(key);
    if (known) return known;
    // What two conversations that differ from the first letter on have in common; so it holds for any template.
    const one = this.#tokens(prompt, [], 'a', '');
    const other = this.#tokens(prompt, [], '7', '');
    const prefix = one.slice(0, commonLength(one, other));
    if (this.#prefixes.size >= mostPrefixes) this.#prefixes.delete(this.#prefixes.keys().next().value!);
    this.#prefixes.set(key, prefix);
    return prefix;
  }

  detokenize(tokens: readonly Token[], before: readonly Token[]): string {
    return this.#model.detokenize(tokens, false, before);
  }

  /** Whether this token ends a turn: the end of generation, or a control token that has no place in an answer. */
  ends(token: Token): boolean {
    return this.#model.isEogToken(token) || this.#model.isSpecialToken(token);
  }

  #tokens(
    prompt: Pick<Prompt, 'system' | 'examples'>,
    turns: Prompt['turns'],
    player: string,
    said: string,
  ): Token[] {
    const history: ChatHistoryItem[] = [{ type: 'system', text: prompt.system }];
    for (const turn of [...prompt.examples, ...turns]) {
      history.push({ type: 'user', text: turn.player }, { type: 'model', response: [turn.npc] });
    }
    history.push({ type: 'user', text: player }, { type: 'model', response: said === '' ? [] : [said] });
    const { contextText } = this.#wrapper.generateContextState({ chatHistory: history });
    const tokens = contextText.tokenize(this.#model.tokenizer);
    // Where a template begins with the token that stands for the beginning anyway, it would come twice.
    if (tokens.length > 1 && tokens[0] === this.#model.tokens.bos && tokens[1] === tokens[0]) tokens.shift();
    return tokens;
  }
}

/** How many tokens two lists have in common at their beginning. */
export function commonLength(a: readonly Token[], b: readonly Token[]): number {
  const most = Math.min(a.length, b.length);
  let n = 0;
  while (n < most && a[n] === b[n]) n++;
  return n;
}
