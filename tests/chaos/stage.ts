// What a chaos run breaks: two gateways and several workers on a nats-server and a redis-server of their own, each
// part a process. On request every connection leads through a TCP proxy that can be cut, delayed and throttled.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parse } from 'yaml';
import { LocalStack } from '../../scripts/stack/local-stack.ts';
import type { NodeProcess } from '../../scripts/stack/process.ts';
import { repository } from '../../scripts/stack/servers.ts';
import type { Service } from '../../scripts/stack/service.ts';
import { Toxiproxy } from './toxiproxy.ts';

export interface StageOptions {
  readonly engine: 'recorded' | 'llama';
  readonly workers?: number;
  /** The recorded engine's speed; 1 is the real model's on one stream alone. */
  readonly speed?: number;
  /** Recorded pieces in one piece. */
  readonly merged?: number;
  readonly env?: NodeJS.ProcessEnv;
  /** Where NATS tells about itself, for `natsFigures`. */
  readonly natsMonitorPort?: number;
  /** Path of toxiproxy: then everything goes through it. */
  readonly toxiproxy?: string;
  readonly onLog?: (line: string) => void;
}

const npcs = 'tests/chaos/npcs';
export const npc = 'storyteller';
const character: { fallback: string[] } = parse(readFileSync(join(repository, npcs, `${npc}.yaml`), 'utf8'));
/** The lines that the character may say of its own when no worker can. */
export const authoredLines: readonly string[] = character.fallback;

/** The time bounds are those of production, except where a run would have to wait for nothing but them. */
const settings = {
  PARLEY_NPCS: npcs,
  PARLEY_LOG_LEVEL: 'warn',
  PARLEY_BUDGET_MS: '180000',
  PARLEY_MAX_TOKENS: '8192',
  PARLEY_DRAIN_MS: '8000',
};
/**
 * Twenty pieces a second for each player. At the speed of the recording (a hundred), five hundred players would want
 * more frames than two cores with everything else on them can carry, and a run would measure that.
 */
const usualSpeed = 0.2;
const healedMs = 60_000;

type Name = string;

/** The local stack, with a proxy before every server port and gateway port. */
class ProxiedStack extends LocalStack {
  /** Ports of the proxies, by the name of the proxy. */
  readonly proxied = new Map<Name, number>();
  toxiproxy: Toxiproxy | undefined;
  /** One at a time: members are started side by side. */
  #making: Promise<unknown> = Promise.resolve();

  override natsUrl(user = 'backend'): string {
    return through(super.natsUrl(user), this.proxied.get(`nats-${user}`));
  }

  override redisUrl(user = 'operator'): string {
    return through(super.redisUrl(user), this.proxied.get(`redis-${user}`));
  }

  override ws(gateway = 0): string {
    return through(super.ws(gateway), this.proxied.get(`players-gw${gateway + 1}`));
  }

  override async startGateway(...options: Parameters<LocalStack['startGateway']>): Promise<NodeProcess> {
    const id = options[0]?.id ?? `gw${this.gateways.length + 1}`;
    await this.#proxy(`nats-${id}`, () => this.nats.port);
    await this.#proxy('redis-gateway', () => this.redis.port);
    const gateway = await super.startGateway({ ...options[0], id });
    await this.#proxy(`players-${id}`, () => gateway.listening.port!);
    return gateway;
  }

  override async startWorker(...options: Parameters<LocalStack['startWorker']>): Promise<NodeProcess> {
    const id = options[0]?.id ?? `gold${this.workers.length + 1}`;
    await this.#proxy(`nats-${id}`, () => this.nats.port);
    await this.#proxy('redis-worker', () => this.redis.port);
    return super.startWorker({ ...options[0], id });
  }

  #proxy(name: Name, port: () => number): Promise<void> {
    const made = this.#making.then(async () => {
      if (!this.toxiproxy || this.proxied.has(name)) return;
      this.proxied.set(name, await this.toxiproxy.before(name, port()));
    });
    this.#making = made;
    return made;
  }
}

/** The same URL at another port, where there is one. */
function through(url: string, port: number | undefined): string {
  if (port === undefined) return url;
  const changed = new URL(url);
  changed.port = String(port);
  return changed.href.replace(/\/$/, '');
}

export class Stage implements AsyncDisposable {
  readonly stack: ProxiedStack;
  readonly engine: StageOptions['engine'];
  readonly merged: number;
  readonly #workers: number;
  readonly #frozen = new Set<Service>();
  readonly #program: string | undefined;
  readonly #natsMonitorPort: number | undefined;

