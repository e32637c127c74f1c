// A uWebSockets.js server with the gateway's own build and bounds, for what the gateway is compared with. Says where
// it listens in the line that a gateway prints.

import { loadUws, type us_listen_socket, type WebSocket } from '../../gateway/uws.ts';

export interface Handlers<T> {
  /** What is kept for a new socket. */
  connection(): T;
  open?(ws: WebSocket<T>): void;
  /** `data` is only valid until the first `await`. */
  message(ws: WebSocket<T>, data: ArrayBuffer): void | Promise<void>;
  close?(ws: WebSocket<T>): void;
}

/** Resolves when it listens, on a free port of 127.0.0.1; ends with SIGTERM. */
export async function listen<T>(id: string, handlers: Handlers<T>): Promise<void> {
  const { uws } = loadUws();
  const app = uws.App();
  app.ws<T>('/*', {
    compression: uws.DISABLED,
    maxBackpressure: 64 * 1_048_576,
    idleTimeout: 120,
    sendPingsAutomatically: true,
    upgrade(res, req, context) {
      const header = (name: string) => req.getHeader(name);
      res.upgrade(
        handlers.connection(),
        header('sec-websocket-key'),
        header('sec-websocket-protocol'),
        header('sec-websocket-extensions'),
        context,
      );
    },
    open: (ws) => handlers.open?.(ws),
    message: (ws, data) => void handlers.message(ws, data),
    close: (ws) => handlers.close?.(ws),
  });
  const socket = await new Promise<us_listen_socket>((resolve, reject) => {
    app.listen('127.0.0.1', 0, (listening: us_listen_socket | false) =>
      listening ? resolve(listening) : reject(new Error('cannot listen')),
    );
  });
  process.on('SIGTERM', () => process.exit(0));
  const port = uws.us_socket_local_port(socket);
  process.stdout.write(`${JSON.stringify({ event: 'listening', id, port })}\n`);
}
