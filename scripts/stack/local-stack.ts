// A whole Parley on this machine: nats-server, redis-server, workers and gateways, each a process of its own with
// its own user and permissions. `npm start`, the tests and the benches all run this one.

import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { natsPermissions, type Role, redisRules } from '../../bus/permissions.ts';
import { type Config, readConfig } from '../../runtime/config.ts';
import { NatsServer, type NatsUser } from './nats.ts';
import { freePort, isFree } from './ports.ts';
import { NodeProcess } from './process.ts';
import { RedisServer } from './redis.ts';
import type { Service } from './service.ts';
import { type ReadyLine, type Slot, takeSlot } from './state.ts';
import { supervise } from './supervise.ts';
import { developmentSecret, signToken, type TokenKey } from './token.ts';
import { localTriton, type TritonServer } from './triton.ts';

export interface StackOptions {
  /** How many of each; 1 when absent. */
  readonly gateways?: number;
  readonly workers?: number;
  /** Settings (PARLEY_…) on top of this process's environment. */
  readonly env?: NodeJS.ProcessEnv;
  /** Nothing is kept: data in a folder that goes with the stack, free ports, no state file, no restarts. */
  readonly ephemeral?: boolean;
  /** Entry files of the game's own servers by name, from the root of the repository. Each gets PARLEY_NATS_URL. */
  readonly backends?: Readonly<Record<string, string>>;
  /** Entry file of the workers, from the root of the repository. */
  readonly workerEntry?: string;
  /** Where the nats-server tells about itself over HTTP; nowhere when absent. */
  readonly natsMonitorPort?: number;
  /** Progress, for a person. */
  readonly say?: (line: string) => void;
  /** Each line of the logs of gateways and workers. */
  readonly onLog?: (line: string) => void;
  /** Called after a part that had died serves again. */
  readonly onReturn?: () => void;
}

export interface ExtraProcess {
  /** A name on the bus; the next free one (gw2, gold3) when absent. */
  readonly id?: string;
  readonly entry?: string;
  readonly env?: NodeJS.ProcessEnv;
}

const readyzMs = 120_000;
const portTries = 5;

export class LocalStack implements AsyncDisposable {
  readonly config: Config;
  readonly gateways: NodeProcess[] = [];
  readonly workers: NodeProcess[] = [];
  readonly backends: NodeProcess[] = [];
  private readonly options: StackOptions;
  private readonly env: NodeJS.ProcessEnv;
  private readonly home: string;
  private readonly say: (line: string) => void;
  private readonly stopping = new AbortController();
  /** The NATS user of each gateway and worker. */
  private readonly identities = new Map<Service, NatsUser>();
  private slot: Slot | undefined;
  private scratch: string | undefined;
  private natsServer: NatsServer | undefined;
  private redisServer: RedisServer | undefined;
  private tritonServer: TritonServer | undefined;
  private tokenKey: TokenKey | undefined;
  private stopped: Promise<void> | undefined;

  /** Throws a ConfigError when a setting is wrong. */
  constructor(options: StackOptions = {}) {
    this.options = options;
    this.say = options.say ?? (() => {});
    // An ephemeral stack touches no server of somebody else, whatever the settings of this shell name.
    const own = options.ephemeral ? { PARLEY_NATS_URL: '', PARLEY_REDIS_URL: '' } : {};
    const env: NodeJS.ProcessEnv = { ...process.env, ...own, ...options.env };
    if (options.ephemeral) env.PARLEY_PORT ||= '0';
    this.config = readConfig(env);
    this.home = resolve(this.config.home);
    this.env = { ...env, PARLEY_HOME: this.home };
  }

  /** The slot of a stack that keeps its data; 0 for an ephemeral one. */
  get number(): number {
    return this.slot?.number ?? 0;
  }

  get nats(): NatsServer {
    if (!this.natsServer) throw new Error('this stack runs no nats-server of its own');
    return this.natsServer;
  }

  get redis(): RedisServer {
    if (!this.redisServer) throw new Error('this stack runs no redis-server of its own');
    return this.redisServer;
  }

  /** The key that the gateways check tokens with. */
  get key(): TokenKey {
    if (!this.tokenKey) throw new Error('the stack has not been started');
    return this.tokenKey;
  }

