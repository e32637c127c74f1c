// One real stack for a test file: nats-server, redis-server, gateways and workers as `npm start` configures them,
// started before the first test and stopped after the last.

import { SignJWT } from 'jose';
import { afterAll, beforeAll } from 'vitest';
import type { Encoding } from '../../bus/protocol.ts';
import { LocalStack, type StackOptions } from '../../scripts/stack/local-stack.ts';
import { RawClient } from './raw-client.ts';

export class TestStack {
  readonly logs: string[] = [];
  private running: LocalStack | undefined;
  private players = 0;
  private readonly clients = new Set<RawClient>();

  get local(): LocalStack {
    if (!this.running) throw new Error('the stack has not been started');
    return this.running;
  }

  /** A player nobody else uses. */
  newPlayer(): string {
    this.players += 1;
    return `player-${this.players}`;
  }

  /** A welcomed client; a new player unless one is named. */
  async join(
    options: { player?: string; encoding?: Encoding; resume?: object; gateway?: number } = {},
  ): Promise<
    RawClient & {
      welcome: { session: string; key: string; resumed: boolean; streams: { s: number; state: string }[] };
    }
  > {
    const player = options.player ?? this.newPlayer();
    const client = await RawClient.join(this.local.ws(options.gateway), this.local.token(player), options);
    this.clients.add(client);
    return client;
  }

  /** A connected client that has not said `hello`. */
  async open(options: { encoding?: Encoding } = {}): Promise<RawClient> {
    const client = await RawClient.open(this.local.ws(), options);
    this.clients.add(client);
    return client;
  }

  /** A token of the stack's own key with claims as a test wants them. */
  sign(
    claims: { sub?: string; aud?: string; exp?: number | string },
    secret = this.local.key.secret,
  ): Promise<string> {
    const jwt = new SignJWT({ ...(claims.sub === undefined ? {} : { sub: claims.sub }) })
      .setProtectedHeader({ alg: 'HS256' })
      .setAudience(claims.aud ?? 'parley')
      .setIssuedAt();
    return jwt.setExpirationTime(claims.exp ?? '1h').sign(new TextEncoder().encode(secret));
  }

  /** The value of a metric of a gateway, summed over the label sets that contain `labels`. */
  async metric(name: string, labels = '', gateway = 0): Promise<number> {
    const text = await (await fetch(`${this.local.http(gateway)}/metrics`)).text();
    return sumMetric(text, name, labels);
  }

  async start(options: StackOptions): Promise<void> {
    this.running = new LocalStack({ ephemeral: true, onLog: (line) => this.logs.push(line), ...options });
    await this.running.start();
  }

  async stop(): Promise<void> {
    for (const client of this.clients) client.cut();
    await this.running?.stop();
  }
}

export function sumMetric(text: string, name: string, labels = ''): number {
  let sum = 0;
  for (const line of text.split('\n')) {
    if (line.startsWith(`${name}{`) && line.includes(labels))
      sum += Number(line.slice(line.lastIndexOf(' ') + 1));
  }
  return sum;
}

/** Starts a stack for the tests of this file. */
export function useStack(options: StackOptions = {}): TestStack {
  const stack = new TestStack();
  beforeAll(() => stack.start(options), 120_000);
  afterAll(() => stack.stop(), 60_000);
  return stack;
}
