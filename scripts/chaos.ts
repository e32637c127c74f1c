// `npm run chaos [-- --quick] [--only NAME] [--streams N]`: breaks every part of a local stack under live streams and
// compares what each player read with what must have been read. The table goes to standard error; the last line, on
// standard output, is JSON. Fails when anything was lost, doubled or untrue.

import { loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { readConfig } from '../runtime/config.ts';
import { type Fault, faults, type Plan } from '../tests/chaos/faults.ts';
import { relayCost } from '../tests/chaos/relay-cost.ts';
import { type Row, tableHead, tableRow } from '../tests/chaos/report.ts';
import { Stage, type StageOptions } from '../tests/chaos/stage.ts';
import { findToxiproxy } from '../tests/chaos/toxiproxy.ts';

const { quick, only, streams, cost } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string' },
    streams: { type: 'string' },
    /** `--no-cost`: without the comparison of throughput. */
    cost: { type: 'boolean', default: true },
  },
  allowNegative: true,
}).values;

const plan: Plan = quick
  ? { streams: 150, answerMs: 3_000, outageMs: 10_000, frozenMs: 5_500 }
  : { streams: 500, answerMs: 6_000, outageMs: 30_000, frozenMs: 8_000 };
const realPlan: Plan = { ...plan, streams: 8 };
/** What `--quick` does: those of which the others are variations. */
const quickFaults = new Set(['kill-gateway', 'kill-worker', 'freeze-gateway', 'rolling-restart']);
const quickWithModel = new Set(['kill-gateway', 'kill-worker']);

const say = (line: string) => void process.stderr.write(`${line}\n`);
const wanted = faults.filter(({ name }) => (only ? name === only : !quick || quickFaults.has(name)));
const withModel = wanted.filter((f) => f.withModel && (!quick || only || quickWithModel.has(f.name)));
const toxiproxy = await findToxiproxy(readConfig().home);
const rows: Row[] = [];

function show(row: Row): void {
  rows.push(row);
  say(tableRow(row));
}

let broken = false;

/** Runs some faults on one stage, one after the other. What cannot even be judged fails the run. */
async function runOn(options: StageOptions, group: readonly Fault[], how: Plan, suffix = ''): Promise<void> {
  if (group.length === 0) return;
  try {
    await using stage = await Stage.set(options);
    for (const fault of group) {
      const title = fault.title + suffix;
      try {
        const result = await fault.run(stage, streams ? { ...how, streams: Number(streams) } : how);
        show({ title, result });
      } catch (error) {
        broken = true;
        show({ title, result: undefined, skipped: `it went wrong: ${(error as Error).message}` });
        await stage.healed();
      }
    }
  } catch (error) {
    broken = true;
    say(`the stage went wrong: ${(error as Error).message}`);
  }
}

const startedAt = performance.now();
say(tableHead());
await runOn({ engine: 'recorded' }, of('plain'), plan);
await runOn({ engine: 'recorded', speed: 4, merged: 40 }, of('fast'), plan);
if ('program' in toxiproxy) {
  await runOn({ engine: 'recorded', toxiproxy: toxiproxy.program }, of('proxied'), plan);
} else for (const { title } of of('proxied')) show({ title, result: undefined, skipped: toxiproxy.missing });
await runOn({ engine: 'llama' }, withModel, realPlan, ', real model');
const relay = cost && !only ? await relayCost(quick, say) : undefined;

const results = rows.flatMap(({ result }) => result ?? []);
const sum = (key: 'streams' | 'lost' | 'doubled' | 'dishonest' | 'touched' | 'continued') =>
  results.reduce((total, result) => total + result[key], 0);
const rowOf = (name: string) =>
  rows.find((row) => row.title === faults.find((f) => f.name === name)?.title)?.result;
const killed = rowOf('kill-worker');
const report = {
  bench: 'chaos',
  streams: sum('streams'),
  lost: sum('lost'),
  doubled: sum('doubled'),
  dishonestEnds: sum('dishonest'),
  gatewayGapP99Ms: Math.round(rowOf('kill-gateway')?.gapP99Ms ?? 0),
  workerContinued: killed && killed.touched > 0 ? killed.continued / killed.touched : undefined,
  relayCost: relay,
  faults: results.length,
  skipped: rows.length - results.length,
  /** Of the last minute: on a machine that others use too, silences are theirs as well. */
  loadAverage: Number(loadavg()[0]!.toFixed(1)),
  seconds: Math.round((performance.now() - startedAt) / 1_000),
};
const wrong = broken || results.some((result) => result.faults.length > 0);
process.stdout.write(`${JSON.stringify(report)}\n`);
process.exit(wrong || report.lost + report.doubled + report.dishonestEnds > 0 ? 1 : 0);

function of(stage: Fault['stage']): Fault[] {
  return wanted.filter((fault) => fault.stage === stage);
}
