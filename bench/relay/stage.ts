// Everything that the relay bench runs on one machine: a local stack whose worker plays recorded answers, the bare
// relay, the direct server, and a crowd of players for each of the three.

import { readConfig } from '../../runtime/config.ts';
import { type LocalStack, startStack } from '../../scripts/stack/local-stack.ts';
import { type NodeProcess, startProcess } from '../../scripts/stack/process.ts';
import { CrowdProcess } from './crowd-process.ts';

export const armNames = ['gateway', 'bare', 'direct'] as const;
export type ArmName = (typeof armNames)[number];

/** A way from an engine to players' sockets. */
export interface Arm {
  readonly name: ArmName;
  /** The process that is measured. */
  readonly pid: () => number;
  readonly crowd: CrowdProcess;
  readonly url: () => string;
}

/** How the engine plays. */
export interface Play {
  /** 0: as fast as frames are taken. */
  readonly speed: number;
  /** The first piece of each answer is held back so long: until everybody has asked. */
  readonly firstMs: number;
}

const budgetMs = 120_000;
/** A bench of throughput must not lose an answer to limits that are made for people. */
const settings = {
  PARLEY_NPCS: 'bench/relay/npcs',
  PARLEY_LOG_LEVEL: 'warn',
  PARLEY_MAX_TOKENS: '8192',
  PARLEY_BUDGET_MS: String(budgetMs),
  PARLEY_ACCEPT_MS: '10000',
  PARLEY_HISTORY_TURNS: '0',
  PARLEY_HOLD_MS: '1000',
};

export class Stage implements AsyncDisposable {
  readonly stack: LocalStack;
  readonly arms: Record<ArmName, Arm>;
  readonly #parts = new AsyncDisposableStack();
  readonly #direct: NodeProcess;
  readonly #directEnv: NodeJS.ProcessEnv;
  readonly #worker: NodeProcess;
  readonly #workerEnv: NodeJS.ProcessEnv;
