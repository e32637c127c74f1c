// What the gateway costs between a worker and a player, beside a bare relay that only forwards: throughput and CPU a
// frame, latency a token, memory of an idle session. bench/README.md says how each is measured.
//   npm run bench -- relay [--quick] [--part throughput|latency|idle]

import { parseArgs } from 'node:util';
import { idle } from './relay/idle.ts';
import { type Latency, latency, paced } from './relay/latency.ts';
import { cpuMs, machineMs } from './relay/process-figures.ts';
import { type Arm, setStage } from './relay/stage.ts';
import { type Burst, burst, unthrottled } from './relay/throughput.ts';

const { quick, part } = parseArgs({
  options: { quick: { type: 'boolean', default: false }, part: { type: 'string' } },
}).values;
const plan = quick
  ? { runs: 1, frames: 100_000, latencyRuns: 1, windowMs: 2_000, sessions: 10_000 }
  : { runs: 5, frames: 200_000, latencyRuns: 7, windowMs: 2_000, sessions: 10_000 };
/** Of the runs of latency. */
const sockets = 500;
/** Half of the load that a quiet machine of two cores carries; where throughput was measured, half of that. */
const usualFramesPerSecond = 30_000;

const say = (line: string) => void process.stderr.write(`${line}\n`);
const round = (value: number) => Number(value.toFixed(3));
const median = (values: readonly number[]) => [...values].sort((a, b) => a - b)[values.length >> 1]!;

/** The median of each figure of several runs. */
function medians<T extends object>(runs: readonly T[]): T {
  const of = (key: keyof T) => median(runs.map((run) => run[key] as number));
  return Object.fromEntries(Object.keys(runs[0]!).map((key) => [key, of(key as keyof T)])) as T;
}

if (process.platform !== 'linux') throw new Error('this bench reads /proc, so it needs Linux');
const startedAt = performance.now();
say('starting nats-server, redis-server, gateway, worker with recorded answers, bare relay, direct server');
await using stage = await setStage(unthrottled, (line) => say(`  ${line}`));

/** Cores that other programs keep busy: with more than a few tenths the figures say more about them. */
const othersCores: number[] = [];
async function besides<T>(work: () => Promise<T>): Promise<T> {
  const own = () => stage.pids().reduce((sum, pid) => sum + cpuMs(pid), 0);
  const before = { at: performance.now(), others: machineMs() - own() };
  const result = await work();
  othersCores.push((machineMs() - own() - before.others) / (performance.now() - before.at));
  return result;
}

/**
 * Runs each arm so many times, after one run that does not count, in an order that changes: what comes second must
 * not always be the same. Returns the medians.
 */
async function interleaved<T extends object>(
  arms: readonly Arm[],
  runs: number,
  once: (arm: Arm) => Promise<T>,
  show: (result: T) => string,
): Promise<Record<Arm['name'], T>> {
  const results: Record<Arm['name'], T[]> = { gateway: [], bare: [], direct: [] };
  for (let run = 0; run <= runs; run++) {
    for (const arm of run % 2 === 0 ? arms : [...arms].reverse()) {
      const result = await besides(() => once(arm));
      const others = `(other programs: ${othersCores.at(-1)!.toFixed(1)} cores)`;
      say(`  ${run === 0 ? 'warm-up' : `run ${run}  `}  ${arm.name.padEnd(8)} ${show(result)}  ${others}`);
      if (run > 0) results[arm.name].push(result);
    }
  }
  const all = arms.map((arm) => [arm.name, medians(results[arm.name])]);
  return Object.fromEntries(all) as Record<Arm['name'], T>;
}

async function throughput(count: 500 | 2000) {
  const pieces = Math.floor(plan.frames / count);
  say(`throughput, ${count} sockets, ${pieces} pieces each: frames a second, CPU a frame`);
  const arms = [stage.gateway, stage.bare];
  for (const arm of arms) await arm.open(count);
  const { gateway, bare } = await interleaved(
    arms,
    plan.runs,
    (arm) => burst(arm, count, pieces),
    (b: Burst) => `${Math.round(b.framesPerSecond)} /s, ${b.cpuUsPerFrame.toFixed(1)} us`,
  );
  for (const arm of arms) await arm.crowd.close();
  const suffix = count === 500 ? '' : String(count);
  return {
    [`ratio${count}`]: round(gateway.framesPerSecond / bare.framesPerSecond),
    [`framesPerSecond${count}`]: Math.round(gateway.framesPerSecond),
    [`bareFramesPerSecond${count}`]: Math.round(bare.framesPerSecond),
    [`cpuUsPerFrame${suffix}`]: round(gateway.cpuUsPerFrame),
    [`bareCpuUsPerFrame${suffix}`]: round(bare.cpuUsPerFrame),
  };
}

async function latencies(framesPerSecond: number) {
  say(`latency a token, ${sockets} sockets, ${framesPerSecond} frames a second: p50, p95, p99`);
  await stage.play(paced(framesPerSecond / sockets));
  const arms = [stage.gateway, stage.bare, stage.direct];
  for (const arm of arms) await arm.open(sockets);
  const { gateway, bare, direct } = await interleaved(
    arms,
    plan.latencyRuns,
    (arm) => latency(arm, framesPerSecond / sockets, plan.windowMs),
    (l: Latency) =>
      `${[l.p50Ms, l.p95Ms, l.p99Ms].map((ms) => `${ms.toFixed(2)} ms`).join(', ')}  (${Math.round(l.framesPerSecond)} /s)`,
  );
  for (const arm of arms) await arm.crowd.close();
  return {
    latencyFramesPerSecond: framesPerSecond,
    p50Ms: round(gateway.p50Ms),
    p95Ms: round(gateway.p95Ms),
    p99Ms: round(gateway.p99Ms),
    relayP50Ms: round(bare.p50Ms),
    relayP95Ms: round(bare.p95Ms),
    relayP99Ms: round(bare.p99Ms),
    directP50Ms: round(direct.p50Ms),
    directP95Ms: round(direct.p95Ms),
    directP99Ms: round(direct.p99Ms),
    ratioP50: round(gateway.p50Ms / bare.p50Ms),
    ratioP99: round(gateway.p99Ms / bare.p99Ms),
  };
}

async function memory() {
  const { sessions, beforeKb, halfKb, afterKb, kbPerSession } = await idle(stage, plan.sessions);
  say(
    `idle memory: resident memory of a fresh gateway ${beforeKb} KB, with ${sessions / 2} welcomed sessions of different players ` +
      `${halfKb} KB, with ${sessions} ${afterKb} KB, garbage collected each time: ${kbPerSession.toFixed(2)} KB each ` +
      "(the larger of all and of the second half; the kernel's socket buffers are not in it)",
  );
  return { idleKBPerSession: round(kbPerSession), idleSessions: sessions };
}

const report: Record<string, unknown> = { bench: 'relay' };
if (!part || part === 'throughput') {
  Object.assign(report, await throughput(500), await throughput(2_000));
}
if (!part || part === 'latency') {
  const { framesPerSecond500: a, bareFramesPerSecond500: b } = report;
  const load = a && b ? Math.min(Number(a), Number(b)) / 2 : usualFramesPerSecond;
  Object.assign(report, await latencies(Math.round(load)));
}
if (!part || part === 'idle') Object.assign(report, await memory());
Object.assign(report, {
  ...(othersCores.length > 0 && { othersCores: round(median(othersCores)) }),
  quick,
  seconds: Math.round((performance.now() - startedAt) / 1_000),
});
process.stdout.write(`${JSON.stringify(report)}\n`);
