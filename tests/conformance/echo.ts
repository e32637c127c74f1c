// What Autobahn's cases want to talk to: a server that sends every message back, built by the gateway's own loader
// and with the gateway's own socket options. No door, no messages of ours: this is about frames alone.

import { socketOptions } from '../../gateway/server.ts';
import { loadUws } from '../../gateway/uws.ts';
import { readConfig } from '../../runtime/config.ts';

const { uws } = loadUws();
const config = readConfig({});
const app = uws.App();
app.ws('/*', {
  // A case sends 256 KiB, far more than a player may.
  ...socketOptions(uws, { ...config, maxFrameBytes: 65_536 }),
  message: (ws, data, isBinary) => {
    ws.send(data, isBinary);
  },
});
app.listen('127.0.0.1', 0, (socket) => {
  if (!socket) throw new Error('cannot listen');
  const port = uws.us_socket_local_port(socket);
  process.stdout.write(`${JSON.stringify({ event: 'listening', id: 'echo', port })}\n`);
});
