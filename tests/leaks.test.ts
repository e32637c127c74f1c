// Hundreds of short answers through the whole stack, many of them cancelled, on each engine: all end as they should, the cache
// is given back, and nobody's memory grows with them. `npm run soak -- --engine` does the same for 20,000.

import { describe, expect, test } from 'vitest';
import { generations } from '../scripts/soak/generations.ts';
import { hasTriton } from './helpers/triton.ts';

const count = 320;

describe.each(['llama', 'triton'] as const)('%s', (engine) => {
  test.skipIf(engine === 'triton' && !hasTriton)(
    'answers come and go and leave nothing behind',
    async () => {
      const result = await generations({ engine, count });
      expect(result.failed).toEqual({});
      expect(result.answers).toBeGreaterThanOrEqual(count);
      expect(result.cancelled).toBeGreaterThan(count / 8);
      expect(result.end).toMatchObject({ kv: 0, streams: 0 });
      // Far below what one answer's cache or pieces would be, were they kept; the collector's noise is in it.
      for (const kb of Object.values(result.kbPerAnswer)) expect(kb).toBeLessThan(300);
    },
    300_000,
  );
});
