// A worker with the real llama engine whose pieces say when the engine gave them: the entry file of the part that measures
// what a worker adds to a token. Nobody else can name it.

import { readConfigOrExit } from '../../runtime/config.ts';
import type { Engine } from '../../tiers/engine.ts';
import { createLlamaEngine } from '../../tiers/llama-engine.ts';
import { runWorker } from '../../tiers/run-worker.ts';
import { stamp } from '../recorded/stamp.ts';

const config = readConfigOrExit();
await runWorker(config, async (log) => {
  const engine = await createLlamaEngine({ ...config, log });
  return new Proxy<Engine>(engine, {
    get(target, key) {
      if (key === 'generate') {
        return async function* (...asked: Parameters<Engine['generate']>) {
          for await (const chunk of target.generate(...asked))
            yield chunk.type === 'text' ? { ...chunk, text: `${stamp()} ` } : chunk;
        };
      }
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
});
