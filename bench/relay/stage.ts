// Everything that the relay bench runs on one machine: a local stack whose worker plays recorded answers, the bare
// relay, the direct server, and a crowd of players for each of the three.

import { randomUUID } from 'node:crypto';
import { type LocalStack, startStack } from '../../scripts/stack/local-stack.ts';
import { type NodeProcess, startProcess } from '../../scripts/stack/process.ts';
import { CrowdProcess } from './crowd-process.ts';

/** A way from an engine to players' sockets. */
export interface Arm {
  readonly name: 'gateway' | 'bare' | 'direct';
  /** The process that is measured. */
  readonly server: NodeProcess;
  readonly crowd: CrowdProcess;
  /** Opens so many sockets, which stay until the crowd is closed. */
  open(sockets: number): Promise<void>;
}

/** How the engines play. */
export interface Play {
  /** 1: as recorded; 0: as fast as frames are taken. */
  readonly speed: number;
  /** The first piece of each answer is held back so long: until everybody has asked. */
  readonly firstMs: number;
}

export interface Stage extends AsyncDisposable {
  readonly stack: LocalStack;
  readonly gateway: Arm;
  readonly bare: Arm;
  readonly direct: Arm;
  /** Every process that runs now, this one included. */
  pids(): number[];
  /** Starts the engines again to play so. The sockets of the direct server are lost by it. */
  play(how: Play): Promise<void>;
}

const budgetMs = 300_000;
/** Nobody must lose an answer to limits that are made for people. */
export const settings = {
  PARLEY_NPCS: 'bench/relay/npcs',
  PARLEY_LOG_LEVEL: 'warn',
  PARLEY_MAX_TOKENS: '8192',
  PARLEY_BUDGET_MS: String(budgetMs),
  PARLEY_ACCEPT_MS: '10000',
  PARLEY_HISTORY_TURNS: '0',
  PARLEY_HOLD_MS: '1000',
};

/** Resolves when all of it serves; `onLog` gets what goes wrong inside. */
export async function setStage(play: Play, onLog: (line: string) => void): Promise<Stage> {
  const engine: NodeJS.ProcessEnv = { RECORDED_ENDLESS: '1', RECORDED_STAMPED: '1' };
  const set = ({ speed, firstMs }: Play) => {
    engine.RECORDED_SPEED = String(speed);
    engine.RECORDED_FIRST_MS = String(firstMs);
  };
  set(play);
  const entry = 'bench/recorded/worker.ts';
  const stack = await startStack({ ephemeral: true, workers: 0, workerEntry: entry, env: settings, onLog });
  const parts: AsyncDisposable[] = [stack];
  const dispose = async () => {
    for (const part of parts.reverse()) await part[Symbol.asyncDispose]();
  };
  const add = <T extends AsyncDisposable>(part: T): T => {
    parts.push(part);
    return part;
  };
  try {
    // What it is given is asked anew at each start, so that `play` need only change it.
    const worker = await stack.startWorker({ env: engine });
    const natsUrl = { BARE_RELAY_NATS_URL: stack.natsUrl(), BARE_RELAY_BUDGET_MS: String(budgetMs) };
    const bare = add(await startProcess('bench/relay/bare-relay.ts', natsUrl, { name: 'bare relay', onLog }));
    const direct = add(await startProcess('bench/relay/direct.ts', engine, { name: 'direct', onLog }));
    const arm = (name: Arm['name'], server: NodeProcess): Arm => {
      const crowd = add(new CrowdProcess());
      return {
        name,
        server,
        crowd,
        async open(sockets) {
          const url = `ws://127.0.0.1:${server.listening.port}/v1/ws`;
          const tokens = name === 'gateway' ? await tokensOf(stack, sockets) : undefined;
          await crowd.open(url, sockets, tokens);
        },
      };
    };
    const arms = {
      gateway: arm('gateway', stack.gateways[0]!),
      bare: arm('bare', bare),
      direct: arm('direct', direct),
    };
    return {
      ...arms,
      stack,
      pids() {
        const services = [...stack.services(), bare, direct].map(({ pid }) => pid);
        const crowds = Object.values(arms).map(({ crowd }) => crowd.pid);
        return [process.pid, ...crowds, ...services.filter((pid) => pid !== undefined)];
      },
      async play(how) {
        set(how);
        for (const player of [worker, direct]) {
          await player.stop();
          await player.start();
        }
      },
      [Symbol.asyncDispose]: dispose,
    };
  } catch (error) {
    await dispose();
    throw error;
  }
}

/** Tokens of so many players; nobody else bears these names. */
export function tokensOf(stack: LocalStack, players: number): Promise<string[]> {
  const party = randomUUID();
  return Promise.all(Array.from({ length: players }, (_, i) => stack.token(`${party}-${i}`)));
}
