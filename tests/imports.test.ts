// The map holds: rooms import in one direction. Reads the import lines of every file.

import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { expect, test } from 'vitest';

const root = new URL('..', import.meta.url).pathname;

/** What each room may import beside itself; a room that is not named may import anything. */
const may: Record<string, string[]> = {
  runtime: [],
  bus: ['runtime'],
  npcs: ['runtime'],
  gateway: ['bus', 'runtime', 'npcs'],
  tiers: ['bus', 'runtime', 'npcs'],
  client: ['bus', 'runtime'],
  web: ['client', 'bus', 'runtime'],
};

function importsOf(file: string): string[] {
  const source = readFileSync(file, 'utf8');
  const found = source.matchAll(/(?:from|import)\s*\(?\s*['"](\.[^'"]+)['"]/g);
  return [...found].map((m) => relative(root, join(dirname(file), m[1]!)));
}

const files = Object.keys(may).flatMap((room) =>
  readdirSync(join(root, room), { recursive: true })
    .map((name) => join(root, room, String(name)))
    .filter((name) => name.endsWith('.ts')),
);

test('rooms import in one direction', () => {
  expect(files.length).toBeGreaterThan(40);
  const wrong = files.flatMap((file) => {
    const room = relative(root, file).split(sep)[0]!;
    return importsOf(file)
      .filter((to) => to.split(sep)[0] !== room && !may[room]!.includes(to.split(sep)[0]!))
      .map((to) => `${relative(root, file)} imports ${to}`);
  });
  expect(wrong).toEqual([]);
});

test('a game client carries no server: of the bus it takes types alone', () => {
  const wrong = files
    .filter((file) => relative(root, file).startsWith('client'))
    .flatMap((file) =>
      [...readFileSync(file, 'utf8').matchAll(/^import (?!type )[^;]*from '(\.\.\/bus\/[^']+)'/gm)].map(
        (m) => `${relative(root, file)}: ${m[1]}`,
      ),
    );
  expect(wrong).toEqual([]);
});

test('no room but the configuration reads the environment', () => {
  const wrong = files.filter(
    (file) => /process\.env/.test(readFileSync(file, 'utf8')) && !file.endsWith('runtime/config.ts'),
  );
  expect(wrong.map((f) => relative(root, f))).toEqual([]);
});
