// `npm run soak [-- --minutes 60 --players 100 --seed N]`: players talk on and on while faults of every sort come at
// random, and every ten seconds each process says what it holds: memory, descriptors, subscriptions, streams. What
// grows and never shrinks is a leak. `--engine [--gold triton] [--count 20000]` makes short answers on a real engine instead,
// with no faults (soak/generations.ts). The last line, on standard output, is JSON.

import { readdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { rssKb } from '../bench/relay/process-figures.ts';
import { readConfig } from '../runtime/config.ts';
import { Crowd } from '../tests/chaos/crowd.ts';
import { usualPatience } from '../tests/chaos/player.ts';
import { tableHead, tableRow } from '../tests/chaos/report.ts';
import { Stage } from '../tests/chaos/stage.ts';
import { randomly, strikes } from '../tests/chaos/strikes.ts';
import { findToxiproxy } from '../tests/chaos/toxiproxy.ts';
import { generations } from './soak/generations.ts';
import { freePort } from './stack/ports.ts';

const {
  engine,
  gold,
  count,
  minutes,
  players,
  seed: givenSeed,
} = parseArgs({
  options: {
    engine: { type: 'boolean', default: false },
    gold: { type: 'string', default: 'llama' },
    count: { type: 'string', default: '20000' },
    minutes: { type: 'string', default: '60' },
    players: { type: 'string', default: '100' },
    seed: { type: 'string' },
  },
}).values;
const seed = givenSeed ? Number(givenSeed) : Date.now() % 1_000_000;
const sampleMs = 10_000;
/** Players who have talked so long are judged and replaced, so that what is remembered of them stays bounded. */
const crowdMs = 60_000;
const patientMs = 60_000;
/** Of an answer: a few seconds. */
const answerTokens = () => 40 + Math.floor(Math.random() * 80);

const say = (line: string) => void process.stderr.write(`${line}\n`);
if (engine) await soakEngine();
const startedAt = performance.now();
const until = startedAt + Number(minutes) * 60_000;
const clock = () => {
  const s = Math.round((performance.now() - startedAt) / 1_000);
  return `${String(Math.floor(s / 60)).padStart(3)}:${String(s % 60).padStart(2, '0')}`;
};

/** Short answers on a real engine; ends the process. */
async function soakEngine(): Promise<never> {
  if ((gold !== 'llama' && gold !== 'triton') || !(Number(count) >= 8)) {
    say('usage: npm run soak -- --engine [--gold llama|triton] [--count 20000]');
    process.exit(2);
  }
  say(`${count} short answers on ${gold}`);
  const result = await generations({ engine: gold, count: Number(count), say });
  // What a process may grow by for each answer, and for the noise of its collector.
  const half = result.end.answers - result.middle.answers;
  const grown = Object.entries(result.kbPerAnswer).filter(([, kb]) => kb * half > 32 * 1_024 + 0.5 * half);
  const ok = grown.length === 0 && Object.keys(result.failed).length === 0;
  process.stdout.write(
    `${JSON.stringify({ bench: 'soak-engine', ...result, grown, verdict: ok ? 'ok' : 'failed' })}\n`,
  );
  process.exit(ok ? 0 : 1);
}

const toxiproxy = await findToxiproxy(readConfig().home);
say(`soak of ${minutes} minutes, ${players} players, --seed ${seed}`);
if ('missing' in toxiproxy) say(`without faults of the network: ${toxiproxy.missing}`);
await using stage = await Stage.set({
  engine: 'recorded',
  workers: 3,
  natsMonitorPort: await freePort(),
  ...('program' in toxiproxy && { toxiproxy: toxiproxy.program }),
  env: { PARLEY_HOLD_MS: '20000', PARLEY_RESUME_GRACE_MS: '15000' },
});

const totals = { streams: 0, lost: 0, doubled: 0, dishonest: 0, failed: 0 };
const peaks = new Map<string, number[]>();
let crowd: Crowd | undefined;
let struck = 0;

/** Prints what each process holds. */
async function sample(): Promise<void> {
  const rows: string[] = [];
  for (const service of stage.stack.services()) {
    const { name, pid } = service;
    if (!pid) {
      rows.push(`${name} is down`);
      continue;
    }
    const mb = Math.round(rssKb(pid) / 1_024);
    const open = readdirSync(`/proc/${pid}/fd`).length;
    rows.push(`${name} ${mb} MB ${open} fd`);
    const before = peaks.get(name) ?? [];
    before.push(mb);
    peaks.set(name, before);
  }
  const { subscriptions, connections } = await stage
    .natsFigures()
    .catch(() => ({ subscriptions: -1, connections: -1 }));
  const held = await Promise.all(
    stage.stack.gateways.map((_, i) => stage.held(i).catch(() => ({ sessions: -1, streams: -1 }))),
  );
  const gateways = held.map(
    ({ sessions, streams }, i) => `gw${i + 1} ${sessions} sessions ${streams} streams`,
  );
  say(`${clock()}  ${rows.join(' | ')}`);
  say(
    `        ${gateways.join(' | ')} | ${subscriptions} subscriptions of ${connections} connections | ` +
      `${totals.streams} streams judged, ${totals.lost} lost, ${totals.doubled} doubled, ${totals.dishonest} dishonest | ${struck} faults`,
  );
}

const random = randomly(seed);
const possible = strikes.filter(({ network }) => !network || 'program' in toxiproxy);
let sampling = true;
const sampler = (async () => {
  while (sampling) {
    await sample().catch((error) => say(`no sample: ${(error as Error).message}`));
    await sleep(sampleMs);
  }
})();

while (performance.now() < until) {
  crowd = await Crowd.join(stage, { players: Number(players), patience: usualPatience });
  const from = performance.now();
  await crowd.askOnAndOn(answerTokens, 3_000);
  while (performance.now() < Math.min(until, from + crowdMs)) {
    const strike = possible[Math.floor(random() * possible.length)]!;
    say(`${clock()}  ${strike.name}`);
    await strike.run(stage, random);
    struck++;
    await stage.healed();
    await sleep(1_000 + random() * 4_000);
  }
  crowd.stopAsking();
  await crowd.ended(patientMs);
  // The faults take Redis away too, so the history is not asked: it may be lost, and that is known.
  const result = await crowd.judged({ from, to: performance.now(), history: false });
  totals.streams += result.streams;
  totals.lost += result.lost;
  totals.doubled += result.doubled;
  totals.dishonest += result.dishonest;
  totals.failed += result.streams - result.whole;
  say(tableHead());
  say(tableRow({ title: `${clock()} ${players} players`, result }));
  crowd[Symbol.dispose]();
}
sampling = false;
await sampler;

/** Memory at the end of what a process held in the middle of the run: more than a half again, and it may leak. */
const grown = [...peaks].flatMap(([name, mb]) => {
  const middle = mb[mb.length >> 1] ?? 0;
  const last = mb.at(-1) ?? 0;
  return mb.length >= 12 && last > middle * 1.5 ? [`${name} ${middle} MB -> ${last} MB`] : [];
});
const ok = totals.lost + totals.doubled + totals.dishonest === 0 && grown.length === 0;
const report = {
  bench: 'soak',
  minutes: Number(minutes),
  seed,
  faults: struck,
  ...totals,
  grown,
  verdict: ok ? 'ok' : 'failed',
};
process.stdout.write(`${JSON.stringify(report)}\n`);
await stage[Symbol.asyncDispose]();
process.exit(ok ? 0 : 1);
