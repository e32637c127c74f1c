// A worker's own HTTP: /metrics, /healthz and /readyz, for Prometheus and Kubernetes. Off the request path.

import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Registry } from 'prom-client';

export interface HealthServer {
  readonly port: number;
  close(): void;
}

/**
 * Listens on all interfaces; rejects when the port is taken. `notReady` says what is missing to take work, `hangs` why the
 * process should be started again.
 */
export async function startHealthServer({
  port,
  registry,
  notReady,
  hangs,
}: {
  port: number;
  registry: Registry;
  notReady: () => string[];
  hangs: () => string | undefined;
}): Promise<HealthServer> {
  const server: Server = createServer(async (request, response) => {
    try {
      if (request.url === '/healthz') {
        const why = hangs();
        return void response.writeHead(why === undefined ? 200 : 503).end(why ?? 'ok');
      }
      if (request.url === '/readyz') {
        const missing = notReady();
        const body = JSON.stringify({ ready: missing.length === 0, notReady: missing });
        return void response
          .writeHead(missing.length === 0 ? 200 : 503, { 'content-type': 'application/json' })
          .end(body);
      }
      if (request.url === '/metrics') {
        return void response
          .writeHead(200, { 'content-type': registry.contentType })
          .end(await registry.metrics());
      }
      response.writeHead(404).end();
    } catch {
      response.writeHead(500).end();
    }
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, () => resolve());
  });
  return { port: (server.address() as AddressInfo).port, close: () => void server.close() };
}
