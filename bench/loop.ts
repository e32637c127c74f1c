// What Parley costs a game loop at 300 frames a second: a thousand characters in the game of one player, ninety-nine
// others beside it, against a whole stack with the real model, also while sockets are cut, the model is slow and the
// gateway is killed. The baseline, interleaved in the same run, is the same loop without SDK and controller, with the
// other process putting the same load on the model. bench/README.md says how each figure is measured.
//   npm run bench -- loop [--quick] [--seconds 30] [--rounds 10] [--own 1]

import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { startStack } from '../scripts/stack/local-stack.ts';
import { compare } from './controller/compare.ts';
import { BenchChild } from './loop/child.ts';
import { frameMs, framesPerSecond, leadFrames, parleyMs, parts, percentile, sum } from './loop/frames.ts';
import type { Load, RunResult } from './loop/orders.ts';

const { quick, seconds, rounds, own } = parseArgs({
  options: {
    /** Players whose sessions the loop itself holds; a game has one. */
    own: { type: 'string', default: '1' },
    quick: { type: 'boolean', default: false },
    seconds: { type: 'string', default: '30' },
    rounds: { type: 'string', default: '10' },
  },
}).values;
/** Five minutes of each arm: ten rounds of half a minute. */
const plan = quick
  ? { rounds: 4, seconds: 10, characters: 1_000, players: 100 }
  : { rounds: Number(rounds), seconds: Number(seconds), characters: 1_000, players: 100 };
/** What all players together say, and what those of the loop do of it. */
const saysPerSecond = 1;
const ownPlayers = Number(own);
const ownSaysPerSecond = Math.max(0.2, (saysPerSecond * ownPlayers) / plan.players);

const say = (line: string) => void process.stderr.write(`${line}\n`);
const round = (value: number, digits = 3) => Number(value.toFixed(digits));

say(
  'starting nats-server, redis-server, a worker with the real model, a gateway, the game loop and the driver',
);
await using stack = await startStack({
  ephemeral: true,
  env: { PARLEY_LOG_LEVEL: 'error' },
  onLog: (line) => say(`  ${line}`),
});
// V8 begins with a young generation of 1 MB, which is full, and collected, several times a second; and it has several
// threads collect what one does in a third of a millisecond, of which the game's then waits for the slowest. When little
// happens it makes memory smaller, which takes 20 ms and the compiled code.
const flags = [
  '--min-semi-space-size=64',
  '--max-semi-space-size=64',
  '--no-parallel-scavenge',
  '--no-memory-reducer',
  // With room for what stays, the whole memory is never searched while the game runs.
  '--initial-old-space-size=256',
  // What loading left in the young generation is put away before the first frame, not in one.
  '--expose-gc',
];
await using parleyGame = new BenchChild('./game.ts', flags);
await using bareGame = new BenchChild('./game.ts', flags);
const games = { parley: parleyGame, bare: bareGame };
await using driver = new BenchChild('./driver.ts');

const npcs = (await (await fetch(`${stack.http()}/v1/characters`)).json()) as { id: string }[];
const world = { url: stack.ws(), npcs: npcs.map(({ id }) => id), characters: plan.characters, seed: 7 };
for (const [child, name, players] of [
  [parleyGame, 'own', ownPlayers],
  [driver, 'other', plan.players - ownPlayers],
] as const) {
  const tokens = await Promise.all(Array.from({ length: players }, (_, i) => stack.token(`${name}-${i}`)));
  await child.order({ op: 'open', ...world, tokens });
}
await bareGame.order({ op: 'open', arm: 'bare', ...world, tokens: [] });

/** What goes wrong in a round, a third into it. */
type Trouble = 'none' | 'sockets cut' | 'model slow' | 'gateway killed';
const troubles: readonly Trouble[] = ['none', 'sockets cut', 'model slow', 'gateway killed'];

async function make(trouble: Trouble): Promise<void> {
  await sleep((plan.seconds * 1_000) / 3);
  switch (trouble) {
    case 'sockets cut':
      await driver.order({ op: 'cut' });
      return;
    case 'model slow': {
      const { pid } = stack.workers[0]!;
      process.kill(pid!, 'SIGSTOP');
      await sleep((plan.seconds * 1_000) / 4);
      process.kill(pid!, 'SIGCONT');
      return;
    }
    case 'gateway killed': {
      const gateway = stack.gateways[0]!;
      await gateway.kill();
      await gateway.start();
    }
  }
}

/** How often it took more than Parley may. */
const over = (plain: Float32Array) => plain.reduce((count, ms) => (ms > parleyMs ? count + 1 : count), 0);

const frames = plan.seconds * framesPerSecond;
const results: { parley: RunResult[]; bare: RunResult[] } = { parley: [], bare: [] };
const others: Load = { thinksPerSecond: 0, saysPerSecond: saysPerSecond - ownSaysPerSecond };
/** What the loop itself asked for when it last did. */
let asked: Load = { thinksPerSecond: 1, saysPerSecond: ownSaysPerSecond };
/** What Parley took of a frame as a rule when it last ran. */
let takesMs = 0.1;

