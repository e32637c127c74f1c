// Thousands of short answers through the whole stack on a real engine, a quarter of them cancelled in mid-stream, and what the
// worker, the gateway and the model's server hold meanwhile. What grows with every answer is a leak. Strikes nothing.

import { readdirSync, readFileSync } from 'node:fs';
import WebSocket from 'ws';
import { ParleyClient } from '../../client/index.ts';
import { LocalStack } from '../stack/local-stack.ts';
import type { Service } from '../stack/service.ts';

export interface GenerationsOptions {
  readonly engine: 'llama' | 'triton';
  readonly count: number;
  readonly say?: (line: string) => void;
}

/** What is held at one moment, nobody being spoken to: memory in KB by process, and the model's cache. */
export interface Held {
  readonly answers: number;
  readonly kb: Readonly<Record<string, number>>;
  /** What leases hold of the worker's cache, and the part of Triton's that requests hold. */
  readonly kv: number;
  /** Streams that run, wait or are kept in the worker. */
  readonly streams: number;
}

export interface GenerationsResult {
  readonly engine: string;
  readonly answers: number;
  readonly cancelled: number;
  /** Answers that ended with an error, by its code. */
  readonly failed: Readonly<Record<string, number>>;
  readonly start: Held;
  readonly middle: Held;
  readonly end: Held;
  /** KB that each process grew by in the second half, for each answer. */
  readonly kbPerAnswer: Readonly<Record<string, number>>;
}

const players = 4;
/** The memory is read so often, with nobody being spoken to. */
const samples = 8;
const restMs = 60_000;

/** Resolves with what was held. Rejects when the stack cannot start or does not come to rest. */
export async function generations({
  engine,
  count,
  say = () => {},
}: GenerationsOptions): Promise<GenerationsResult> {
  await using stack = new LocalStack({
    ephemeral: true,
    env: {
      PARLEY_ENGINE: engine,
      PARLEY_ADAPTER: 'none',
      // One character with few words, of whom little is remembered: short answers, not long prompts.
      PARLEY_NPCS: 'bench/relay/npcs',
      PARLEY_HISTORY_TURNS: '2',
      PARLEY_HOLD_MS: '1000',
      PARLEY_PIN_LEASE_MS: '5000',
      PARLEY_SAYS_PER_SECOND: '1000',
      PARLEY_SAY_BURST: '1000',
      PARLEY_MESSAGES_PER_SECOND: '1000',
    },
  });
  await stack.start();
  const failed: Record<string, number> = {};
  let answers = 0;
  let cancelled = 0;
  const talk = async (clients: readonly ParleyClient[], many: number) => {
    const until = answers + many;
    await Promise.all(
      clients.map(async (client) => {
        while (answers < until) {
          const cancels = answers++ % 4 === 0;
          const stream = client.say({
            npc: 'crier',
            text: 'Go on.',
            maxTokens: cancels ? 40 : 2,
            budgetMs: 60_000,
          });
          if (cancels) stream.once('text', () => stream.cancel());
          const end = await stream.end.catch((error: { code?: string }) => {
            failed[error.code ?? String(error)] = (failed[error.code ?? String(error)] ?? 0) + 1;
          });
          if (end?.reason === 'cancelled') cancelled++;
          if (end && end.source !== 'live') failed[end.source] = (failed[end.source] ?? 0) + 1;
        }
      }),
    );
  };
  const round = async (many: number): Promise<Held> => {
    const clients = await Promise.all(Array.from({ length: players }, (_, i) => join(stack, `soak-${i}`)));
    await talk(clients, many);
    for (const client of clients) client.close();
    const held = await atRest(stack, answers);
    const memory = Object.entries(held.kb).map(([name, kb]) => `${name} ${Math.round(kb / 1_024)} MB`);
    say(
      `${String(answers).padStart(7)} answers, ${cancelled} cancelled | ${memory.join(' | ')} | cache ${held.kv}, streams ${held.streams}`,
    );
    return held;
  };
  const start = await atRest(stack, 0);
  const seen: Held[] = [];
  for (let i = 0; i < samples; i++) seen.push(await round(Math.ceil(count / samples)));
  const middle = seen[samples / 2 - 1]!;
  const end = seen.at(-1)!;
  const kbPerAnswer = Object.fromEntries(
    Object.entries(end.kb).map(([name, kb]) => [
      name,
      (kb - middle.kb[name]!) / (end.answers - middle.answers),
    ]),
  );
  return { engine, answers, cancelled, failed, start, middle, end, kbPerAnswer };
}

async function join(stack: LocalStack, player: string): Promise<ParleyClient> {
  const client = new ParleyClient({
    url: stack.ws(),
    token: () => stack.token(player),
    WebSocket: WebSocket as never,
  });
  await client.connect();
  return client;
}

/** Waits until nothing runs and nothing is kept any more, and looks. Rejects, with what is left, when that takes too long. */
async function atRest(stack: LocalStack, answers: number): Promise<Held> {
  const [worker] = stack.workers;
  const triton = stack.services().find(({ name }) => name === 'tritonserver');
  const deadline = Date.now() + restMs;
  for (;;) {
    const page = await (await fetch(`http://127.0.0.1:${worker!.listening.metricsPort}/metrics`)).text();
    const streams =
      read(page, 'parley_worker_active') +
      read(page, 'parley_worker_queued') +
      read(page, 'parley_worker_held_streams');
    const kv =
      read(page, 'parley_worker_kv_pin_room', 'of="held"') + read(page, 'parley_triton_kv_use_ratio');
    if (streams === 0 && kv === 0) {
      const kb: Record<string, number> = { worker: memoryOf(worker!), gateway: memoryOf(stack.gateways[0]!) };
      if (triton) kb.triton = memoryOf(triton);
      return { answers, kb, kv, streams };
    }
    if (Date.now() > deadline)
      throw new Error(
        `after ${answers} answers ${streams} streams and ${kv} of the cache are still held, with nobody there`,
      );
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

/** The sum of a metric over the label sets that contain `labels`; 0 where there is none. */
function read(page: string, name: string, labels = ''): number {
  const lines = page.split('\n').filter((line) => line.startsWith(`${name}{`) && line.includes(labels));
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
}

/** Memory that is no file's, in KB, of a process and of those that it started in its group. */
function memoryOf(service: Service): number {
  let sum = 0;
  for (const id of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const stat = readFileSync(`/proc/${id}/stat`, 'utf8');
      const group = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[2]);
      if (group !== service.pid && Number(id) !== service.pid) continue;
      sum += Number(/^RssAnon:\s+(\d+) kB/m.exec(readFileSync(`/proc/${id}/status`, 'utf8'))?.[1] ?? 0);
    } catch {
      // it ended in this moment
    }
  }
  return sum;
}
