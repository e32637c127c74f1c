// An operator makes mistakes: all of them are reported at once, and no secret is repeated.

import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { type ConfigError, configManual, readConfig } from '../runtime/config.ts';
import { settings } from '../runtime/settings.ts';

function faults(env: Record<string, string>): readonly string[] {
  try {
    readConfig(env);
  } catch (error) {
    return (error as ConfigError).faults;
  }
  return [];
}

test('defaults need nothing', () => {
  const config = readConfig({});
  expect(config.acceptMs).toBe(250);
  expect(config.maxFrameBytes).toBe(16_384);
  expect(Object.isFrozen(config)).toBe(true);
});

test('every fault is reported, together', () => {
  const found = faults({
    PARLEY_PORT: '80800',
    PARLEY_ACCEPT_MS: 'soon',
    PARLEY_DEV_TOKENS: 'maybe',
    PARLEY_TIER: 'iron',
    PARLEY_PREFIX: 'a.b',
    PARLEY_NATS_URL: 'not a url',
    PARLEY_THREADS: '1.5',
  });
  expect(found).toHaveLength(7);
  for (const name of ['PORT', 'ACCEPT_MS', 'DEV_TOKENS', 'TIER', 'PREFIX', 'NATS_URL', 'THREADS']) {
    expect(
      found.some((f) => f.startsWith(`PARLEY_${name} must be`)),
      name,
    ).toBe(true);
  }
});

test('a misspelt name is no silent default', () => {
  expect(faults({ PARLEY_ACEPT_MS: '300' })[0]).toBe(
    'PARLEY_ACEPT_MS is not a setting; did you mean PARLEY_ACCEPT_MS?',
  );
});

test('settings that exclude each other are named both', () => {
  expect(faults({ PARLEY_CONCURRENCY: '8', PARLEY_SEQUENCES: '4' })[0]).toMatch(
    /PARLEY_SEQUENCES.*PARLEY_CONCURRENCY/,
  );
});

test('a secret is not repeated', () => {
  expect(faults({ PARLEY_JWT_SECRET: 'too short' }).join()).not.toContain('too short');
});

test('the manual names every setting', () => {
  const manual = configManual();
  for (const { env } of Object.values(settings)) expect(manual).toContain(`#${env}=`);
});

test.each(['gateway/main.ts', 'tiers/main.ts', 'scripts/start.ts'])(
  '%s prints the faults and exits with 2',
  (entry) => {
    const child = spawnSync(process.execPath, ['--import', 'tsx', entry], {
      cwd: new URL('..', import.meta.url).pathname,
      env: { ...process.env, PARLEY_PORT: 'x', PARLEY_THREADS: 'y' },
      encoding: 'utf8',
    });
    expect(child.status).toBe(2);
    expect(child.stderr).toContain('The configuration has 2 faults');
    expect(child.stdout).toBe('');
  },
);
