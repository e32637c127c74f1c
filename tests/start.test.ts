// `npm start` as other programs rely on it: one ready line that tells the truth, tokens for its players, parts that
// come back, and an end that leaves nothing behind.

import { mkdtempSync, readdirSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from '@nats-io/transport-node';
import { Redis } from 'ioredis';
import { decodeJwt } from 'jose';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readConfig } from '../runtime/config.ts';
import { connectTo } from '../scripts/stack/connect.ts';
import { type ReadyLine, type StackState, stackState } from '../scripts/stack/state.ts';
import { Command, eventually, finish, isRunning } from './helpers/processes.ts';
import { RawClient } from './helpers/raw-client.ts';

let home: string;
let env: NodeJS.ProcessEnv;
beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), 'parley-start-'));
  symlinkSync(join(readConfig().home, 'cache'), join(home, 'cache')); // servers and model, as set-up left them
  env = { ...process.env, PARLEY_HOME: home, PARLEY_PORT: '0' };
});
afterAll(() => rmSync(home, { recursive: true, force: true }));

class Stack extends Command {
  /** Through npm, or without it where a signal has to reach the process itself. */
  constructor(options: { args?: string[]; env?: NodeJS.ProcessEnv; npm?: boolean } = {}) {
    const args = options.args ?? [];
    if (options.npm) super('npm', ['--silent', 'start', '--', ...args], { ...env, ...options.env });
    else
      super(process.execPath, ['--import', 'tsx', 'scripts/start.ts', ...args], { ...env, ...options.env });
  }

  async ready(): Promise<ReadyLine> {
    const what = 'the ready line';
    await eventually(what, () => this.stdout.includes('\n') || this.child.exitCode !== null, 120_000);
    if (!this.stdout) throw new Error(`no ready line:\n${this.stderr}`);
    return JSON.parse(this.stdout);
  }
}

async function state(http?: string): Promise<StackState> {
  const found = await stackState(home, http);
  if (!found) throw new Error('no state of a living stack');
  return found;
}

function token(...args: string[]) {
  return finish('npm', ['run', '--silent', 'token', '--', ...args], env);
}

describe('a stack', () => {
  let stack: Stack;
  let line: ReadyLine;
  beforeAll(async () => {
    stack = new Stack({ npm: true });
    line = await stack.ready();
  });
  afterAll(() => stack[Symbol.asyncDispose]());

  test('prints one line on standard output, and what it says is so', async () => {
    expect(stack.stdout.trim().split('\n')).toHaveLength(1);
    expect(Object.keys(line)).toEqual(['event', 'ws', 'http', 'nats', 'redis']);
    expect(line.event).toBe('ready');
    expect(line.ws).toBe(`${line.http.replace('http', 'ws')}/v1/ws`);
    expect((await fetch(`${line.http}/readyz`)).status).toBe(200);

    expect(new URL(line.nats).username).toBe('backend');
    const connection = await connectTo(line.nats);
    await connection.flush();
    await connection.close();

    const redis = new Redis(line.redis, { lazyConnect: true });
    await redis.connect();
    expect(await redis.ping()).toBe('PONG');
    redis.disconnect();
  });

  test('has no door without a password', async () => {
    const nats = new URL(line.nats).host;
    await expect(connect({ servers: nats, reconnect: false })).rejects.toThrow(/authorization/i);
    const redis = new Redis({
      port: Number(new URL(line.redis).port),
      lazyConnect: true,
      retryStrategy: () => null,
    });
    redis.on('error', () => {});
    await redis.connect().catch(() => {});
    await expect(redis.ping()).rejects.toThrow();
    redis.disconnect();
  });

  test('gives tokens that its gateway takes', async () => {
    const { code, stdout, stderr } = await token('p1');
    expect({ code, stderr }).toMatchObject({ code: 0 });
    expect(stdout).toMatch(/^\S+\n$/);
    const claims = decodeJwt(stdout.trim());
    expect(claims).toMatchObject({ sub: 'p1', aud: 'parley' });
    expect(claims.exp! - claims.iat!).toBe(12 * 3_600);
    const client = await RawClient.join(line.ws, stdout.trim());
    expect(client.welcome.t).toBe('welcome');
    client.cut();
    const short = decodeJwt((await token('p1', '--hours', '0.5')).stdout.trim());
    expect(short.exp! - short.iat!).toBe(1_800);
  });

  test('keeps its secrets to its user', () => {
    const data = join(home, 'data');
    const files = readdirSync(data, { recursive: true, withFileTypes: true }).filter((file) => file.isFile());
    const secret = /dev-jwt-secret|\.json$|\.conf$|\.acl$/;
    const open = files
      .filter((file) => secret.test(file.name))
      .filter((file) => (statSync(join(file.parentPath, file.name)).mode & 0o077) !== 0);
    expect(open).toEqual([]);
    expect(files.map((file) => file.name)).toContain('dev-jwt-secret');
  });

  test('starts a part again that died, in the same place', async () => {
    const before = await state();
    for (const { pid } of before.processes) process.kill(pid!, 'SIGKILL');
    await eventually('all are back', async () => {
      const { processes } = await state();
      return processes.every(({ pid }, i) => pid !== undefined && pid !== before.processes[i]!.pid);
    });
    expect((await state()).ready).toEqual(line);
    await eventually('it serves', () =>
      fetch(`${line.http}/readyz`).then(
        ({ ok }) => ok,
        () => false,
      ),
    );
    const client = await RawClient.join(line.ws, (await token('p1')).stdout.trim());
    client.cut();
    expect(stack.stderr).toContain('worker gold1 has ended by itself (SIGKILL)');
  });

  test('has a neighbour, and each is found', async () => {
    const taken = new URL(line.http).port;
    await using other = new Stack({ env: { PARLEY_PORT: taken } });
    const otherLine = await other.ready();
    expect(otherLine.http).not.toBe(line.http);
    expect(other.stderr).toContain(`port ${taken} is taken`);
    expect((await state()).ready).toEqual(otherLine);
    expect((await state(line.http)).ready).toEqual(line);
    const first = await token('p1', '--http', line.http);
    const client = await RawClient.join(line.ws, first.stdout.trim());
    client.cut();
    expect((await token('p1', '--http', 'http://127.0.0.1:9')).code).toBe(1);
  });

  test('ends on SIGTERM with every child, and says so by exit code 0', async () => {
    const { pid, processes } = await state();
    stack.child.kill('SIGTERM');
    const { code, stdout } = await stack.finished;
    expect(code).toBe(0);
    expect(stdout.trim().split('\n')).toHaveLength(1);
    const pids = [pid, ...processes.map((part) => part.pid!)];
    expect(pids).toHaveLength(6);
    expect(pids.filter(isRunning)).toEqual([]);
    expect(await stackState(home)).toBeUndefined();
    const refused = await token('p1');
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain('start one with: npm start');
  });
});

