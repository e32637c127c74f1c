// The socket server: the WebSocket handshake, events of sockets to the door, and listening. Reads everything it
// needs from a request before it returns, as uWS demands.

import { type Subprotocol, subprotocols } from '../bus/protocol.ts';
import type { Config } from '../runtime/config.ts';
import type { Connection, Door } from './door.ts';
import { addHttpRoutes, type HttpParts } from './http-routes.ts';
import type { UwsBuild, us_listen_socket } from './uws.ts';

export interface Server {
  readonly port: number;
  /** Takes no new sockets; open ones stay. */
  stopListening(): void;
  /** Closes everything that is still open, at once. */
  close(): void;
}

export interface ServerParts {
  readonly uws: UwsBuild;
  readonly door: Door;
  readonly draining: () => boolean;
  readonly http: HttpParts;
  readonly config: Pick<Config, 'host' | 'port' | 'pingMs' | 'maxFrameBytes' | 'maxBackpressureBytes'>;
}

/** Above this many times the limit a frame is not even read to its end: the socket is cut without a close frame. */
const hardFrameFactor = 8;
const minIdleS = 8;

/** Listens; rejects when the address is taken. */
export function startServer({ uws: { uws }, door, draining, http, config }: ServerParts): Promise<Server> {
  const app = uws.App();
  app.ws<Connection>('/v1/ws', {
    compression: uws.DISABLED,
    maxPayloadLength: config.maxFrameBytes * hardFrameFactor,
    // The gateway's own bound is the one that closes; uWS must never drop a frame before it.
    maxBackpressure: config.maxBackpressureBytes * 2 + 1_048_576,
    idleTimeout: Math.max(minIdleS, Math.ceil((2 * config.pingMs) / 1_000)),
    sendPingsAutomatically: true,
    upgrade(res, req, context) {
      const offered = req.getHeader('sec-websocket-protocol').split(',');
      const chosen = offered.map((p) => p.trim()).find((p): p is Subprotocol => p in subprotocols);
      const key = req.getHeader('sec-websocket-key');
      const extensions = req.getHeader('sec-websocket-extensions');
      if (draining()) {
        res.writeStatus('503 Service Unavailable').end('going away');
        return;
      }
      if (!chosen) {
        res
          .writeStatus('400 Bad Request')
          .end(`offer one of the subprotocols ${Object.keys(subprotocols).join(', ')}`);
        return;
      }
      const connection: Connection = { encoding: subprotocols[chosen], openedAt: performance.now() };
      res.upgrade(connection, key, chosen, extensions, context);
    },
    open: (ws) => door.opened(ws.getUserData(), ws),
    message: (ws, data, isBinary) => door.received(ws.getUserData(), data, isBinary),
    drain: (ws) => door.drained(ws.getUserData()),
    close: (ws, code) => door.closed(ws.getUserData(), code),
  });
  addHttpRoutes(app, http);

  return new Promise((resolve, reject) => {
    app.listen(config.host, config.port, (socket: us_listen_socket | false) => {
      if (!socket)
        return reject(
          new Error(`Cannot listen on ${config.host}:${config.port}: is it taken? Set PARLEY_PORT`),
        );
      let listening = true;
      const stopListening = () => {
        if (listening) uws.us_listen_socket_close(socket);
        listening = false;
      };
      resolve({
        port: uws.us_socket_local_port(socket),
        stopListening,
        close() {
          stopListening();
          app.close();
        },
      });
    });
  });
}
