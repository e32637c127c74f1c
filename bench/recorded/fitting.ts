// Some JSON that fits a schema, picked by a number: what the recorded engine answers where an answer has to have a
// form. The real model's choices were not recorded; their length and rhythm are what load runs need.

import type { AnswerSchema } from '../../tiers/engine.ts';

/** The same value for the same number. */
export function fitting(schema: AnswerSchema, number: number): unknown {
  if ('const' in schema) return schema.const;
  if ('enum' in schema) return schema.enum[number % schema.enum.length];
  if ('oneOf' in schema) return fitting(schema.oneOf[number % schema.oneOf.length]!, number >>> 4);
  switch (schema.type) {
    case 'string':
      return 'here'.slice(0, schema.maxLength);
    case 'integer':
    case 'number':
      return number % 100;
    case 'boolean':
      return number % 2 === 1;
    case 'object':
      return Object.fromEntries(
        Object.entries(schema.properties).map(([key, value], i) => [key, fitting(value, number >>> i)]),
      );
  }
}
