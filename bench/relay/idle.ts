// What a player costs who says nothing: resident memory of a fresh gateway before and after so many welcomed sessions
// of different players, its garbage collected both times (settled-gateway.ts). Kernel memory of the sockets is not in
// it.

import { setTimeout as sleep } from 'node:timers/promises';
import type { NodeProcess } from '../../scripts/stack/process.ts';
import { CrowdProcess } from './crowd-process.ts';
import { rssKb } from './process-figures.ts';
import { type Stage, tokensOf } from './stage.ts';

/** Sessions that come and go before the first reading, so that code is loaded and compiled. */
const warmUp = 200;
const settleMs = 1_500;

export interface Idle {
  /** The larger of two: of all sessions, and of the second half, for which no room was left over from the start. */
  readonly kbPerSession: number;
  readonly sessions: number;
  readonly beforeKb: number;
  readonly halfKb: number;
  readonly afterKb: number;
}

export async function idle({ stack }: Stage, sessions: number): Promise<Idle> {
  await using crowd = new CrowdProcess();
  const gateway = await stack.startGateway({ id: 'idle', entry: 'bench/relay/settled-gateway.ts' });
  const url = `ws://127.0.0.1:${gateway.listening.port}/v1/ws`;
  const tokens = await tokensOf(stack, sessions);
  await crowd.open(url, warmUp, tokens.slice(0, warmUp));
  await crowd.close();
  const beforeKb = await settledKb(gateway);
  const half = sessions / 2;
  await crowd.open(url, half, tokens.slice(0, half));
  const halfKb = await settledKb(gateway);
  await crowd.open(url, half, tokens.slice(half));
  const afterKb = await settledKb(gateway);
  const held = await gauge(gateway, 'parley_gateway_sessions');
  if (held !== sessions) throw new Error(`the gateway holds ${held} sessions instead of ${sessions}`);
  await crowd.close();
  await gateway.stop();
  const kbPerSession = Math.max(afterKb - beforeKb, 2 * (afterKb - halfKb)) / sessions;
  return { kbPerSession, sessions, beforeKb, halfKb, afterKb };
}

/** Resident memory after the garbage was collected and what it freed had time to go back. */
async function settledKb(gateway: NodeProcess): Promise<number> {
  for (let round = 0; round < 2; round++) {
    gateway.child!.kill('SIGUSR2');
    await sleep(settleMs);
  }
  return rssKb(gateway.pid!);
}

async function gauge({ listening }: NodeProcess, name: string): Promise<number> {
  const response = await fetch(`http://127.0.0.1:${listening.port}/metrics`);
  return Number(new RegExp(`^${name}\\{.*\\} (\\S+)$`, 'm').exec(await response.text())?.[1]);
}