test('several gateways and workers share one stack, and a second Ctrl-C right after the first does not force it', async () => {
  await using stack = new Stack({
    args: ['--gateways', '2', '--workers', '2'],
    env: { PARLEY_CONCURRENCY: '1' },
  });
  const line = await stack.ready();
  expect(line.gateways).toHaveLength(2);
  for (const http of line.gateways!) expect((await fetch(`${http}/readyz`)).status).toBe(200);
  const { processes } = await state();
  expect(processes.map(({ name }) => name)).toEqual([
    'nats-server',
    'redis-server',
    'worker gold1',
    'worker gold2',
    'gateway gw1',
    'gateway gw2',
    'backend village',
  ]);
  stack.child.kill('SIGINT');
  stack.child.kill('SIGINT');
  expect(await stack.finished).toMatchObject({ code: 0 });
  expect(processes.filter(({ pid }) => isRunning(pid!))).toEqual([]);
});

test('Ctrl-C during the start ends it too', async () => {
  await using stack = new Stack();
  await eventually('it starts the worker', () => stack.stderr.includes('starting worker'));
  await sleep(300);
  stack.child.kill('SIGINT');
  expect(await stack.finished).toMatchObject({ code: 0, stdout: '' });
});

test('a stack that is killed takes its children with it', async () => {
  await using stack = new Stack();
  await stack.ready();
  const { processes } = await state();
  stack.child.kill('SIGKILL');
  await eventually('all are gone', () => processes.every(({ pid }) => !isRunning(pid!)), 30_000);
  expect(await stackState(home)).toBeUndefined();
});

test('every fault of the configuration is named at once', async () => {
  await using stack = new Stack({ env: { PARLEY_PORT: 'http', PARLEY_TEIR: 'gold' } });
  const { code, stdout, stderr } = await stack.finished;
  expect(code).toBe(2);
  expect(stdout).toBe('');
  expect(stderr).toContain('PARLEY_PORT must be');
  expect(stderr).toContain('did you mean PARLEY_TIER?');
});

test.each([[['--workers', 'many']], [['--gateways', '0']], [['--gatways', '2']]])(
  'a wrong option is refused: %o',
  async (args) => {
    await using stack = new Stack({ args });
    const { code, stderr } = await stack.finished;
    expect(code).toBe(2);
    expect(stderr).toContain('usage: npm start');
  },
);

test('a part that does not start is shown with its last words', async () => {
  await using stack = new Stack({ env: { PARLEY_NPCS: '/nonexistent' } });
  const { code, stdout, stderr } = await stack.finished;
  expect(code).toBe(1);
  expect(stdout).toBe('');
  expect(stderr).toContain('could not start: ');
  expect(stderr).toContain('/nonexistent');
});
