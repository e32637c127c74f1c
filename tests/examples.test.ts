// What a newcomer does with the documentation: packs the client, installs it in an empty folder, and runs what the pages
// and examples/ show, word for word, against a real stack. What is shown and does not run fails here.

import { spawnSync } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { packClient } from '../scripts/pack-client.ts';
import { repository } from '../scripts/stack/servers.ts';
import { finish } from './helpers/processes.ts';
import { useStack } from './helpers/stack.ts';

const stack = useStack({});
/** The newcomer's folder. */
let game: string;

beforeAll(async () => {
  game = mkdtempSync(join(tmpdir(), 'parley-game-'));
  const packed = await packClient(join(game, 'packed'));
  const modules = join(game, 'node_modules');
  const target = join(modules, 'parley-client');
  mkdirSync(target, { recursive: true });
  // As `npm install FILE` unpacks it, which would look for a registry.
  const { status, stderr } = spawnSync('tar', ['xzf', packed, '-C', target, '--strip-components=1']);
  if (status !== 0) throw new Error(String(stderr));
  symlinkSync(join(repository, 'node_modules', 'ws'), join(modules, 'ws'));
});
afterAll(() => {
  if (game) rmSync(game, { recursive: true, force: true });
});

const { PATH, HOME, PYTHONPATH } = process.env;
const env = (more: NodeJS.ProcessEnv = {}) => ({ PATH, HOME, PYTHONPATH, ...more });

/** The programs of a page, with the heading above each. */
function programsOf(page: string): [string, string][] {
  const programs: [string, string][] = [];
  let heading = '';
  const found = readFileSync(join(repository, page), 'utf8').matchAll(/^#+ (.+)$|^```js\n([\s\S]*?)^```$/gm);
  for (const [, title, code] of found) {
    if (title !== undefined) heading = title;
    else programs.push([`${programs.length + 1}, ${heading}`, code!]);
  }
  return programs;
}

const programs = programsOf('client/README.md');
const [, hello] = programs[0]!;

/** What stands before a program that goes on from the first: everything of it up to its first words. */
function whole(code: string): string {
  if (code.includes('const server =')) return code;
  const upToMira = hello.slice(0, hello.indexOf('const answer'));
  // What a page imports on its own it may import again.
  const imports = code.match(/^import .*$/gm)?.filter((line) => !upToMira.includes(line)) ?? [];
  return `${[...imports, upToMira].join('\n')}\n{${code.replace(/^import .*$/gm, '')}}\nclient.close();\n`;
}

/** Runs a program in the newcomer's folder as a player of its own. */
function run(name: string, code: string, experimental = false) {
  const file = join(game, `${name.replace(/\W+/g, '-')}.mjs`);
  const mine = code
    .replaceAll('http://127.0.0.1:8080', stack.local.http())
    .replace("player: 'p1'", `player: '${stack.newPlayer()}'`);
  writeFileSync(file, mine);
  // Node 20 has a WebSocket too, behind a flag.
  return finish(process.execPath, [...(experimental ? ['--experimental-websocket'] : []), file], env());
}

describe('client/README.md', () => {
  test('the first program makes a character speak, in under thirty lines', async () => {
    expect(hello.split('\n').length).toBeLessThan(30);
    const { code, stdout, stderr } = await run('hello', hello);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/30|thirty/i);
    expect(stdout).toContain('(gold, live)');
  });

  test('and the same with the WebSocket of the platform', async () => {
    const own = hello.replace(/^import .* from 'ws';.*\n/m, '').replace(', WebSocket }', ' }');
    expect(own).not.toContain('WebSocket');
    const { code, stdout } = await run('own-socket', own, typeof WebSocket === 'undefined');
    expect(code).toBe(0);
    expect(stdout).toContain('(gold, live)');
  });

  test.each(programs.slice(1))('program %s', async (name, code) => {
    const { code: status, stdout, stderr } = await run(name, whole(code));
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    // What a comment at the end of a printing line says, it prints.
    for (const [, said] of code.matchAll(/console\.log\(.*\); \/\/ ([\w ]+)$/gm)) {
      expect(stdout).toContain(said);
    }
  });
});

