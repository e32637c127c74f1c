// What is done to Parley while players listen, one function a fault, and what is asked of it afterwards. Each runs
// under its own crowd, and leaves the stage as it found it.

import { setTimeout as sleep } from 'node:timers/promises';
import type { NodeProcess } from '../../scripts/stack/process.ts';
import type { Service } from '../../scripts/stack/service.ts';
import { Crowd, type CrowdOptions, type Judging, type Result } from './crowd.ts';
import { shortPatience } from './player.ts';
import { npc, type Stage } from './stage.ts';

/** How much of it. */
export interface Plan {
  /** Players of the kills; other faults take a share of them. */
  readonly streams: number;
  /** How long an answer takes under a fault that is short. */
  readonly answerMs: number;
  /** How long a server is away. */
  readonly outageMs: number;
  /** How long a process is frozen; longer than anybody's patience. */
  readonly frozenMs: number;
}

export interface Fault {
  readonly name: string;
  /** As the table says it. */
  readonly title: string;
  /** `proxied` needs toxiproxy; `fast` has a quick engine, so that a socket can be filled. */
  readonly stage: 'plain' | 'proxied' | 'fast';
  /** Whether it is tried with the real model too. */
  readonly withModel?: boolean;
  run(stage: Stage, plan: Plan): Promise<Result>;
}

interface Load extends CrowdOptions {
  /** How long an answer takes about, beside the time that the engine does not speak. */
  readonly answerMs: number;
  /** Each player asks again and again. */
  readonly onAndOn?: boolean;
}

/** How long players take to ask, together. */
const askingMs = 1_500;
/** After the fault: the rest of an answer, on a busy machine. */
const patientMs = 60_000;
/** A silence that began this long after the fault was over still counts as its doing. */
const afterMs = 3_000;
/** Tokens a second of a stream, about. */
const pace = { recorded: 18, llama: 10 };

function tokens(stage: Stage, ms: number): number {
  return Math.round((ms / 1_000) * pace[stage.engine]);
}

/** The crowd listens, `strike` breaks something and mends it, the crowd reads to the end and is judged. */
async function under(
  stage: Stage,
  { answerMs, onAndOn, ...options }: Load,
  strike: (crowd: Crowd) => Promise<void>,
  judging: Partial<Judging> = {},
): Promise<Result> {
  using crowd = await Crowd.join(stage, options);
  const length = tokens(stage, answerMs);
  if (onAndOn) await crowd.askOnAndOn(() => Math.round(length * (0.5 + Math.random())), askingMs);
  else await crowd.ask(length, askingMs);
  await crowd.begun(3);
  const from = performance.now();
  await strike(crowd);
  crowd.stopAsking();
  const to = performance.now() + afterMs;
  await crowd.ended(patientMs + answerMs);
  const result = await crowd.judged({ from, to, history: true, ...judging });
  await stage.healed();
  return result;
}

const share = (streams: number, part: number) => Math.max(8, Math.round(streams * part));

const first = (members: readonly NodeProcess[]) => members[0]!;

/** Gone at once; back a little later, as an orchestrator would have it. */
async function killed(service: Service): Promise<void> {
  await service.kill();
  await sleep(2_000);
  await service.start();
}

async function away(service: Service, ms: number): Promise<void> {
  await service.stop();
  await sleep(ms);
  await service.start();
}

