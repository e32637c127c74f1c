// The controller with the language model behind it, on the real stack: characters near the player are thought about,
// through a connection that is cut, and the loop goes on whatever becomes of that.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { type Controller, clientMind, createController } from '../client/controller/index.ts';
import { ParleyClient } from '../client/index.ts';
import { repository } from '../scripts/stack/servers.ts';
import { eventually, finish } from './helpers/processes.ts';
import { useStack } from './helpers/stack.ts';

const stack = useStack({ gateways: 1, workers: 1, env: { PARLEY_MAX_STREAMS: '1' } });

const clients: ParleyClient[] = [];
let frames: ReturnType<typeof setInterval> | undefined;
afterEach(() => {
  clearInterval(frames);
  for (const client of clients.splice(0)) client.close();
});

async function village(names: readonly string[], outstanding = 1) {
  const player = stack.newPlayer();
  const client = new ParleyClient({
    url: stack.local.ws(),
    token: () => stack.local.token(player),
    WebSocket,
    reconnect: { minMs: 50, maxMs: 200 },
  });
  clients.push(client);
  await client.connect();
  const npcs = createController({
    mind: clientMind(client),
    cache: false,
    asking: { outstanding, perSecond: 8, answerMs: 15_000 },
  });
  for (const [k, npc] of names.entries()) npcs.add({ npc, x: k * 2, y: 0, policy: 'look' });
  npcs.place('forge', 0, 0);
  npcs.player(1, 1);
  play(npcs);
  return { client, npcs };
}

/** A game at sixty frames a second. */
function play(npcs: Controller): void {
  let last = performance.now();
  frames = setInterval(() => {
    const now = performance.now();
    npcs.tick(now, now - last);
    last = now;
  }, 1_000 / 60);
}

test('characters near the player are thought about, and again after the connection was cut', async () => {
  const { client, npcs } = await village(['mira', 'bram']);
  await eventually('three answers', () => npcs.stats.answered >= 3);
  expect(npcs.stats).toMatchObject({ failed: 0, thrown: 0, ignored: 0 });
  await eventually('a question under way', () => npcs.stats.outstanding === 1);
  client.drop();
  const before = npcs.stats.answered;
  await eventually('answers after the cut', () => npcs.stats.answered >= before + 2);
  expect(client.stats.reconnects).toBe(1);
  expect(npcs.stats.thrown).toBe(0);

  // Without the edge they live on.
  client.close();
  const asked = npcs.stats.asked;
  await eventually('the edge is away', () => npcs.stats.away >= 2);
  expect(npcs.stats.asked).toBe(asked);
});

test('an edge that refuses some questions answers the others', async () => {
  // The session may have one question at a time; the controller would have four.
  const { npcs } = await village(['mira', 'nobody-knows', 'rosa', 'bram'], 4);
  await eventually('refusals and answers', () => npcs.stats.failed >= 2 && npcs.stats.answered >= 2);
  expect(npcs.stats.asked).toBe(npcs.stats.answered + npcs.stats.failed + npcs.stats.outstanding);
});

test('two characters of one id think by turns, not over each other', async () => {
  const { npcs } = await village(['mira', 'mira'], 4);
  await eventually(
    'answers for both',
    () => npcs.stats.answered >= 4 && npcs.generation.slice(0, 2).every((g) => g >= 2),
  );
  expect(npcs.stats.failed).toBe(0);
});

test("the guide's program runs as it stands there", async () => {
  const page = readFileSync(join(repository, 'client', 'controller', 'README.md'), 'utf8');
  const program = [...page.matchAll(/^```js\n([\s\S]*?)^```$/gm)]
    .map(([, code]) => code)
    .join('')
    // Here the package is the sources.
    .replace("'parley-client'", "'../../client/index.ts'")
    .replace("'parley-client/controller'", "'../../client/controller/index.ts'")
    .replaceAll('http://127.0.0.1:8080', stack.local.http())
    .replace("player: 'p1'", `player: '${stack.newPlayer()}'`);
  // Within the repository, where its packages are found.
  const folder = mkdtempSync(join(repository, 'node_modules', '.parley-guide-'));
  try {
    const file = join(folder, 'guide.mts');
    writeFileSync(file, program);
    const { PATH, HOME } = process.env;
    const { code, stdout, stderr } = await finish(process.execPath, ['--import', 'tsx', file], {
      PATH,
      HOME,
    });
    expect(stderr).toBe('');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^stop \S/m);
    expect(stdout).toMatch(/asked: \d/);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
