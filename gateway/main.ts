// The gateway's entry: reads the configuration, starts, says where it listens. What it is made of stands in
// compose.ts.

import { randomUUID } from 'node:crypto';
import { readConfigOrExit } from '../runtime/config.ts';
import { run } from '../runtime/lifecycle.ts';
import { createLog } from '../runtime/log.ts';
import { startGateway } from './compose.ts';

const config = readConfigOrExit();
const id = config.id || `gw-${randomUUID().slice(0, 8)}`;
const log = createLog(`gateway ${id}`, config.logLevel);

await run(log, async (life) => {
  const { port } = await startGateway(config, id, log, life);
  log.info({ host: config.host, port }, 'listening');
  process.stdout.write(`${JSON.stringify({ event: 'listening', id, port })}\n`);
});
