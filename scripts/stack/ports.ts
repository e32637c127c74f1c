// Ports on this machine. A free one is found by binding port 0 and letting go; whoever uses it must be ready to
// find it taken after all.

import { createServer } from 'node:net';

/** A port of 127.0.0.1 that was free a moment ago. */
export async function freePort(): Promise<number> {
  const port = await bind('127.0.0.1', 0);
  if (port === undefined) throw new Error('no port is free on 127.0.0.1');
  return port;
}

/** Whether nothing listens on that port of that address. */
export async function isFree(host: string, port: number): Promise<boolean> {
  return (await bind(host, port)) !== undefined;
}

function bind(host: string, port: number): Promise<number | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(undefined));
    server.listen(port, host, () => {
      const bound = server.address();
      server.close(() => resolve(typeof bound === 'object' && bound ? bound.port : undefined));
    });
  });
}
