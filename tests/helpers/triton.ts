// A real Triton for a test file: the one that `npm start -- --gold triton` runs, with the model of the other tests. Where
// it cannot be had, the file's tests are skipped, and this says why.

import { readdirSync, readFileSync } from 'node:fs';
import { readConfig } from '../../runtime/config.ts';
import { tritonFolder } from '../../scripts/stack/servers.ts';
import { engineOptions, TritonServer } from '../../scripts/stack/triton.ts';
import { createTritonEngine, type TritonOptions } from '../../tiers/gold/triton-engine.ts';
import { sumMetric } from './stack.ts';

const { home } = readConfig();
const found = tritonFolder(home);
if ('missing' in found) process.stderr.write(`tests of Triton are skipped: ${found.missing}\n`);

/** Whether this machine has a Triton. */
export const hasTriton = !('missing' in found);

export const contextTokens = 1024;
/** Streams at once. Each has a cache of its own, which more of them would have to fill. */
export const places = 2;

/** Options of the one that a test file starts. */
export function tritonOfTests(): ConstructorParameters<typeof TritonServer>[0] {
  if ('missing' in found) throw new Error(found.missing);
  return { folder: found.folder, home, slots: places, contextTokens, threads: 1 };
}

export async function startTriton(): Promise<TritonServer> {
  const triton = new TritonServer(tritonOfTests());
  await triton.start();
  return triton;
}

/** The processes of a group that still run, as folders of /proc. */
function membersOf(group: number): string[] {
  const folders = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return folders.filter((id) => {
    try {
      const stat = readFileSync(`/proc/${id}/stat`, 'utf8');
      const [state, , itsGroup] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      return Number(itsGroup) === group && state !== 'Z';
    } catch {
      return false; // it ended in this moment
    }
  });
}

/** The process in which the model `tensorrt_llm` runs. */
export function modelProcessOf(group: number): number {
  const id = membersOf(group).find((member) =>
    readFileSync(`/proc/${member}/cmdline`, 'utf8').includes('/tensorrt_llm/'),
  );
  if (id === undefined) throw new Error('no process of this group runs tensorrt_llm');
  return Number(id);
}

/** Their command lines. */
export function processesOf(group: number): string[] {
  return membersOf(group).map((id) => {
    try {
      return readFileSync(`/proc/${id}/cmdline`, 'utf8').replaceAll('\0', ' ');
    } catch {
      return '';
    }
  });
}

/** Bytes of memory that the processes of a group hold and share with no file. */
export function memoryOf(group: number): number {
  const kb = membersOf(group).map((id) =>
    Number(/^RssAnon:\s+(\d+) kB/m.exec(readFileSync(`/proc/${id}/status`, 'utf8'))?.[1]),
  );
  return kb.reduce((sum, each) => sum + each, 0) * 1_024;
}

/** Shared memory of the Tritons that a process started. */
export function sharedMemoryOf(pid: number): string[] {
  return readdirSync('/dev/shm').filter((name) => name.startsWith(`parley-triton-${pid}-`));
}

/** An engine on these servers, with what its metrics would count. */
export async function engineOn(
  servers: readonly { address: string; metricsUrl?: string }[],
  options: Partial<TritonOptions> = {},
) {
  const faults: string[] = [];
  const probes: string[] = [];
  const engine = await createTritonEngine({
    ...engineOptions(servers, { contextTokens, concurrency: places }),
    onFault: (reason) => faults.push(reason),
    onProbe: (result) => probes.push(result),
    ...options,
  });
  return { engine, faults, probes, [Symbol.asyncDispose]: () => engine.close() };
}

/** What the model has computed and how its requests ended, by its own count. */
export async function modelFigures(triton: TritonServer) {
  const page = await (await fetch(triton.metricsUrl)).text();
  const tokens = (kind: string) => sumMetric(page, 'parley_local_model_tokens_total', `kind="${kind}"`);
  const requests = (outcome: string) =>
    sumMetric(page, 'parley_local_model_requests_total', `outcome="${outcome}"`);
  return {
    prefilled: tokens('prompt'),
    decoded: tokens('generated'),
    finished: requests('finished'),
    cancelled: requests('cancelled'),
    running: sumMetric(page, 'nv_trt_llm_request_metrics', 'request_type="active"'),
  };
}
