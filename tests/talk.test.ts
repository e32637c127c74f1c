// Talking from outside, as a person types it: `npm run talk` with a pipe on its standard input, and `npm run ask`.

import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readConfig } from '../runtime/config.ts';
import { LocalStack } from '../scripts/stack/local-stack.ts';
import { repository } from '../scripts/stack/servers.ts';

let home: string;
let stack: LocalStack;
beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), 'parley-talk-'));
  symlinkSync(join(readConfig().home, 'cache'), join(home, 'cache')); // servers and model, as set-up left them
  stack = new LocalStack({ env: { PARLEY_HOME: home, PARLEY_PORT: '0' } });
  await stack.start();
  stack.writeState(new Date());
});
afterAll(async () => {
  await stack?.stop();
  rmSync(home, { recursive: true, force: true });
});

interface Ran {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** Runs a command with these lines on its standard input. */
function runCommand(command: string, args: string[], input: string, inHome = home): Promise<Ran> {
  const env = { ...process.env, PARLEY_HOME: inHome };
  const child = spawn(command, args, { cwd: repository, env });
  const ran: Ran = { code: null, stdout: '', stderr: '' };
  child.stdout.on('data', (chunk) => {
    ran.stdout += chunk;
  });
  child.stderr.on('data', (chunk) => {
    ran.stderr += chunk;
  });
  child.stdin.end(input);
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ ...ran, code }));
  });
}

const talk = (args: string[], input = '', inHome = home) =>
  runCommand(process.execPath, ['--import', 'tsx', 'scripts/talk.ts', ...args], input, inHome);
const npm = (script: string, args: string[], input = '') =>
  runCommand('npm', ['run', '--silent', script, '--', ...args], input);

describe('npm run talk', () => {
  test('answers a pipe: the words on standard output, the figures beside it', async () => {
    const { code, stdout, stderr } = await npm('talk', ['mira'], 'What would a sword cost me?\n');
    expect(code, stderr).toBe(0);
    expect(stdout.trim()).not.toBe('');
    expect(stdout).not.toContain('first token');
    expect(stderr).toMatch(/first token \d+ ms · ([\d.]+ tokens\/s · )?.*live · gold · /);
  });

  test('says each line in turn, and topics by their names', async () => {
    const { code, stdout, stderr } = await talk(['Mira', '--player', 'p2'], 'Hello\n/topics\n/swords\n');
    expect(code, stderr).toBe(0);
    expect(stdout.trim().split('\n').length).toBeGreaterThanOrEqual(2);
    expect(stderr).toContain('/swords  ');
  });

  test('--json gives one line an event', async () => {
    const { stdout } = await talk(['mira', '--json', '--http', stack.http()], 'Hello\n');
    const events = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    const words = events.filter((e) => e.event === 'words').map((e) => e.text);
    expect(events.at(-1)).toMatchObject({ event: 'end', text: words.join(''), source: 'live', tier: 'gold' });
  });

  test('an answer that fails is told, by the exit code too', async () => {
    const { code, stderr } = await talk(['mira'], `${'x'.repeat(2_001)}\n`);
    expect(code).toBe(1);
    expect(stderr).toContain('The text is too long.');
  });

  test.each([
    ['an unknown character', ['bob'], 'There are: bram, edda, mira'],
    ['no character', [], 'usage: npm run talk'],
    ['an option that is none', ['mira', '--loud'], 'usage: npm run talk'],
    ['a gateway that is not there', ['mira', '--http', 'http://127.0.0.1:2'], 'does not answer'],
    ['a token that is refused', ['mira', '--token', 'x'], '4401'],
  ])('%s is said in a line, with what to do', async (_what, args, message) => {
    const { code, stderr } = await talk(args);
    expect(code).toBe(1);
    expect(stderr).toContain(message);
    expect(stderr).not.toMatch(/\n\s+at /);
  });

  test('without a stack it says how to start one', async () => {
    const empty = mkdtempSync(join(tmpdir(), 'parley-none-'));
    const { code, stderr } = await talk(['mira'], '', empty);
    rmSync(empty, { recursive: true });
    expect(code).toBe(1);
    expect(stderr).toContain('npm start');
  });
});

describe('npm run ask', () => {
  test('prints the frames of an answer', async () => {
    const { code, stdout, stderr } = await npm('ask', ['mira', 'hello']);
    expect(code, stderr).toBe(0);
    const frames = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(frames[0]).toMatchObject({ t: 'tok', s: 0, n: 1 });
    expect(frames.at(-1)).toMatchObject({ t: 'end', s: 0, source: 'live' });
  });

  test('prints what is refused', async () => {
    const { stdout } = await npm('ask', ['nobody']);
    expect(JSON.parse(stdout)).toMatchObject({ t: 'err', code: 'unknown_npc' });
  });
});
