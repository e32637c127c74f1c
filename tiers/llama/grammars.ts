// From a schema to a grammar of llama.cpp: compact JSON, no blanks and no line breaks, since each token costs time
// (the library's own grammars print it prettily and end in four line breaks). Grammars are kept; each answer gets a
// state of its own.

import { type Llama, type LlamaGrammar, LlamaGrammarEvaluationState, type LlamaModel } from 'node-llama-cpp';
import type { AnswerSchema } from '../engine.ts';

const mostGrammars = 256;
const longestString = 200;

export class Grammars {
  readonly #llama: Llama;
  readonly #model: LlamaModel;
  readonly #grammars = new Map<string, Promise<LlamaGrammar>>();

  constructor(llama: Llama, model: LlamaModel) {
    this.#llama = llama;
    this.#model = model;
  }

  /** For one answer. Rejects when llama.cpp does not take the grammar. */
  async stateFor(schema: AnswerSchema): Promise<LlamaGrammarEvaluationState> {
    const text = grammarOf(schema);
    let grammar = this.#grammars.get(text);
    if (!grammar) {
      if (this.#grammars.size >= mostGrammars) this.#grammars.delete(this.#grammars.keys().next().value!);
      grammar = this.#llama.createGrammar({ grammar: text });
      this.#grammars.set(text, grammar);
    }
    return new LlamaGrammarEvaluationState({ model: this.#model, grammar: await grammar });
  }
}

/** The grammar of a schema in GBNF. */
export function grammarOf(schema: AnswerSchema): string {
  return [
    `root ::= ${rule(schema)}`,
    // No control characters, and of the escapes only those that need no count.
    String.raw`char ::= [^"\\\x00-\x1f\x7f] | "\\" ["\\/bnrt]`,
    'integer ::= "-"? ("0" | [1-9] [0-9]{0,8})',
  ].join('\n');
}

function rule(schema: AnswerSchema): string {
  if ('const' in schema) return literal(JSON.stringify(schema.const));
  if ('enum' in schema) return `(${schema.enum.map((value) => literal(JSON.stringify(value))).join(' | ')})`;
  if ('oneOf' in schema) return `(${schema.oneOf.map(rule).join(' | ')})`;
  switch (schema.type) {
    case 'string':
      return `${literal('"')} char{0,${Math.min(schema.maxLength ?? longestString, longestString)}} ${literal('"')}`;
    case 'integer':
      return 'integer';
    case 'number':
      return 'integer ("." [0-9]{1,6})?';
    case 'boolean':
      return '("true" | "false")';
    case 'object': {
      const fields = Object.entries(schema.properties).map(
        ([key, value]) => `${literal(`${JSON.stringify(key)}:`)} ${rule(value)}`,
      );
      return `${literal('{')} ${fields.join(` ${literal(',')} `)} ${literal('}')}`;
    }
  }
}

/** A string of GBNF that stands for exactly these characters. */
function literal(text: string): string {
  return `"${text.replace(/[\\"]/g, '\\$&').replace(/\n/g, '\\n')}"`;
}
