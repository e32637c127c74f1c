// A connection to NATS as one user, for tests, benches and the evaluation. It neither waits for a server nor guards
// callbacks: the processes of Parley have their own (bus/nats.ts).

import { connect, type NatsConnection } from '@nats-io/transport-node';

/**
 * Connects to an address as the stack gives it, with the user in it (`nats://user:password@host:port`). An inbox prefix is
 * needed where the user may subscribe to no other inboxes. Rejects when the server is not there or refuses the user.
 */
export function connectTo(address: string, inboxPrefix?: string): Promise<NatsConnection> {
  const { host, username, password } = new URL(address);
  return connect({
    servers: host,
    user: decodeURIComponent(username),
    pass: decodeURIComponent(password),
    ...(inboxPrefix !== undefined && { inboxPrefix }),
  });
}