  /** The URL of a gateway, the first by default. */
  http(gateway = 0): string {
    const host = ['0.0.0.0', '::'].includes(this.config.host) ? '127.0.0.1' : this.config.host;
    const port = this.gateways[gateway]?.listening.port;
    return `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
  }

  /** Where players connect. */
  ws(gateway = 0): string {
    return `${this.http(gateway).replace('http', 'ws')}/v1/ws`;
  }

  /** NATS as a backend sees it. */
  natsUrl(user = 'backend'): string {
    return this.natsServer?.url(user) ?? this.config.natsUrl;
  }

  /** Redis as an operator sees it. */
  redisUrl(user = 'operator'): string {
    return this.redisServer?.url(user) ?? this.config.redisUrl;
  }

  /** A token for a player, signed as this stack wants it. */
  token(player: string, hours?: number): Promise<string> {
    return signToken(this.key, player, hours);
  }

  readyLine(): ReadyLine {
    const gateways = this.gateways.map((_, i) => this.http(i));
    return {
      event: 'ready',
      ws: this.ws(),
      http: this.http(),
      nats: this.natsUrl(),
      redis: this.redisUrl(),
      ...(gateways.length > 1 && { gateways }),
    };
  }

  /** Every part that runs or should run, in the order of their start. */
  services(): Service[] {
    const servers = [this.natsServer, this.redisServer, this.tritonServer].filter(
      (server) => server !== undefined,
    );
    return [...servers, ...this.workers, ...this.gateways, ...this.backends];
  }

  /** Starts everything; resolves once every gateway is ready. Rejects with everything stopped. */
  async start(): Promise<void> {
    try {
      await this.startServers();
      const { gateways = 1, workers = 1 } = this.options;
      // A worker loads its model meanwhile; a gateway waits for workers by itself.
      await Promise.all([
        ...Array.from({ length: workers }, () => this.startWorker()),
        ...Array.from({ length: gateways }, () => this.startGateway()),
      ]);
      await Promise.all(this.gateways.map((_, i) => this.ready(i)));
      for (const [name, entry] of Object.entries(this.options.backends ?? {})) {
        await this.startBackend(name, entry);
      }
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  /** Starts one more worker; resolves when it serves. */
  async startWorker({ id, entry, env }: ExtraProcess = {}): Promise<NodeProcess> {
    const { tier } = this.config;
    const worker = this.addMember(this.workers, {
      id: id ?? nextId(tier, this.workers),
      entry: entry ?? this.options.workerEntry ?? 'tiers/main.ts',
      role: 'worker',
      env: () => ({
        ...this.env,
        PARLEY_JWT_SECRET: undefined, // not a worker's business
        ...(this.tritonServer && {
          PARLEY_TRITON_URLS: this.tritonServer.address,
          PARLEY_TRITON_METRICS_URLS: this.tritonServer.metricsUrl,
        }),
        PARLEY_METRICS_PORT: this.workers.length > 1 ? '0' : this.env.PARLEY_METRICS_PORT,
        ...env,
      }),
    });
    await this.launch(worker);
    return worker;
  }

  /** Starts one more gateway; resolves when it listens. */
  async startGateway({ id, entry = 'gateway/main.ts', env }: ExtraProcess = {}): Promise<NodeProcess> {
    // The port is chosen here and not by the gateway (PARLEY_PORT=0): a port that the kernel chose cannot be
    // listened on again for a minute after its process died, and a gateway has to come back where it was.
    const wanted = this.gateways.length === 0 ? this.config.port : 0;
    let port = wanted;
    const gateway = this.addMember(this.gateways, {
      id: id ?? nextId('gw', this.gateways),
      entry,
      role: 'gateway',
      env: () => ({
        ...this.env,
        PARLEY_PORT: String(port),
        PARLEY_JWT_SECRET: this.key.secret,
        PARLEY_DEV_TOKENS: this.env.PARLEY_DEV_TOKENS || (isLoopback(this.config.host) ? '1' : '0'),
        ...env,
      }),
    });
    if (wanted !== 0 && !(await isFree(this.config.host, wanted))) {
      this.say(`port ${wanted} is taken; ${gateway.name} takes a free one`);
      port = 0;
    }
    for (let tries = 1; ; tries++) {
      const chosen = port === 0 || tries > 1;
      if (chosen) port = await freePort();
      try {
        await this.launch(gateway);
        return gateway;
      } catch (error) {
        const lost = chosen && /Cannot listen on/.test((error as Error).message);
        if (!lost || tries === portTries) throw error;
      }
    }
  }

  /** Starts a server of the game; resolves when it listens. It has a backend's rights and nothing of Redis. */
  async startBackend(id: string, entry: string): Promise<NodeProcess> {
    const backend = new NodeProcess({
      name: `backend ${id}`,
      entry,
      onLog: this.options.onLog,
      env: () => ({ ...withoutParley(process.env), PARLEY_NATS_URL: this.natsUrl(this.natsServer && id) }),
    });
    this.backends.push(backend);
    this.identities.set(backend, this.natsUser('backend', id));
    await this.launch(backend);
    return backend;
  }

  /** Stops everything, in the reverse order of its start. Also ends a start that is under way. */
  stop(): Promise<void> {
    this.stopping.abort();
    this.stopped ??= this.stopAll();
    return this.stopped;
  }

  /** Ends every process at once. */
  kill(): void {
    for (const service of this.services()) service.child?.killGroup();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  /** Writes the state file, for those who look for this stack. */
  writeState(startedAt: Date): void {
    this.slot?.write({
      ready: this.readyLine(),
      key: this.key,
      pid: process.pid,
      startedAt: startedAt.toISOString(),
      processes: this.services().map(({ name, pid }) => ({ name, pid })),
    });
  }

  private async startServers(): Promise<void> {
    const { home, config, options } = this;
    if (options.ephemeral) this.scratch = mkdtempSync(join(tmpdir(), 'parley-'));
    else this.slot = await takeSlot(home);
    const data = (name: string) =>
      this.scratch ? join(this.scratch, name) : join(home, 'data', `${name}-${this.number}`);
    this.tokenKey = {
      secret:
        config.jwtSecret || (this.scratch ? randomBytes(32).toString('base64url') : developmentSecret(home)),
      audience: config.jwtAudience,
      issuer: config.jwtIssuer,
    };
    if (config.natsUrl === '') {
      const { gateways = 1, workers = 1 } = options;
      const users = [
        this.natsUser('backend', 'backend'),
        ...ids('gw', gateways).map((id) => this.natsUser('gateway', id)),
        ...ids(config.tier, workers).map((id) => this.natsUser('worker', id)),
      ];
      this.natsServer = new NatsServer({
        dir: data('nats'),
        home,
        users,
        monitorPort: options.natsMonitorPort,
      });
    }
    if (config.redisUrl === '') {
      this.redisServer = new RedisServer({
        dir: data('redis'),
        home,
        persistent: !options.ephemeral,
        users: [
          { name: 'gateway', rules: redisRules('gateway', config.prefix) },
          { name: 'worker', rules: redisRules('worker', config.prefix) },
          { name: 'operator', rules: '~* &* +@all' },
        ],
      });
    }
    if (config.engine === 'triton' && config.tritonUrls === '') {
      this.tritonServer = await localTriton(config, options.onLog);
    }
    const servers = [this.natsServer, this.redisServer, this.tritonServer];
    await Promise.all(servers.map((server) => server && this.launch(server)));
  }

  private addMember(
    members: NodeProcess[],
    member: { id: string; entry: string; role: 'gateway' | 'worker'; env: () => NodeJS.ProcessEnv },
  ): NodeProcess {
    const { id, entry, role, env } = member;
    const added = new NodeProcess({
      name: `${role} ${id}`,
      entry,
      stopMs: this.config.drainMs + 5_000,
      onLog: this.options.onLog,
      env: () => ({
        ...env(),
        // Servers of somebody else have users of their own; there each process names itself.
        PARLEY_ID: this.natsServer ? id : undefined,
        PARLEY_NATS_URL: this.natsUrl(id),
        PARLEY_REDIS_URL: this.redisUrl(role),
      }),
    });
    members.push(added);
    this.identities.set(added, this.natsUser(role, id));
    return added;
  }

  private natsUser(role: Role, id: string): NatsUser {
    const { prefix, tier } = this.config;
    return { name: id, permissions: natsPermissions(role, { prefix, id, tier }) };
  }

  private async launch(service: Service): Promise<void> {
    const user = this.identities.get(service);
    if (user && this.natsServer?.hasUser(user.name) === false) await this.natsServer.addUser(user);
    this.stopping.signal.throwIfAborted();
    this.say(`starting ${service.name}`);
    await service.start();
    if (!this.options.ephemeral) supervise(service, this.say, this.options.onReturn ?? (() => {}));
  }

  /** Waits until a gateway says that it is ready to take players. */
  private async ready(gateway: number): Promise<void> {
    const member = this.gateways[gateway]!;
    const deadline = Date.now() + readyzMs;
    let answer = '';
    while (Date.now() < deadline) {
      this.stopping.signal.throwIfAborted();
      if (!member.pid) throw new Error(`${member.name} has ended\n${member.child?.output()}`);
      try {
        const response = await fetch(`${this.http(gateway)}/readyz`, { signal: AbortSignal.timeout(2_000) });
        answer = (await response.text()).trim();
        if (response.ok) return;
      } catch (error) {
        answer = (error as Error).message;
      }
      await sleep(50);
    }
    throw new Error(`${member.name} is not ready after ${readyzMs / 1000} s: ${answer}`);
  }

  private async stopAll(): Promise<void> {
    await Promise.all(this.backends.map((backend) => backend.stop()));
    await Promise.all(this.gateways.map((gateway) => gateway.stop()));
    await Promise.all(this.workers.map((worker) => worker.stop()));
    await Promise.all([this.redisServer?.stop(), this.natsServer?.stop(), this.tritonServer?.stop()]);
    await this.slot?.release();
    if (this.scratch) rmSync(this.scratch, { recursive: true, force: true });
  }
}

/** Settings of Parley, secrets among them, are not a game server's business; the prefix is. */
function withoutParley(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const names = Object.entries(env).filter(
    ([name]) => !name.startsWith('PARLEY_') || name === 'PARLEY_PREFIX',
  );
  return Object.fromEntries(names);
}

/** gw1, gw2, … */
function ids(stem: string, count: number): string[] {
  return Array.from({ length: count }, (_, i) => `${stem}${i + 1}`);
}

function nextId(stem: string, members: readonly NodeProcess[]): string {
  const taken = new Set(members.map(({ name }) => name.split(' ')[1]));
  return ids(stem, members.length + 1).find((id) => !taken.has(id))!;
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host.startsWith('127.');
}

/** Starts a stack; resolves once every gateway is ready. */
export async function startStack(options: StackOptions = {}): Promise<LocalStack> {
  const stack = new LocalStack(options);
  await stack.start();
  return stack;
}