test('the package has types that need nothing else', { timeout: 120_000 }, async () => {
  writeFileSync(
    join(game, 'typed.mts'),
    `import { ParleyClient, StreamError, type Act, type Stream } from 'parley-client';
import { createController, clientMind } from 'parley-client/controller';
import { clientThread } from 'parley-client/thread';
const client = new ParleyClient({ url: 'wss://play.example.org/v1/ws', token: async () => 'a token' });
const stream: Stream = client.npc('mira').say('Hello', { mode: 'alongside', signal: new AbortController().signal });
stream.on('act', (act: Act) => console.log(act.name, act.args, act.ttlMs));
const words: string[] = [];
for await (const piece of stream) words.push(piece);
const sent: boolean = client.observe('near', { npc: 'mira' });
client.job('story', {}).result.catch((error: StreamError) => console.log(error.retry, sent));
const npcs = createController({ mind: clientMind(client) });
npcs.tick(0, 16);
const other = (await clientThread()).client({ url: 'wss://play.example.org/v1/ws', token: 'a token' });
const heard: Stream = other.npc('mira').say('Hello');
createController({ mind: clientMind(other) }).onIntent = (_, { name }) => console.log(name, heard.s);
// @ts-expect-error: there is no such event
client.on('weather', () => {});
`,
  );
  const compilerOptions = {
    ...{ strict: true, target: 'es2022', module: 'nodenext', lib: ['es2022', 'dom'] },
    ...{ types: [], noEmit: true, skipDefaultLibCheck: true },
  };
  writeFileSync(join(game, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['typed.mts'] }));
  const tsc = join(repository, 'node_modules', 'typescript', 'bin', 'tsc');
  const { code, stdout } = await finish(process.execPath, [tsc, '-p', game], env());
  expect({ code, stdout }).toEqual({ code: 0, stdout: '' });
});

test('nothing in the package is missing, and no server is in it', () => {
  const names = readdirSync(join(game, 'node_modules', 'parley-client'), { recursive: true }).map(String);
  expect(names).toEqual(
    expect.arrayContaining([
      'README.md',
      'LICENSE',
      'index.js',
      'controller.js',
      'thread.js',
      'client-thread.mjs',
    ]),
  );
  for (const name of names.filter((name) => name.endsWith('.js') || name.endsWith('.d.ts'))) {
    const text = readFileSync(join(game, 'node_modules', 'parley-client', name), 'utf8');
    expect(text, name).not.toMatch(/from ["'](?!\.)/);
    expect(text, name).not.toMatch(/\bzod\b|\beval\(|new Function/);
  }
});

describe('examples/', () => {
  const tsx = (file: string, args: string[], more: NodeJS.ProcessEnv) =>
    finish(process.execPath, ['--import', 'tsx', join('examples', file), ...args], env(more));

  test('hello.ts, a game', async () => {
    const { code, stdout } = await tsx('hello.ts', ['mira', 'Good day.'], {
      PARLEY_HTTP: stack.local.http(),
    });
    expect(code).toBe(0);
    expect(stdout).toContain('(live)');
  });

  test('ask.ts, a backend', async () => {
    const { code, stdout } = await tsx('ask.ts', ['mira', 'Good day.'], { NATS_URL: stack.local.natsUrl() });
    expect(code).toBe(0);
    const frames = stdout.trim().split('\n');
    expect(frames.map((line) => JSON.parse(line).t)).toContain('tok');
    expect(JSON.parse(frames.at(-1)!)).toMatchObject({ t: 'end', source: 'live' });
  });

  test('python_client.py, a client in another language', async (ctx) => {
    const there = spawnSync('python3', ['-c', 'import websockets.sync.client'], { encoding: 'utf8' });
    if (there.status !== 0) {
      ctx.skip(
        `no python3 with the package websockets: ${(there.error?.message ?? there.stderr).trim().split('\n').at(-1)}`,
      );
    }
    const args = ['examples/python_client.py', stack.local.http(), stack.newPlayer(), 'mira', 'Good day.'];
    const { code, stdout } = await finish('python3', args, env());
    expect(code).toBe(0);
    expect(stdout).toContain("'t': 'end'");
  });
});
