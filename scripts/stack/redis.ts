// A redis-server of our own on 127.0.0.1, with one user per role and no default user. `npm start` keeps its data
// (an append-only file); tests keep nothing.

import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Child, ChildSpec } from './child.ts';
import { freePort } from './ports.ts';
import { serverProgram } from './servers.ts';
import { Service } from './service.ts';

export interface RedisUser {
  readonly name: string;
  /** ACL rules, such as "~parley:* +@read". */
  readonly rules: string;
}

export interface RedisOptions {
  /** Holds redis.conf, users.acl and the data. */
  readonly dir: string;
  /** PARLEY_HOME, where set-up noted the program. */
  readonly home: string;
  readonly users: readonly RedisUser[];
  /** Wanted port; a free one when absent. */
  readonly port?: number;
  /** Whether what is written survives a restart. */
  readonly persistent: boolean;
}

const readyMs = 30_000; // a large append-only file takes a while to load
const portTries = 5;

export class RedisServer extends Service<void> {
  private readonly options: RedisOptions;
  private readonly program: string;
  private readonly passwords = new Map<string, string>();
  private bound: number | undefined;
  private hasServed = false;

  constructor(options: RedisOptions) {
    super('redis-server');
    this.options = options;
    this.program = serverProgram(options.home, 'redisServer');
    for (const user of options.users) this.passwords.set(user.name, randomBytes(18).toString('base64url'));
  }

  /** The port it listens on; it stays the same over restarts. */
  get port(): number {
    if (this.bound === undefined) throw new Error('redis-server has not been started');
    return this.bound;
  }

  /** The URL of one user, with its password. */
  url(name: string): string {
    const password = this.passwords.get(name);
    if (!password) throw new Error(`redis-server has no user ${name}`);
    return `redis://${name}:${password}@127.0.0.1:${this.port}`;
  }

  /** Starts it. A free port that somebody else took in between is replaced by another. */
  override async start(): Promise<void> {
    for (let tries = 1; ; tries++) {
      if (!this.hasServed) this.bound = this.options.port ?? (await freePort());
      try {
        await super.start();
        this.hasServed = true;
        return;
      } catch (error) {
        const lost = /Address already in use/i.test((error as Error).message);
        if (!lost || this.hasServed || this.options.port !== undefined || tries === portTries) throw error;
      }
    }
  }

  protected override spec(): ChildSpec {
    return { command: this.program, args: [this.configure()], stopMs: 10_000 };
  }

  protected override async ready(child: Child): Promise<void> {
    await child.until((line) => line.includes('Ready to accept connections') || undefined, readyMs);
  }

  /** Writes redis.conf and the users and returns the path of the former. */
  private configure(): string {
    const { dir, users, persistent } = this.options;
    const conf = join(dir, 'redis.conf');
    const acl = join(dir, 'users.acl');
    const accounts = users.map(({ name, rules }) => {
      const hash = createHash('sha256').update(this.passwords.get(name)!).digest('hex');
      return `user ${name} on #${hash} resetchannels ${rules}`;
    });
    const lines = [
      'bind 127.0.0.1',
      `port ${this.port}`,
      `dir ${JSON.stringify(dir)}`,
      `aclfile ${JSON.stringify(acl)}`,
      'acl-pubsub-default resetchannels',
      'daemonize no',
      'save ""',
      `appendonly ${persistent ? 'yes' : 'no'}`,
    ];
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    writeFileSync(acl, `${['user default off', ...accounts].join('\n')}\n`, { mode: 0o600 });
    writeFileSync(conf, `${lines.join('\n')}\n`, { mode: 0o600 });
    return conf;
  }
}

/** Starts a redis-server; resolves when it accepts connections. */
export async function startRedis(options: RedisOptions): Promise<RedisServer> {
  const server = new RedisServer(options);
  await server.start();
  return server;
}