  private constructor(options: StageOptions) {
    const {
      engine,
      workers = 2,
      speed = usualSpeed,
      merged = 1,
      env,
      toxiproxy,
      natsMonitorPort,
      onLog,
    } = options;
    this.engine = engine;
    this.merged = merged;
    this.#workers = workers;
    this.#program = toxiproxy;
    this.#natsMonitorPort = natsMonitorPort;
    this.stack = new ProxiedStack({
      ephemeral: true,
      // Members are started below, one after the other, so that each finds its proxies.
      gateways: 0,
      workers: 0,
      workerEntry: engine === 'recorded' ? 'tests/chaos/worker.ts' : undefined,
      env: { ...settings, CHAOS_SPEED: String(speed), CHAOS_MERGED: String(merged), ...env },
      natsMonitorPort,
      onLog,
    });
  }

  /** Resolves when two gateways serve and know every worker. */
  static async set(options: StageOptions): Promise<Stage> {
    const stage = new Stage(options);
    try {
      const { stack } = stage;
      if (stage.#program) stack.toxiproxy = await Toxiproxy.start(stage.#program);
      await stack.start();
      for (let i = 0; i < stage.#workers; i++) await stack.startWorker();
      for (let i = 0; i < 2; i++) await stack.startGateway();
      await stage.healed();
      return stage;
    } catch (error) {
      await stage[Symbol.asyncDispose]();
      throw error;
    }
  }

  get toxiproxy(): Toxiproxy {
    if (!this.stack.toxiproxy) throw new Error('this stage has no proxies');
    return this.stack.toxiproxy;
  }

  /** The names of the proxies of one kind. */
  proxies(kind: 'nats-gw' | 'nats-gold' | 'players' | 'redis'): string[] {
    return [...this.stack.proxied.keys()].filter((name) => name.startsWith(kind));
  }

  urls(): string[] {
    return this.stack.gateways.map((_, i) => this.stack.ws(i));
  }

  /** SIGSTOP: it neither runs nor dies. */
  freeze(service: Service): void {
    process.kill(service.pid!, 'SIGSTOP');
    this.#frozen.add(service);
  }

  wake(service: Service): void {
    if (this.#frozen.delete(service) && service.pid) process.kill(service.pid, 'SIGCONT');
  }

  /** Everything that is not as it was is made so: processes run, proxies let everything pass, workers are known. */
  async healed(): Promise<void> {
    const { stack } = this;
    for (const service of [...this.#frozen]) this.wake(service);
    await stack.toxiproxy?.heal();
    for (const service of stack.services()) if (!service.pid) await service.start();
    const deadline = performance.now() + healedMs;
    for (const i of stack.gateways.keys()) {
      for (;;) {
        const state = await this.#state(i);
        if (state === undefined) break;
        if (performance.now() > deadline) throw new Error(`gateway ${i + 1} does not heal: ${state}`);
        await sleep(50);
      }
    }
  }

  /** What NATS holds now. */
  async natsFigures(): Promise<{ subscriptions: number; connections: number }> {
    const url = `http://127.0.0.1:${this.#natsMonitorPort}/varz`;
    const varz = await (await fetch(url, { signal: AbortSignal.timeout(2_000) })).json();
    const { subscriptions, connections } = varz as { subscriptions: number; connections: number };
    return { subscriptions, connections };
  }

  /** What a gateway holds now. */
  async held(gateway: number): Promise<{ sessions: number; streams: number }> {
    const http = this.stack.http(gateway);
    const [sessions, streams] = await Promise.all([
      this.metric(http, 'parley_gateway_sessions'),
      this.metric(http, 'parley_gateway_streams'),
    ]);
    return { sessions, streams };
  }

  /** A number that a process tells of itself, summed over its labels. */
  async metric(http: string, name: string): Promise<number> {
    const text = await (await fetch(`${http}/metrics`, { signal: AbortSignal.timeout(2_000) })).text();
    let sum = 0;
    for (const line of text.split('\n')) {
      if (line.startsWith(`${name}{`) || line.startsWith(`${name} `))
        sum += Number(line.slice(line.lastIndexOf(' ') + 1));
    }
    return sum;
  }

  /** Ends everything at once: who is frozen could not be asked. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const service of [...this.#frozen]) this.wake(service);
    // Streams under way are of no interest any more; a drain would wait for them.
    for (const process of [...this.stack.gateways, ...this.stack.workers]) await process.kill();
    await this.stack.stop();
    await this.stack.toxiproxy?.[Symbol.asyncDispose]();
  }

  /** What is still wrong with a gateway. */
  async #state(gateway: number): Promise<string | undefined> {
    try {
      const http = this.stack.http(gateway);
      const response = await fetch(`${http}/readyz`, { signal: AbortSignal.timeout(2_000) });
      const text = await response.text();
      const { degraded } = JSON.parse(text) as { degraded: string[] };
      if (!response.ok || degraded.length > 0) return text;
      const workers = await this.metric(http, 'parley_gateway_workers');
      return workers === this.#workers ? undefined : `it knows ${workers} workers`;
    } catch (error) {
      return (error as Error).message;
    }
  }
}