export const faults: readonly Fault[] = [
  {
    name: 'kill-gateway',
    title: 'kill -9 of a gateway',
    stage: 'plain',
    withModel: true,
    run: (stage, { streams, answerMs }) =>
      under(stage, { players: streams, at: 'first', answerMs }, () => killed(first(stage.stack.gateways))),
  },
  {
    name: 'kill-worker',
    title: 'kill -9 of a worker',
    stage: 'plain',
    withModel: true,
    run: (stage, { streams, answerMs }) =>
      under(stage, { players: streams, answerMs }, () => killed(first(stage.stack.workers))),
  },
  {
    // The players are elsewhere when it wakes up and still believes that it holds their sessions.
    name: 'freeze-gateway',
    title: 'a gateway frozen, then awake',
    stage: 'plain',
    withModel: true,
    run: (stage, { streams, frozenMs }) => {
      const players = share(streams, 0.6);
      const load = { players, at: 'first', answerMs: frozenMs + 4_000, patience: shortPatience } as const;
      return under(stage, load, () => frozen(stage, first(stage.stack.gateways), frozenMs));
    },
  },
  {
    name: 'freeze-worker',
    title: 'a worker frozen, then awake',
    stage: 'plain',
    withModel: true,
    run: (stage, { streams, frozenMs }) =>
      under(stage, { players: share(streams, 0.6), answerMs: frozenMs + 3_000 }, () =>
        frozen(stage, first(stage.stack.workers), frozenMs),
      ),
  },
  {
    name: 'rolling-restart',
    title: 'rolling restart of all gateways and workers',
    stage: 'plain',
    run: (stage, { streams }) =>
      under(
        stage,
        { players: share(streams, 0.4), answerMs: 2_500, onAndOn: true },
        async () => {
          for (const service of [...stage.stack.gateways, ...stage.stack.workers]) {
            await service.stop();
            await service.start();
            await stage.healed();
          }
        },
        { mustBeWhole: true },
      ),
  },
  {
    name: 'race-with-end',
    title: 'players come back while their answers end',
    stage: 'plain',
    run: async (stage, { streams }) => {
      using crowd = await Crowd.join(stage, { players: share(streams, 0.4) });
      const from = performance.now();
      const length = tokens(stage, 1_500);
      for (let round = 0; round < 2; round++) {
        const asked = await crowd.ask(length, askingMs);
        // Each line is cut within the last few pieces of its answer, and again when the player is back.
        await Promise.all(
          asked.map(async (heard) => {
            const at = length - Math.floor(Math.random() * 8);
            while (heard.last < at && !heard.terminal) await sleep(5);
            for (let cut = 0; cut < 2 && heard.player.online; cut++) {
              heard.player.cut();
              await Promise.race([heard.player.nextWelcome(), sleep(10_000)]);
            }
            await Promise.race([heard.done, sleep(patientMs)]);
          }),
        );
      }
      await crowd.ended(patientMs);
      return crowd.judged({ from, to: performance.now(), history: true });
    },
  },
  {
    name: 'nats-restart',
    title: 'NATS restarted',
    stage: 'plain',
    withModel: true,
    run: (stage, { streams, answerMs }) =>
      under(stage, { players: share(streams, 0.4), answerMs }, () => away(stage.stack.nats, 0)),
  },
  {
    name: 'nats-away',
    title: 'NATS unreachable',
    stage: 'plain',
    run: (stage, { streams, outageMs }) =>
      under(stage, { players: share(streams, 0.2), answerMs: outageMs + 3_000 }, () =>
        away(stage.stack.nats, outageMs),
      ),
  },
  {
    // What was in this Redis is gone with it: the gateways write the sessions again, the history is lost.
    name: 'redis-restart',
    title: 'Redis restarted, empty; then a gateway killed',
    stage: 'plain',
    run: (stage, { streams }) =>
      under(
        stage,
        { players: share(streams, 0.4), at: 'first', answerMs: 8_000 },
        async () => {
          await away(stage.stack.redis, 0);
          await sleep(2_000);
          await killed(first(stage.stack.gateways));
        },
        { history: false },
      ),
  },
  {
    name: 'redis-away',
    title: 'Redis unreachable',
    stage: 'plain',
    run: (stage, { streams, outageMs }) =>
      under(
        stage,
        { players: share(streams, 0.2), answerMs: 2_500, onAndOn: true },
        () => away(stage.stack.redis, outageMs),
        { history: false },
      ),
  },
  {
    name: 'slow-client',
    title: 'a client that stops reading, others beside it',
    stage: 'fast',
    run: slowClient,
  },
  {
    name: 'cut-players',
    title: 'network: players cut off for 2 s',
    stage: 'proxied',
    run: (stage, { streams, answerMs }) =>
      under(stage, { players: share(streams, 0.4), answerMs }, () =>
        cut(stage, stage.proxies('players').slice(0, 1), 2_000),
      ),
  },
  {
    name: 'swallow-players',
    title: 'network: the line to a gateway swallows everything',
    stage: 'proxied',
    run: (stage, { streams, frozenMs }) =>
      under(
        stage,
        { players: share(streams, 0.4), answerMs: frozenMs + 3_000, patience: shortPatience },
        async () => {
          const [line] = stage.proxies('players');
          await stage.toxiproxy.poison(line!, { type: 'timeout', attributes: { timeout: 0 } });
          await sleep(frozenMs);
          await stage.toxiproxy.heal();
        },
      ),
  },
  {
    name: 'bad-line',
    title: 'network: 300 ms late and 32 KB/s to the players',
    stage: 'proxied',
    run: (stage, { streams }) =>
      under(stage, { players: share(streams, 0.2), answerMs: 5_000 }, async () => {
        for (const line of stage.proxies('players')) {
          await stage.toxiproxy.poison(line, { type: 'latency', attributes: { latency: 300, jitter: 200 } });
          await stage.toxiproxy.poison(line, { type: 'bandwidth', attributes: { rate: 32 } });
        }
        await sleep(4_000);
        await stage.toxiproxy.heal();
      }),
  },
  {
    name: 'cut-gateway-nats',
    title: 'network: a gateway without NATS for 4 s',
    stage: 'proxied',
    run: (stage, { streams }) =>
      under(stage, { players: share(streams, 0.4), answerMs: 7_000 }, () =>
        cut(stage, stage.proxies('nats-gw').slice(0, 1), 4_000),
      ),
  },
  {
    name: 'cut-worker-nats',
    title: 'network: a worker without NATS for 4 s',
    stage: 'proxied',
    run: (stage, { streams }) =>
      under(stage, { players: share(streams, 0.4), answerMs: 7_000 }, () =>
        cut(stage, stage.proxies('nats-gold').slice(0, 1), 4_000),
      ),
  },
  {
    name: 'slow-nats',
    title: 'network: NATS 80 ms away from everybody',
    stage: 'proxied',
    run: (stage, { streams }) =>
      under(stage, { players: share(streams, 0.4), answerMs: 5_000 }, async () => {
        for (const line of [...stage.proxies('nats-gw'), ...stage.proxies('nats-gold')])
          await stage.toxiproxy.poison(line, { type: 'latency', attributes: { latency: 40, jitter: 20 } });
        await sleep(4_000);
        await stage.toxiproxy.heal();
      }),
  },
];

