// A nats-server of our own on 127.0.0.1, with one user per process and the permissions of bus/permissions.ts. The
// configuration that `npm start` runs and the one that tests attack are the same file, written here.

import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { NatsPermissions } from '../../bus/permissions.ts';
import type { Child, ChildSpec } from './child.ts';
import { serverProgram } from './servers.ts';
import { Service } from './service.ts';

export interface NatsUser {
  readonly name: string;
  readonly permissions: NatsPermissions;
}

export interface NatsOptions {
  /** Holds nats.conf. */
  readonly dir: string;
  /** PARLEY_HOME, where set-up noted the program. */
  readonly home: string;
  readonly users: readonly NatsUser[];
  /** Wanted port; a free one when absent. */
  readonly port?: number;
  /** Where it tells about itself over HTTP; nowhere when absent. */
  readonly monitorPort?: number;
}

const readyMs = 15_000;

export class NatsServer extends Service<void> {
  private readonly dir: string;
  private readonly program: string;
  private readonly monitorPort: number | undefined;
  private readonly users = new Map<string, NatsUser & { readonly password: string }>();
  private bound: number | undefined;
  /** One reload at a time: the server does not say which one it has done. */
  private reloading: Promise<unknown> = Promise.resolve();

  constructor({ dir, home, users, port, monitorPort }: NatsOptions) {
    super('nats-server');
    this.dir = dir;
    this.program = serverProgram(home, 'natsServer');
    this.bound = port;
    this.monitorPort = monitorPort;
    for (const user of users) this.remember(user);
  }

  /** The port it listens on; it stays the same over restarts. */
  get port(): number {
    if (this.bound === undefined) throw new Error('nats-server has not been started');
    return this.bound;
  }

  hasUser(name: string): boolean {
    return this.users.has(name);
  }

  /** The URL of one user, with its password. */
  url(name: string): string {
    const user = this.users.get(name);
    if (!user) throw new Error(`nats-server has no user ${name}`);
    return `nats://${name}:${user.password}@127.0.0.1:${this.port}`;
  }

  /** Adds a user, or changes the permissions of one, and resolves with its URL once the running server knows it. */
  addUser(user: NatsUser): Promise<string> {
    const added = this.reloading.then(async () => {
      this.remember(user);
      this.configure();
      if (this.child?.running) {
        const done = this.child.next(
          (line) => /Reloaded server configuration/.test(line) || undefined,
          readyMs,
        );
        this.child.kill('SIGHUP');
        await done;
      }
      return this.url(user.name);
    });
    this.reloading = added.catch(() => {});
    return added;
  }

  protected override spec(): ChildSpec {
    return { command: this.program, args: ['-c', this.configure()] };
  }

  protected override async ready(child: Child): Promise<void> {
    const listening = /Listening for client connections on \S+:(\d+)/;
    this.bound = await child.until((line) => Number(listening.exec(line)?.[1]) || undefined, readyMs);
    await child.until((line) => line.includes('Server is ready') || undefined, readyMs);
  }

  private remember(user: NatsUser): void {
    const password = this.users.get(user.name)?.password ?? randomBytes(18).toString('base64url');
    this.users.set(user.name, { ...user, password });
  }

  /** Writes nats.conf and returns its path. A JSON document is a valid one. */
  private configure(): string {
    const file = join(this.dir, 'nats.conf');
    const users = [...this.users.values()].map(({ name, password, permissions }) => ({
      user: name,
      password,
      permissions: {
        publish: permissions.publish,
        subscribe: permissions.subscribe,
        ...(permissions.allowResponses && { allow_responses: permissions.allowResponses }),
      },
    }));
    const conf = {
      host: '127.0.0.1',
      port: this.bound ?? -1, // -1: the server picks a free one
      ...(this.monitorPort !== undefined && { http: `127.0.0.1:${this.monitorPort}` }),
      max_payload: 1_048_576,
      max_pending: 67_108_864, // of one client, in bytes; beyond it that client is a slow consumer and is cut off
      write_deadline: '10s',
      ping_interval: '20s',
      ping_max: 2,
      authorization: { users },
    };
    mkdirSync(this.dir, { recursive: true, mode: 0o700 });
    writeFileSync(file, `${JSON.stringify(conf, null, 2)}\n`, { mode: 0o600 });
    return file;
  }
}

/** Starts a nats-server; resolves when it accepts connections. */
export async function startNats(options: NatsOptions): Promise<NatsServer> {
  const server = new NatsServer(options);
  await server.start();
  return server;
}
