// Entry file of a worker whose model can be made to hang: a model of a Triton that is taken for one of this process, so that
// nothing but its signs of life tells. Stopping the model's process stops it in mid-token.

import { readConfigOrExit } from '../../runtime/config.ts';
import type { Engine } from '../../tiers/engine.ts';
import { createTritonEngine, tritonOptions } from '../../tiers/gold/triton-engine.ts';
import { runWorker } from '../../tiers/run-worker.ts';

const never = { firstTokenMs: 600_000, silentMs: 600_000 };
const config = readConfigOrExit();
await runWorker(config, async (log) => {
  const engine = await createTritonEngine({ ...tritonOptions(config), ...never, log });
  let steps = 0;
  return new Proxy<Engine>(engine, {
    get(target, key) {
      if (key === 'stats') return () => ({ ...target.stats(), steps });
      if (key === 'generate') {
        return async function* (...asked: Parameters<Engine['generate']>) {
          for await (const chunk of target.generate(...asked)) {
            steps++;
            yield chunk;
          }
        };
      }
      // Triton says for a model that was stopped that it is not well; a thread that hangs has nobody to say so.
      if (key === 'health') return async () => {};
      if (key === 'probe')
        return (signal: AbortSignal) => target.probe(signal).catch(() => new Promise(() => {}));
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
});