async function frozen(stage: Stage, service: Service, ms: number): Promise<void> {
  stage.freeze(service);
  await sleep(ms);
  stage.wake(service);
}

async function cut(stage: Stage, lines: readonly string[], ms: number): Promise<void> {
  for (const line of lines) await stage.toxiproxy.enable(line, false);
  await sleep(ms);
  for (const line of lines) await stage.toxiproxy.enable(line, true);
}

/**
 * One player asks for eight long answers and stops reading; the others go on. The slow one must get everything in
 * the end, the others must not notice: the silences are theirs.
 */
async function slowClient(stage: Stage): Promise<Result> {
  using slow = await Crowd.join(stage, { players: 1, at: 'first' });
  using others = await Crowd.join(stage, { players: 10, at: 'first' });
  const [player] = slow.players;
  const pausedBefore = await pauses(stage);
  for (let i = 0; i < 8; i++) slow.heard.push(player!.say(npc, `Tell me everything (${i}).`, 3_500));
  await slow.begun(3);
  const from = performance.now();
  player!.stopReading();
  await others.askOnAndOn(() => 200, 200);
  await sleep(10_000);
  others.stopAsking();
  await others.ended(patientMs);
  const paused = (await pauses(stage)) - pausedBefore;
  player!.readAgain();
  await slow.ended(patientMs);
  const result = await others.judged({ from, to: performance.now(), history: true });
  const own = await slow.judged({ from, to: from, history: true });
  for (const key of [
    'streams',
    'lost',
    'doubled',
    'honest',
    'dishonest',
    'whole',
    'touched',
    'continued',
  ] as const)
    result[key] += own[key];
  result.faults.push(...own.faults);
  if (paused === 0) result.faults.push('the gateway never noticed that the client does not read');
  await stage.healed();
  return result;
}

function pauses(stage: Stage): Promise<number> {
  return stage.metric(stage.stack.http(0), 'parley_gateway_pauses_total');
}
