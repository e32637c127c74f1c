// The C# client of examples/unity, compiled and run by the distribution's Mono against the real stack: a player who
// talks, loses the socket and is turned away, as a Unity game would be one.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { NatsConnection } from '@nats-io/transport-node';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WebSocketServer } from 'ws';
import { History, type HistoryTurn } from '../bus/history.ts';
import { createKeys, createSubjects } from '../bus/subjects.ts';
import { closeCodes, errorCodes } from '../runtime/errors.ts';
import { connectTo } from '../scripts/stack/connect.ts';
import { repository } from '../scripts/stack/servers.ts';
import { Command, eventually, finish } from './helpers/processes.ts';
import { useStack } from './helpers/stack.ts';

const folder = join(repository, 'examples/unity');
const missing = ['mcs', 'mono'].filter((name) => spawnSync(name, ['--version']).status !== 0);
if (missing.length > 0)
  console.log(`unity: skipped, no ${missing.join(' and ')} on PATH (apt-get install mono-mcs mono-runtime)`);

describe.skipIf(missing.length > 0)('the C# client', () => {
  const stack = useStack();
  const subjects = createSubjects('parley');
  const tale = 'Tell me a long tale of the mine and of your brother.';
  let scratch: string;
  let program: string;
  let redis: Redis;
  let nats: NatsConnection;
  beforeAll(async () => {
    scratch = mkdtempSync(join(tmpdir(), 'parley-unity-'));
    program = join(scratch, 'parley.exe');
    // Not Parley/Unity, which needs Unity itself.
    const sources = ['Parley', 'Cli'].flatMap((part) =>
      readdirSync(join(folder, part))
        .filter((name) => name.endsWith('.cs'))
        .map((name) => join(folder, part, name)),
    );
    const compiled = await finish(
      'mcs',
      ['-langversion:7.2', '-warn:4', '-warnaserror', `-out:${program}`, ...sources],
      process.env,
    );
    expect(compiled).toMatchObject({ code: 0, stderr: '' });
    redis = new Redis(stack.local.redisUrl('worker'));
    nats = await connectTo(stack.local.natsUrl());
  });
  afterAll(async () => {
    redis?.disconnect();
    await nats?.close();
    if (scratch) rmSync(scratch, { recursive: true, force: true });
  });

  /** The program at a terminal, as a player whose token it finds in its environment. */
  function run(token: string, ...args: string[]): Command {
    return runAt(stack.local.ws(), token, ...args);
  }

  function runAt(url: string, token: string, ...args: string[]): Command {
    return new Command('mono', [program, url, ...args], {
      PATH: process.env.PATH,
      LANG: 'C.UTF-8', // by which Mono reads its arguments
      PARLEY_TOKEN: token,
    });
  }

  /** What the server remembers of the conversation. */
  async function committed(player: string): Promise<HistoryTurn> {
    const history = new History({ redis, keys: createKeys('parley'), turns: 10, ttlS: 60 });
    return eventually('a turn in the history', async () => (await history.read(player, 'mira'))[0]);
  }

  test('hears a character and reads what it said, to the letter', async () => {
    const player = stack.newPlayer();
    const words = 'What does a "sword" cost –\n in \\gold?';
    const { code, stdout, stderr } = await run(
      await stack.local.token(player),
      ...['mira', words, '--max-tokens', '30'],
    ).finished;
    expect(stderr).toContain(`welcome player=${player} resumed=False`);
    expect(stderr).toMatch(/^end reason=(stop|length) source=live attempts=1$/m);
    expect(code).toBe(0);
    expect(await committed(player)).toMatchObject({ player: words, npc: stdout });
  });

  test('loses its socket in mid-answer, resumes, and reads one whole answer', async () => {
    const player = stack.newPlayer();
    const { code, stdout, stderr } = await run(
      await stack.local.token(player),
      ...['mira', tale, '--max-tokens', '60', '--drop', '3'],
    ).finished;
    expect(stderr).toMatch(/disconnected 1006[\s\S]*resumed=True[\s\S]*end reason=(stop|length)/);
    expect(code).toBe(0);
    expect(stdout).toBe((await committed(player)).npc);
  });

  test('goes on over a gateway that is killed, once it is back', async () => {
    const player = stack.newPlayer();
    await using command = run(await stack.local.token(player), 'mira', tale, '--max-tokens', '120');
    await eventually('the first words', () => command.stdout.length > 0);
    const [gateway] = stack.local.gateways;
    await gateway!.kill();
    await gateway!.start();
    const { code, stdout, stderr } = await command.finished;
    expect(stderr).toMatch(/disconnected 1006[\s\S]*resumed=True[\s\S]*end reason=(stop|length)/);
    expect(code).toBe(0);
    expect(stdout).toBe((await committed(player)).npc);
  });

  test('cancels', async () => {
    const token = await stack.local.token(stack.newPlayer());
    const { code, stderr } = await run(token, 'mira', tale, '--max-tokens', '200', '--cancel', '2').finished;
    expect(stderr).toMatch(/^end reason=cancelled /m);
    expect(code).toBe(0);
  });

  test('asks a character to think: no words, acts of its own generation, and an end', async () => {
    const token = await stack.local.token(stack.newPlayer());
    const situation = 'A stranger has drawn a sword at your forge.';
    const { code, stdout, stderr } = await run(token, 'mira', situation, '--think').finished;
    expect({ code, stdout }).toEqual({ code: 0, stdout: '' });
    expect(stderr).toMatch(/^end reason=\w+ source=live /m);
    for (const [act] of stderr.matchAll(/^act .*$/gm)) expect(act).toContain(' generation=1 ');
  });

  test('hears of a refusal by its code', async () => {
    const token = await stack.local.token(stack.newPlayer());
    const { code, stderr } = await run(token, 'nobody', 'Hello').finished;
    expect(stderr).toContain('failed unknown_npc: There is no such character.');
    expect(code).toBe(1);
  });

  test('is turned away with a wrong token, and does not come back', async () => {
    const before = await stack.metric('parley_gateway_closes_total', 'code="4401"');
    const { code, stdout, stderr } = await run(
      await stack.sign({ sub: 'p' }, 'x'.repeat(32)),
      'mira',
      'Hello',
    ).finished;
    expect({ code, stdout }).toEqual({ code: 3, stdout: '' });
    expect(stderr).toMatch(/closed 4401 .* retry=FreshToken/);
    expect(await stack.metric('parley_gateway_closes_total', 'code="4401"')).toBe(before + 1);
  });

  test('hears a push, and a character that speaks by itself', async () => {
    const player = stack.newPlayer();
    await using command = run(
      await stack.local.token(player),
      ...['mira', 'Hello', '--max-tokens', '4', '--listen', '2'],
    );
    await eventually('the end of the answer', () => command.stderr.includes('end reason='));
    await nats.request(subjects.push(player), JSON.stringify({ quest: 'found – "Zoë"' }));
    await nats.request(
      subjects.npcSay('mira'),
      JSON.stringify({ players: [player], line: 'The forge is lit.' }),
    );
    const { code, stderr } = await command.finished;
    expect(stderr).toContain('push quest=found – "Zoë"');
    expect(stderr).toContain('speech -1 mira: The forge is lit.');
    expect(code).toBe(0);
  });

  test('an edge that breaks the rules: nothing twice, nothing out of order, and it comes back with the last piece', async () => {
    const hellos: unknown[] = [];
    const welcome = { t: 'welcome', v: 1, session: 'x', key: 'y', pingMs: 25_000, streams: [] };
    const tok = (n: number, d: string, f?: number) => ({ t: 'tok', s: 1, n, f, d });
    const deep = '['.repeat(100_000);
    /** What each connection sends after hello; a string goes out as it is, bytes as a binary frame. */
    const scripts: (object | string)[][] = [
      [
        ...[{ ...tok(1, 'early ') }, welcome, tok(1, 'One'), tok(1, 'One'), { t: 'weather', rain: true }],
        ...[
          { t: 'act', v: 2, s: 1, n: 2, name: 'fly', args: {}, ttlMs: 1 },
          { ...tok(3, ','), s: 7 },
          tok(9, '!'),
        ],
      ],
      [{ ...welcome, resumed: true, streams: [{ s: 1, state: 'resumed' }] }, tok(3, ' two', 3), deep],
      [{ ...welcome, resumed: true, streams: [{ s: 1, state: 'resumed' }] }, Buffer.from('{"t":"pong"}')],
      [
        { ...welcome, resumed: true, streams: [{ s: 1, state: 'ended' }] },
        ...[tok(5, ', three.', 4), { t: 'end', s: 1, n: 5, reason: 'whim' }, tok(6, ' And more.')],
      ],
    ];
    const edge = new WebSocketServer({ port: 0, host: '127.0.0.1', handleProtocols: () => 'parley.v1.json' });
    await new Promise((resolve) => edge.once('listening', resolve));
    edge.on('connection', (socket) => {
      socket.once('message', (data) => {
        hellos.push(JSON.parse(data.toString()).resume?.streams);
        for (const message of scripts.shift() ?? [])
          socket.send(
            typeof message === 'string' || Buffer.isBuffer(message) ? message : JSON.stringify(message),
          );
      });
    });
    const { port } = edge.address() as { port: number };
    const { code, stdout, stderr } = await runAt(`ws://127.0.0.1:${port}`, 'token', 'mira', 'Hello').finished;
    edge.close();
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'One two, three.' });
    expect(stderr).not.toContain('act ');
    expect(hellos).toEqual([undefined, [{ s: 1, n: 2 }], [{ s: 1, n: 3 }], [{ s: 1, n: 3 }]]);
  });
});

test('its tables are those of the protocol', () => {
  const source = readFileSync(join(folder, 'Parley/Protocol.cs'), 'utf8');
  const closes = [...source.matchAll(/\{ (\d{4}), Retry\.(\w+) \}/g)].map(([, code, retry]) => [code, retry]);
  const classes = { no: 'No', yes: 'Yes', 'fresh-token': 'FreshToken' };
  expect(closes).toEqual(Object.values(closeCodes).map(({ code, retry }) => [String(code), classes[retry]]));
  const listed = /worthAnotherTry = [^{]*\{([^}]*)\}/.exec(source)![1]!;
  const retried = Object.entries(errorCodes).filter(([, { retry }]) => retry);
  expect([...listed.matchAll(/"(\w+)"/g)].map(([, code]) => code)).toEqual(retried.map(([code]) => code));
});
