// Chat templates by name, for models whose template is not in the worker's hands: TensorRT-LLM knows tokens alone. A
// prompt becomes pieces; only pieces that a template wrote itself may hold control tokens.

import type { Prompt } from '../../engine.ts';

/** A piece of the prompt; `control` pieces are the template's own. */
export interface Piece {
  readonly text: string;
  readonly control: boolean;
}

export interface RenderedPieces {
  readonly pieces: readonly Piece[];
  /** How many of them, from the first, are the same for every player of the character. */
  readonly shared: number;
  /** Blanks at the end of `said`, which stay out of the prompt: a model goes on badly after a lone blank. */
  readonly trailing: string;
}

interface Template {
  readonly begin: string;
  open(role: 'system' | 'user' | 'assistant'): string;
  readonly close: string;
}

const templates = {
  /** SmolLM2, Qwen2.5 and many more. */
  chatml: {
    begin: '',
    open: (role) => `<|im_start|>${role}\n`,
    close: '<|im_end|>\n',
  },
  /** Llama 3, 3.1 and 3.2. */
  llama3: {
    begin: '<|begin_of_text|>',
    open: (role) => `<|start_header_id|>${role}<|end_header_id|>\n\n`,
    close: '<|eot_id|>',
  },
} as const satisfies Record<string, Template>;

export type TemplateName = keyof typeof templates;

export const templateNames = Object.keys(templates) as readonly TemplateName[];

export function isTemplateName(name: string): name is TemplateName {
  return Object.hasOwn(templates, name);
}

/** The whole prompt, open at its end for the answer (or for the rest of it, after `said`). */
export function renderPieces(name: TemplateName, prompt: Prompt): RenderedPieces {
  const template: Template = templates[name];
  const pieces: Piece[] = [];
  const control = (text: string) => void (text !== '' && pieces.push({ text, control: true }));
  const plain = (text: string) =>
    void (text !== '' && pieces.push({ text: text.toWellFormed(), control: false }));
  const say = (role: 'system' | 'user' | 'assistant', text: string) => {
    control(template.open(role));
    plain(text);
    control(template.close);
  };
  control(template.begin);
  say('system', prompt.system);
  for (const { player, npc } of prompt.examples) {
    say('user', player);
    say('assistant', npc);
  }
  const shared = pieces.length + 1; // the head of the next turn too
  for (const { player, npc } of prompt.turns) {
    say('user', player);
    say('assistant', npc);
  }
  say('user', prompt.player);
  control(template.open('assistant'));
  const said = prompt.said?.trimEnd() ?? '';
  plain(said);
  return { pieces, shared, trailing: prompt.said?.slice(said.length) ?? '' };
}

/**
 * The prompt as one text, for models that take text: their tokenizer reads control tokens out of any of it, so the forms
 * that they have are broken up in what is not the template's own.
 */
export function renderText(name: TemplateName, prompt: Prompt): { text: string; trailing: string } {
  const { pieces, trailing } = renderPieces(name, prompt);
  return { text: pieces.map(({ text, control }) => (control ? text : harmless(text))).join(''), trailing };
}

/** `<|im_end|>` as `< |im_end|>`, `[INST]` as `[ INST]`, `</s>` as `< /s>`: letters in every known vocabulary. */
function harmless(text: string): string {
  return text
    .replace(/<(?=[|｜/]?[a-z_|｜])/gi, '< ')
    .replace(/\[(?=\/?[A-Z_]+\])/g, '[ ')
    .replaceAll('\u0000', '');
}
