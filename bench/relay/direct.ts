// The least that a token can cost: a uWebSockets.js process that makes the frames itself, with the same engine as the
// worker and no bus between. Printed beside the relays for information.

import { decode, encode } from '../../bus/codec.ts';
import type { Say } from '../../bus/protocol.ts';
import { createRecordedEngine } from '../recorded/recorded-engine.ts';
import { listen } from './listen.ts';

const engine = createRecordedEngine({
  speed: Number(process.env.RECORDED_SPEED),
  firstMs: Number(process.env.RECORDED_FIRST_MS),
  endless: true,
  stamped: true,
  concurrency: 4_096,
});

await listen<{ abort: AbortController }>('direct', {
  connection: () => ({ abort: new AbortController() }),
  async message(ws, data) {
    const { s, npc, text, maxTokens } = decode(new Uint8Array(data), 'msgpack') as unknown as Say;
    const { signal } = ws.getUserData().abort;
    const prompt = { npc, player: text!, system: '', examples: [], turns: [] };
    let n = 0;
    for await (const chunk of engine.generate(prompt, { maxTokens: maxTokens!, temperature: 0 }, signal)) {
      if (signal.aborted) return;
      const message =
        chunk.type === 'text'
          ? { t: 'tok', s, n: ++n, d: chunk.text }
          : { t: 'end', s, n, reason: chunk.reason };
      ws.send(encode(message, 'msgpack'), true);
    }
  },
  close: (ws) => ws.getUserData().abort.abort(),
});
