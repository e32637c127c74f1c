// The socket server: the WebSocket handshake, events of sockets to the door, listening, and certificates. Reads
// everything it needs from a request before it returns, as uWS demands.

import { type Subprotocol, subprotocols } from '../bus/protocol.ts';
import type { Config } from '../runtime/config.ts';
import type { Log } from '../runtime/log.ts';
import { watchCertificate } from './certificate.ts';
import type { Connection, Door } from './door.ts';
import { addHttpRoutes, type HttpParts } from './http-routes.ts';
import type { HttpRequest, HttpResponse, TemplatedApp, UwsBuild, us_listen_socket } from './uws.ts';

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
  readonly log: Log;
  readonly config: Pick<
    Config,
    | 'host'
    | 'port'
    | 'pingMs'
    | 'maxFrameBytes'
    | 'maxBackpressureBytes'
    | 'pauseBytes'
    | 'origins'
    | 'trustProxy'
    | 'tlsCert'
    | 'tlsKey'
  >;
}

/** Above this many times the limit a frame is not even read to its end: the socket is cut without a close frame. */
const hardFrameFactor = 8;
const minIdleS = 8;

/** Listens; rejects when the address is taken or the certificate is unusable. */
export async function startServer(parts: ServerParts): Promise<Server> {
  const { config, log, uws } = parts;
  const { us_listen_socket_close, us_socket_local_port } = uws.uws;
  let app = createApp(parts);
  const retired: TemplatedApp[] = [];
  let listening: us_listen_socket | undefined = await listen(app, parts, config.port);
  const port = us_socket_local_port(listening);

  const stopListening = () => {
    if (listening) us_listen_socket_close(listening);
    listening = undefined;
  };
  const renewCertificate = async () => {
    // Throws on a certificate that does not fit: then the old one goes on.
    const next = createApp(parts);
    if (!listening) return;
    stopListening();
    retired.push(app);
    app = next;
    listening = await listen(next, parts, port);
    log.info('the certificate was read again');
  };
  const stopWatching = config.tlsCert === '' ? () => {} : watchCertificate(config, renewCertificate, log);
  return {
    port,
    stopListening,
    close() {
      stopWatching();
      stopListening();
      for (const one of [...retired, app]) one.close();
    },
  };
}

/** How uWS treats every socket. Exported for the conformance test, which tries these and no others. */
export function socketOptions(
  { DISABLED }: Pick<UwsBuild['uws'], 'DISABLED'>,
  config: Pick<Config, 'maxFrameBytes' | 'maxBackpressureBytes' | 'pauseBytes' | 'pingMs'>,
) {
  return {
    compression: DISABLED,
    maxPayloadLength: config.maxFrameBytes * hardFrameFactor,
    // The gateway's own bounds decide; uWS must never drop a frame before them.
    maxBackpressure: config.maxBackpressureBytes + config.pauseBytes + 1_048_576,
    idleTimeout: Math.max(minIdleS, Math.ceil((2 * config.pingMs) / 1_000)),
    sendPingsAutomatically: true,
  };
}

function createApp({ uws: { uws }, door, draining, http, config }: ServerParts): TemplatedApp {
  const app =
    config.tlsCert === ''
      ? uws.App()
      : uws.SSLApp({ cert_file_name: config.tlsCert, key_file_name: config.tlsKey });
  const origins = new Set(
    config.origins
      .split(',')
      .map((o) => o.trim())
      .filter((o) => o !== ''),
  );
  app.ws<Connection>('/v1/ws', {
    ...socketOptions(uws, config),
    upgrade(res, req, context) {
      const offered = req.getHeader('sec-websocket-protocol').split(',');
      const chosen = offered
        .map((p) => p.trim())
        .find((p): p is Subprotocol => Object.hasOwn(subprotocols, p));
      const key = req.getHeader('sec-websocket-key');
      const extensions = req.getHeader('sec-websocket-extensions');
      const origin = req.getHeader('origin');
      if (draining()) {
        res.writeStatus('503 Service Unavailable').end('going away');
        return;
      }
      if (!chosen) {
        const known = Object.keys(subprotocols).join(', ');
        res.writeStatus('400 Bad Request').end(`offer one of the subprotocols ${known}`);
        return;
      }
      const connection: Connection = {
        encoding: subprotocols[chosen],
        address: addressOf(res, req, config.trustProxy),
        refused: origin !== '' && origins.size > 0 && !origins.has(origin) ? 'notAllowed' : undefined,
      };
      res.upgrade(connection, key, chosen, extensions, context);
    },
    open: (ws) => door.opened(ws.getUserData(), ws),
    message: (ws, data, isBinary) => door.received(ws.getUserData(), data, isBinary),
    drain: (ws) => door.drained(ws.getUserData()),
    close: (ws, code) => door.closed(ws.getUserData(), code),
  });
  addHttpRoutes(app, http);
  return app;
}

function listen(
  app: TemplatedApp,
  { uws: { uws }, config }: ServerParts,
  port: number,
): Promise<us_listen_socket> {
  return new Promise((resolve, reject) => {
    // Exclusive: two gateways that share a port by accident would share its players at random.
    const { LIBUS_LISTEN_EXCLUSIVE_PORT: exclusive } = uws as unknown as {
      LIBUS_LISTEN_EXCLUSIVE_PORT: number;
    };
    (app.listen as unknown as ListenWithOptions).call(app, config.host, port, exclusive, (socket) => {
      if (socket) resolve(socket);
      else reject(new Error(`Cannot listen on ${config.host}:${port}: is it taken? Set PARLEY_PORT`));
    });
  });
}

/** A form of `listen` that the library has and its types have not. */
type ListenWithOptions = (
  host: string,
  port: number,
  options: number,
  done: (socket: us_listen_socket | false) => void,
) => TemplatedApp;

function addressOf(res: HttpResponse, req: HttpRequest, trustProxy: boolean): string {
  const forwarded = trustProxy ? req.getHeader('x-forwarded-for').split(',').at(-1)!.trim() : '';
  return forwarded !== '' ? forwarded : Buffer.from(res.getRemoteAddressAsText()).toString();
}
