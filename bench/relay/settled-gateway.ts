// The gateway as it is, in a process that collects its garbage when it is asked to (SIGUSR2): so that its memory can
// be read without what the handshakes left behind, which V8 would only clear when it needs the room.

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const collect: () => void = runInNewContext('gc');
process.on('SIGUSR2', () => {
  // What a finalizer lets go is found by the next round.
  for (let round = 0; round < 3; round++) collect();
});

await import('../../gateway/main.ts');
