// Reads the environment by the table in runtime/settings.ts: all faults at once, the result frozen. Nothing
// else reads `process.env`. Prints the manual, `.env.example`, too (npm run check compares them).

import { type Setting, settings } from './settings.ts';

type Settings = typeof settings;
export type Config = { readonly [K in keyof Settings]: ReturnType<Settings[K]['parse']> };

/** Several faults, one message: an operator mends them all in one go. */
export class ConfigError extends Error {
  readonly faults: readonly string[];

  constructor(faults: readonly string[]) {
    super(
      `The configuration has ${faults.length === 1 ? 'a fault' : `${faults.length} faults`}:\n${faults.map((f) => `  - ${f}`).join('\n')}`,
    );
    this.name = 'ConfigError';
    this.faults = faults;
  }
}

/**
 * Reads and checks every setting and returns them frozen. An empty value counts as not set. Throws ConfigError
 * with all faults at once, among them names that begin with PARLEY_ and are in no table (a typo is not ignored).
 */
export function readConfig(env: Readonly<Record<string, string | undefined>> = process.env): Config {
  const faults: string[] = [];
  const config: Record<string, unknown> = {};
  for (const [name, setting] of Object.entries(settings) as [string, Setting<unknown>][]) {
    const raw = env[setting.env];
    if (raw === undefined || raw === '') {
      config[name] = setting.fallback;
      continue;
    }
    try {
      config[name] = setting.parse(raw);
    } catch (error) {
      const shown = setting.secret ? 'the value given (not shown)' : JSON.stringify(raw);
      faults.push(`${setting.env} must be ${(error as Error).message}; it is ${shown}`);
    }
  }
  const known = new Set(Object.values(settings).map((s) => s.env));
  for (const name of Object.keys(env)) {
    if (name.startsWith('PARLEY_') && !known.has(name))
      faults.push(`${name} is not a setting${nearest(name, known)}`);
  }
  if (typeof config.concurrency === 'number' && typeof config.sequences === 'number') {
    if (config.sequences < config.concurrency) {
      faults.push(
        `PARLEY_SEQUENCES (${config.sequences}) must not be less than PARLEY_CONCURRENCY (${config.concurrency})`,
      );
    }
  }
  if ((config.tlsCert === '') !== (config.tlsKey === '')) {
    faults.push('PARLEY_TLS_CERT and PARLEY_TLS_KEY must be set together');
  }
  if (faults.length > 0) throw new ConfigError(faults);
  return Object.freeze(config) as Config;
}

function nearest(name: string, known: ReadonlySet<string>): string {
  let best = '';
  let bestDistance = 4;
  for (const candidate of known) {
    const d = distance(name, candidate);
    if (d < bestDistance) [best, bestDistance] = [candidate, d];
  }
  return best === '' ? '' : `; did you mean ${best}?`;
}

/** Levenshtein distance. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next[j] = Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1));
    }
    row = next;
  }
  return row[b.length]!;
}

/** The manual: `.env.example`, as text. */
export function configManual(): string {
  const titles = { shared: 'Every process', gateway: 'Gateway', worker: 'Worker' } as const;
  const lines = [
    '# The settings of Parley, each with its default. `npm start` needs none of them. Printed from runtime/settings.ts',
    '# by `npm run check -- --write`; edit that table, not this file. Values come from the environment.',
  ];
  for (const group of ['shared', 'gateway', 'worker'] as const) {
    lines.push('', `# ---- ${titles[group]} ${'-'.repeat(90 - titles[group].length)}`);
    for (const s of Object.values(settings) as Setting<unknown>[]) {
      if (s.group !== group) continue;
      const fallback =
        s.env === 'PARLEY_HOME'
          ? '~/.parley'
          : typeof s.fallback === 'boolean'
            ? Number(s.fallback)
            : s.fallback;
      lines.push('', ...wrap(`${s.doc} (${s.form})`, 100).map((l) => `# ${l}`), `#${s.env}=${fallback}`);
    }
  }
  return `${lines.join('\n')}\n`;
}

function wrap(paragraph: string, width: number): string[] {
  const lines = [''];
  for (const word of paragraph.split(' ')) {
    const last = lines[lines.length - 1]!;
    if (last.length > 0 && last.length + word.length + 1 > width) lines.push(word);
    else lines[lines.length - 1] = last.length > 0 ? `${last} ${word}` : word;
  }
  return lines;
}

/** Reads the configuration of a process; on a fault prints all of them and exits with code 2. */
export function readConfigOrExit(): Config {
  try {
    return readConfig();
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exit(2);
  }
}
