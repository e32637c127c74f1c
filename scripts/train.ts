// `npm run train [-- COMMAND ...]`: learns the authored exchanges. Without a command: checks and renders them, sft, check.
// With one (sft, export, check, ...) it runs that alone, with its options. Makes the Python environment when it is missing.

import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readConfig } from '../runtime/config.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const { home } = readConfig();
const data = join(home, 'training', 'data', 'train.jsonl');
const words = process.argv.slice(2);

/** Resolves when the program ended well; ends this process with its status otherwise. */
function run(program: string, args: readonly string[]): Promise<void> {
  const child = spawn(program, args, {
    cwd: root,
    stdio: 'inherit',
    env: {
      ...process.env,
      PARLEY_HOME: home,
      PYTHONPATH: join(root, 'training'),
      PYTHONWARNINGS: 'ignore',
      // Threads that wait for each other must not keep others from working.
      OMP_WAIT_POLICY: process.env.OMP_WAIT_POLICY ?? 'PASSIVE',
    },
  });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => child.kill(signal));
  }
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => {
      if (code === 0) return resolve();
      process.exit(code ?? 128 + constants.signals[signal!]);
    });
  });
}

/** Runs one step of set-up. Plain JavaScript: set-up runs before there are packages. */
async function setUp(file: string, step: string): Promise<string> {
  const steps = (await import(new URL(`./setup/${file}`, import.meta.url).href)) as Record<
    string,
    (cache: string) => Promise<string>
  >;
  return steps[step]!(join(home, 'cache')).catch((error: { report?(): string }) => {
    if (!error.report) throw error;
    process.stderr.write(`set-up: ${error.report()}\n`);
    process.exit(1);
  });
}

async function python(...args: string[]): Promise<void> {
  const program = await setUp('python-env.mjs', 'ensurePython');
  await run(program, ['-m', 'parley_training', ...args]);
}

/** The options of sft that its check has too. */
function ofCheck(options: readonly string[]): string[] {
  const shared = ['--base', '--data', '--out'];
  return options.filter(
    (word, i) => shared.includes(word.split('=')[0]!) || shared.includes(options[i - 1] ?? ''),
  );
}

const tsx = ['--import', 'tsx'];
const isWhole = words[0] === undefined || words[0].startsWith('--');
if (isWhole || words[0] === 'sft') {
  const options = isWhole ? words : words.slice(1);
  const hasOwnData = options.some((word) => word === '--data' || word.startsWith('--data='));
  if (!hasOwnData) {
    await run(process.execPath, [...tsx, 'scripts/author.ts', 'check']);
    await run(process.execPath, [...tsx, 'training/render.ts', '--out', data]);
  }
  await python('sft', ...options);
  // A run that was stopped half-way has nothing to check yet.
  const isPart = options.some((word) => word.startsWith('--stop-after'));
  if (isWhole && !isPart) await python('check', ...ofCheck(options));
} else if (words[0] === 'recall' && !words.includes('--help')) {
  const wordings = join(home, 'training', 'data', 'wordings.jsonl');
  await run(process.execPath, [...tsx, 'training/wordings.ts', '--out', wordings]);
  await setUp('encoder.mjs', 'ensureEncoder');
  await python(...words);
} else {
  await python(...words);
}
