// The faults of a soak: short, of every sort, for as long as a draw says. Each mends what it broke, or leaves it to
// `Stage.healed`.

import { setTimeout as sleep } from 'node:timers/promises';
import type { Service } from '../../scripts/stack/service.ts';
import type { Stage } from './stage.ts';

/** Draws a number from 0 up to 1. */
export type Random = () => number;

/** The same seed, the same draws (mulberry32). */
export function randomly(seed: number): Random {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

export interface Strike {
  readonly name: string;
  /** Needs toxiproxy. */
  readonly network?: boolean;
  run(stage: Stage, random: Random): Promise<void>;
}

const one = <T>(list: readonly T[], random: Random): T => list[Math.floor(random() * list.length)]!;
const between = (least: number, most: number, random: Random) => least + random() * (most - least);

async function gone(service: Service, random: Random): Promise<void> {
  await service.kill();
  await sleep(between(500, 4_000, random));
  await service.start();
}

async function restarted(service: Service, awayMs: number): Promise<void> {
  await service.stop();
  await sleep(awayMs);
  await service.start();
}

async function asleep(stage: Stage, service: Service, random: Random): Promise<void> {
  stage.freeze(service);
  await sleep(between(1_000, 8_000, random));
  stage.wake(service);
}

async function cut(stage: Stage, line: string, random: Random): Promise<void> {
  await stage.toxiproxy.enable(line, false);
  await sleep(between(500, 6_000, random));
  await stage.toxiproxy.enable(line, true);
}

export const strikes: readonly Strike[] = [
  { name: 'kill a gateway', run: (stage, random) => gone(one(stage.stack.gateways, random), random) },
  { name: 'kill a worker', run: (stage, random) => gone(one(stage.stack.workers, random), random) },
  {
    name: 'freeze a gateway',
    run: (stage, random) => asleep(stage, one(stage.stack.gateways, random), random),
  },
  {
    name: 'freeze a worker',
    run: (stage, random) => asleep(stage, one(stage.stack.workers, random), random),
  },
  { name: 'restart a gateway', run: (stage, random) => restarted(one(stage.stack.gateways, random), 0) },
  { name: 'restart a worker', run: (stage, random) => restarted(one(stage.stack.workers, random), 0) },
  { name: 'restart NATS', run: (stage, random) => restarted(stage.stack.nats, between(0, 8_000, random)) },
  { name: 'restart Redis', run: (stage, random) => restarted(stage.stack.redis, between(0, 8_000, random)) },
  {
    name: 'cut the players of a gateway off',
    network: true,
    run: (stage, random) => cut(stage, one(stage.proxies('players'), random), random),
  },
  {
    name: 'cut a gateway off from NATS',
    network: true,
    run: (stage, random) => cut(stage, one(stage.proxies('nats-gw'), random), random),
  },
  {
    name: 'cut a worker off from NATS',
    network: true,
    run: (stage, random) => cut(stage, one(stage.proxies('nats-gold'), random), random),
  },
  {
    name: 'cut everybody off from Redis',
    network: true,
    run: (stage, random) => cut(stage, one(stage.proxies('redis'), random), random),
  },
  {
    name: 'delay a line',
    network: true,
    async run(stage, random) {
      const lines = [...stage.proxies('players'), ...stage.proxies('nats-gw'), ...stage.proxies('nats-gold')];
      const latency = Math.round(between(20, 300, random));
      await stage.toxiproxy.poison(one(lines, random), {
        type: 'latency',
        attributes: { latency, jitter: Math.round(latency / 2) },
      });
      await sleep(between(1_000, 6_000, random));
    },
  },
];
