// What "nothing is lost" costs while nothing goes wrong: the same bursts through a gateway that keeps frames and
// writes session records, and through one that does neither, in turn, in one run.

import { CrowdProcess } from '../../bench/relay/crowd-process.ts';
import { tokensOf } from '../../bench/relay/stage.ts';
import { burst, unthrottled } from '../../bench/relay/throughput.ts';
import { LocalStack } from '../../scripts/stack/local-stack.ts';
import type { NodeProcess } from '../../scripts/stack/process.ts';

/** The settings of bench/relay, whose harness this is. */
const settings = {
  PARLEY_NPCS: 'bench/relay/npcs',
  PARLEY_LOG_LEVEL: 'error',
  PARLEY_MAX_TOKENS: '8192',
  PARLEY_BUDGET_MS: '300000',
  PARLEY_ACCEPT_MS: '10000',
  PARLEY_HISTORY_TURNS: '0',
  PARLEY_HOLD_MS: '1000',
  RECORDED_ENDLESS: '1',
  RECORDED_STAMPED: '1',
  RECORDED_SPEED: String(unthrottled.speed),
  RECORDED_FIRST_MS: String(unthrottled.firstMs),
};
/** Keeps almost nothing of a stream. */
const off = { PARLEY_MAX_KEPT_BYTES: '1024', PARLEY_RESUME_GRACE_MS: '0' };
const sockets = 500;
const nowhere = 'redis://127.0.0.1:1';

/** A stack whose gateways can be started without Redis, and so without session records. */
class CostStack extends LocalStack {
  withoutRedis = false;

  override redisUrl(user = 'operator'): string {
    return this.withoutRedis && user === 'gateway' ? nowhere : super.redisUrl(user);
  }
}

/**
 * One minus the throughput with it, of the throughput without. Throughput is frames for a second of the gateway's own
 * processor time: on a machine that is shared, frames a second measure the neighbours as well.
 */
export async function relayCost(quick: boolean, say: (line: string) => void): Promise<number> {
  const { couples, pieces } = quick ? { couples: 1, pieces: 100 } : { couples: 4, pieces: 300 };
  await using stack = new CostStack({
    ephemeral: true,
    gateways: 1,
    workers: 1,
    workerEntry: 'bench/recorded/worker.ts',
    env: settings,
  });
  await stack.start();
  stack.withoutRedis = true;
  const without = await stack.startGateway({ env: off });
  const arms = [await armOf(stack, 0, stack.gateways[0]!), await armOf(stack, 1, without)];
  const costs: number[][] = [[], []];
  for (let run = 0; run <= 2 * couples; run++) {
    for (const i of run % 2 === 0 ? [0, 1] : [1, 0]) {
      const { cpuUsPerFrame, framesPerSecond } = await burst(arms[i]!, sockets, pieces);
      // The first of each warms up.
      if (run > 0) costs[i]!.push(cpuUsPerFrame);
      const which = i === 0 ? 'kept and recorded' : 'neither          ';
      say(
        `relay, ${which}: ${cpuUsPerFrame.toFixed(2)} us of the gateway a frame, ${Math.round(framesPerSecond)} /s`,
      );
    }
  }
  for (const arm of arms) await arm.crowd[Symbol.asyncDispose]();
  // Whichever arm comes again at once has the garbage of its last burst to collect. Two rounds, one in each order,
  // even that out; the median of such couples is what a busy neighbour disturbs least.
  const [on, bare] = costs.map((each) => couplesOf(each));
  const ratios = on!.map((cost, i) => bare![i]! / cost).sort((a, b) => a - b);
  const half = ratios.length >> 1;
  const median = ratios.length % 2 === 1 ? ratios[half]! : (ratios[half - 1]! + ratios[half]!) / 2;
  return Number((1 - median).toFixed(3));
}

/** Neighbours added up. */
function couplesOf(values: readonly number[]): number[] {
  return values.flatMap((value, i) => (i % 2 === 0 ? [] : [values[i - 1]! + value]));
}

async function armOf(stack: LocalStack, gateway: number, server: NodeProcess) {
  const crowd = new CrowdProcess();
  const open = async (count: number) => crowd.open(stack.ws(gateway), count, await tokensOf(stack, count));
  await open(sockets);
  return { name: 'gateway' as const, server, crowd, open };
}