function show(arm: 'parley' | 'bare', trouble: Trouble, run: RunResult): void {
  const late = `${run.late} late`.padStart(9);
  const tick = `tick p50 ${percentile(run.tickMs, 0.5).toFixed(3)} p99 ${percentile(run.tickMs, 0.99).toFixed(3)} ms`;
  const { counts } = run;
  const asked = `asked ${counts.asked}, answered ${counts.answered}, failed ${counts.failed}, timed out ${counts.timedOut}, from the cache ${counts.cacheHits}, reconnects ${counts.reconnects}`;
  const parley = `  dropped ${run.dropped} (worst ${run.worstMs.toFixed(2)} ms)  ${tick}  ${asked}, collections ${run.collections} (longest ${run.longestCollectionMs.toFixed(1)} ms)`;
  say(
    `  ${trouble.padEnd(14)} ${arm.padEnd(6)} ${run.frames} frames ${late}  work p99 ${percentile(run.workMs, 0.99).toFixed(2)} ms${arm === 'parley' ? parley : `  plain work p50 ${percentile(run.plainMs, 0.5).toFixed(3)} ms, over ${over(run.plainMs)} of ${run.plainMs.length}`}`,
  );
  for (const { frame, ms, parts: spent, asked, hits, collectionMs, collected } of run.drops.slice(0, 20)) {
    const of = parts.map((part, k) => `${part} ${spent[k]!.toFixed(3)}`).join(' ');
    say(
      `    dropped frame ${frame}: ${ms.toFixed(3)} ms (${of}; asked ${asked}, from the cache ${hits}, collected ${collectionMs.toFixed(2)} ms${collected.map((kind) => ` ${kind}`).join('')})`,
    );
  }
}

for (let i = -1; i < plan.rounds; i++) {
  const trouble = i < 0 ? 'none' : troubles[i % troubles.length]!;
  for (const arm of i % 2 === 0 ? (['parley', 'bare'] as const) : (['bare', 'parley'] as const)) {
    const load =
      arm === 'parley'
        ? others
        : {
            thinksPerSecond: others.thinksPerSecond + asked.thinksPerSecond,
            saysPerSecond: others.saysPerSecond + asked.saysPerSecond,
          };
    const [run] = await Promise.all([
      games[arm].order<RunResult>({
        op: 'run',
        frames,
        saysPerSecond: ownSaysPerSecond,
        plainMs: takesMs,
        // The loop knows by itself when: an order in the middle of it would be a message to read.
        cutAt: trouble === 'sockets cut' ? Math.floor(frames / 3) : undefined,
      }),
      driver.order({ op: 'drive', ms: plan.seconds * 1_000 + leadFrames * frameMs, load }),
      make(trouble),
    ]);
    if (i < 0) say('  warm-up, not counted:');
    show(arm, trouble, run);
    if (arm === 'parley') {
      asked = run.load;
      takesMs = percentile(run.parleyMs, 0.5);
    }
    if (i >= 0) results[arm].push(run);
    // Who is still coming back belongs to this round.
    await sleep(1_000);
  }
}

const parley = sum(results.parley);
const bare = sum(results.bare);
const plain = Float32Array.from(results.bare.flatMap(({ plainMs }) => [...plainMs]));
const ages = results.parley.flatMap(({ intentAgeMs }) => intentAgeMs);
const total = (name: string) => results.parley.reduce((all, { counts }) => all + (counts[name] ?? 0), 0);
const tickP50Ms = percentile(parley.tickMs, 0.5);
say('cost of a character beside mistreevous and yuka:');
const beside = await compare({ characters: plan.characters, quick });
process.stdout.write(
  `${JSON.stringify({
    bench: 'loop',
    characters: plan.characters,
    players: plan.players,
    ownPlayers,
    frames: parley.frames,
    dropped: parley.dropped,
    plainFrames: plain.length,
    plainOver: over(plain),
    plainP50Ms: round(percentile(plain, 0.5)),
    plainP99Ms: round(percentile(plain, 0.99)),
    putOff: total('putOff'),
    worstParleyMs: round(parley.worstMs),
    parleyP50Ms: round(percentile(parley.parleyMs, 0.5)),
    parleyP99Ms: round(percentile(parley.parleyMs, 0.99)),
    mayUseMs: round(parleyMs),
    tickP50Ms: round(tickP50Ms),
    tickP99Ms: round(percentile(parley.tickMs, 0.99)),
    frameP99Ms: round(percentile(parley.workMs, 0.99)),
    baselineFrameP99Ms: round(percentile(bare.workMs, 0.99)),
    frameMs: round(frameMs),
    lateShare: round(parley.late / parley.frames, 5),
    baselineLateShare: round(bare.late / bare.frames, 5),
    intentAgeP50Ms: round(percentile(ages, 0.5), 0),
    intentAgeP99Ms: round(percentile(ages, 0.99), 0),
    asked: total('asked'),
    answered: total('answered'),
    cacheHits: total('cacheHits'),
    reconnects: total('reconnects'),
    usPerCharacter: round((tickP50Ms * 1_000) / plan.characters),
    ...beside,
    quick,
  })}\n`,
);
