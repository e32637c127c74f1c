// The connection to NATS: named, with the inbox prefix of its role, reconnecting for ever with jitter. Says when
// it is up and when it is down; what to do then is the caller's business.

import { connect, type NatsConnection } from '@nats-io/transport-node';
import { type Log, withoutCredentials } from '../runtime/log.ts';
import { inboxPrefix, type Role } from './permissions.ts';

export interface Bus {
  readonly connection: NatsConnection;
  /** Whether the server can be reached now. Publishing while it cannot is buffered by the client. */
  readonly connected: boolean;
  /** Calls back when the connection comes back after a loss, with what was missed on core subjects gone. */
  onReconnect(listener: () => void): void;
  close(): Promise<void>;
}

export interface BusOptions {
  /** One URL or several with commas; credentials stand in the URL. */
  readonly url: string;
  readonly role: Role;
  readonly id: string;
  readonly log: Log;
  /** Told of each change, for metrics and readiness. */
  readonly onState?: (connected: boolean) => void;
}

/**
 * Connects, waiting for a server that is not there yet. Rejects when the credentials are refused: waiting would
 * not mend that.
 */
export async function connectBus({ url, role, id, log, onState }: BusOptions): Promise<Bus> {
  const servers = url.split(',').map((u) => new URL(u));
  const first = servers[0]!;
  const connection = await connect({
    servers: servers.map((u) => u.host),
    user: first.username ? decodeURIComponent(first.username) : undefined,
    pass: first.password ? decodeURIComponent(first.password) : undefined,
    name: `${role} ${id}`,
    inboxPrefix: inboxPrefix(role, id),
    waitOnFirstConnect: true,
    maxReconnectAttempts: -1,
    reconnectTimeWait: 250,
    reconnectJitter: 500,
    pingInterval: 5_000,
    maxPingOut: 2,
    // Credentials that a restarted server does not know yet are not a reason to give up for ever.
    ignoreAuthErrorAbort: true,
    noAsyncTraces: true,
  });
  guardCallbacks(connection, log);
  const listeners: (() => void)[] = [];
  const state = { connected: true, closing: false };
  onState?.(true);
  log.info({ server: withoutCredentials(connection.getServer()) }, 'connected to NATS');

  const set = (connected: boolean) => {
    if (state.connected === connected) return;
    state.connected = connected;
    onState?.(connected);
    if (!connected) return state.closing ? undefined : log.warn('lost NATS; reconnecting');
    log.info('reconnected to NATS');
    for (const listener of listeners) listener();
  };
  void (async () => {
    for await (const status of connection.status()) {
      if (status.type === 'disconnect' || status.type === 'staleConnection') set(false);
      else if (status.type === 'reconnect') set(true);
      else if (status.type === 'error') log.warn({ error: status.error.message }, 'NATS reported an error');
    }
    set(false);
  })();

  return {
    connection,
    get connected() {
      return state.connected;
    },
    onReconnect: (listener) => {
      listeners.push(listener);
    },
    async close() {
      state.closing = true;
      await connection.drain().catch(() => connection.close());
    },
  };
}

/**
 * An error that leaves a callback would end the client's reading for ever, while the connection looks open: it is
 * logged instead, and the message counts as not understood.
 */
function guardCallbacks(connection: NatsConnection, log: Log): void {
  const subscribe = connection.subscribe.bind(connection);
  connection.subscribe = (subject, options) => {
    const callback = options?.callback;
    if (!callback) return subscribe(subject, options);
    const guarded: typeof callback = (error, message) => {
      try {
        callback(error, message);
      } catch (cause) {
        log.error({ err: cause, subject: message.subject }, 'a message could not be handled');
      }
    };
    return subscribe(subject, { ...options, callback: guarded });
  };
}
