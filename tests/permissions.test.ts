// A captured process: what its own NATS or Redis user lets it do, tried with the configuration that `npm start`
// uses. Reading or writing other people's streams must be impossible.

import { connect, type NatsConnection, type Subscription } from '@nats-io/transport-node';
import { Redis } from 'ioredis';
import { afterAll, describe, expect, test } from 'vitest';
import { encode } from '../bus/codec.ts';
import { createSubjects } from '../bus/subjects.ts';
import { connectTo } from '../scripts/stack/connect.ts';
import { sumMetric, useStack } from './helpers/stack.ts';

const stack = useStack({ gateways: 2, workers: 2 });
const subjects = createSubjects('parley');
const connections: NatsConnection[] = [];
afterAll(() => Promise.all(connections.map((c) => c.close())));

/** A connection with the credentials of a process of the stack, and what the server refused it. */
async function captured(
  user: string,
): Promise<{ nats: NatsConnection; refused: string[]; settle: () => Promise<void> }> {
  const inboxPrefix =
    user === 'backend' ? '_INBOX' : `_INBOX_${user.startsWith('gw') ? 'gateway' : 'worker'}_${user}`;
  const nats = await connectTo(stack.local.natsUrl(user), inboxPrefix);
  connections.push(nats);
  const refused: string[] = [];
  void (async () => {
    for await (const status of nats.status()) if (status.type === 'error') refused.push(status.error.message);
  })();
  return { nats, refused, settle: () => nats.flush().then(() => new Promise((r) => setTimeout(r, 50))) };
}

/** Subscribes and says what came of it: how much was heard until `stop`, or that it was refused. */
function tap(
  nats: NatsConnection,
  subject: string,
  queue?: string,
): { heard: () => number; refused: () => boolean; sub: Subscription } {
  let heard = 0;
  let refused = false;
  const sub = nats.subscribe(subject, {
    queue,
    callback: (error) => {
      if (error) refused = true;
      else heard++;
    },
  });
  return { heard: () => heard, refused: () => refused, sub };
}

async function talk(player: string): Promise<string> {
  const client = await stack.join({ player });
  client.send({ t: 'say', s: 1, npc: 'mira', text: 'Hello', maxTokens: 6 });
  await client.terminal(1);
  return client.text(1);
}

describe('a captured worker', () => {
  test('cannot read requests, frames, beats or inboxes beside its own', async () => {
    const { nats, settle } = await captured('gold1');
    const forbidden = [
      '>',
      'parley.>',
      'parley.gold.generate',
      'parley.gold.worker.gold2.generate',
      'parley.gold.worker.gold2.control',
      'parley.gold.worker.*.generate',
      'parley.gold.worker.>',
      'parley.out.>',
      'parley.out.gw1.>',
      'parley.gold.beat.*',
      'parley.player.*.act',
      'parley.player.*.observed',
      'parley.state.>',
      'parley.state.*.*',
      '_INBOX.>',
      '_INBOX_gateway_gw1.>',
      '_INBOX_worker_gold2.>',
      '$SYS.>',
    ];
    const taps = forbidden.map((subject) => tap(nats, subject));
    const queues = [
      tap(nats, 'parley.gold.generate', 'mine'),
      tap(nats, 'parley.silver.generate', 'silver'),
      tap(nats, 'parley.state.*.*', 'gateway'),
    ];
    await settle();
    await talk('victim-1');
    await settle();
    for (const [i, t] of [...taps, ...queues].entries()) {
      expect(t.refused(), forbidden[i] ?? 'queue').toBe(true);
      expect(t.heard()).toBe(0);
    }
  });

  test('cannot speak into a stream, give commands or pose as another worker', async () => {
    const { nats, refused, settle } = await captured('gold1');
    const client = await stack.join();
    const targets = [
      subjects.out({ gateway: 'gw1', session: client.welcome.session, stream: 1, attempt: 1 }),
      subjects.generate('gold'),
      subjects.workerControl('gold', 'gold2'),
      subjects.workerGenerate('gold', 'gold2'),
      subjects.beat('gold', 'gold2'),
      'parley.player.victim.push',
      subjects.act('victim'),
      subjects.observed('victim'),
      subjects.state('player', 'victim'),
    ];
    for (const subject of targets)
      nats.publish(subject, encode({ t: 'tok', s: 1, n: 1, d: 'forged' }, 'json'));
    await settle();
    expect(refused).toHaveLength(targets.length);
    client.send({ t: 'say', s: 1, npc: 'mira', text: 'Hello', maxTokens: 4 });
    await client.terminal(1);
    expect(client.text(1)).not.toContain('forged');
  });

  test('is no way into its own answers for others: a reply subject of the deployment is not answered', async () => {
    const backend = await captured('backend');
    const before = await requests('forged_reply');
    for (const reply of [
      subjects.beat('gold', 'gold2'),
      subjects.workerControl('gold', 'gold2'),
      'parley.player.p1.push',
    ]) {
      backend.nats.publish(
        subjects.generate('gold'),
        encode({ npc: 'mira', player: 'p1', text: 'hi' }, 'json'),
        { reply },
      );
    }
    await backend.settle();
    while ((await requests('forged_reply')) < before + 3) await new Promise((r) => setTimeout(r, 20));
  });
});

describe('a captured gateway', () => {
  test('cannot read what belongs to another gateway, or any request', async () => {
    const { nats, settle } = await captured('gw2');
    const forbidden = [
      '>',
      'parley.out.>',
      'parley.out.gw1.>',
      'parley.out.*.*.*.*',
      'parley.gold.generate',
      'parley.gold.worker.*.generate',
      'parley.player.*.act',
      'parley.player.victim-2.act',
      'parley.player.*.observed',
      'parley.state.*.*',
      '_INBOX.>',
      '_INBOX_gateway_gw1.>',
    ];
    const taps = forbidden.map((subject) => tap(nats, subject));
    await settle();
    await talk('victim-2');
    await settle();
    for (const [i, t] of taps.entries()) {
      expect(t.refused(), forbidden[i]).toBe(true);
      expect(t.heard()).toBe(0);
    }
  });

  test('cannot write into a stream of another gateway, directly or through a worker', async () => {
    const { nats, refused, settle } = await captured('gw2');
    const client = await stack.join({ gateway: 0 });
    const stale = await stack.metric('parley_gateway_frames_stale_total');
    // Even knowing the session (which it cannot know) it may not publish there.
    const out = subjects.out({ gateway: 'gw1', session: client.welcome.session, stream: 1, attempt: 1 });
    nats.publish(out, encode({ t: 'tok', s: 1, n: 1, d: 'forged' }, 'json'));
    nats.publish(subjects.beat('gold', 'gold1'), encode({ worker: 'gold1' }, 'json'));
    await settle();
    expect(refused).toHaveLength(2);
    // Through a worker it reaches the other gateway, which takes no stream that it did not begin.
    for (let session = 0; session < 3; session++) {
      const guess = `guess-${session}`;
      const request = {
        npc: 'mira',
        player: 'p1',
        text: 'hi',
        session: guess,
        s: 1,
        attempt: 1,
        encoding: 'json',
        maxTokens: 2,
      };
      const reply = subjects.out({ gateway: 'gw1', session: guess, stream: 1, attempt: 1 });
      nats.publish(subjects.generate('gold'), encode(request, 'msgpack'), { reply });
    }
    while ((await stack.metric('parley_gateway_frames_stale_total')) === stale)
      await new Promise((r) => setTimeout(r, 20));
    client.send({ t: 'ping' });
    await client.next('pong');
    expect(client.received.map((m) => m.t)).toEqual(['welcome', 'pong']);
  });
});

describe('a captured backend', () => {
  test('cannot read frames, requests, beats or state', async () => {
    const { nats, settle } = await captured('backend');
    const forbidden = [
      '>',
      'parley.>',
      'parley.out.>',
      'parley.gold.generate',
      'parley.gold.worker.*.generate',
      'parley.gold.beat.*',
      'parley.gateway.*.deliver',
      'parley.player.>',
      'parley.player.*.push',
      'parley.state.*.*',
      '_INBOX_gateway_gw1.>',
    ];
    const taps = forbidden.map((subject) => tap(nats, subject));
    const allowed = [
      tap(nats, 'parley.player.*.act'),
      tap(nats, 'parley.player.*.act', 'game'),
      tap(nats, 'parley.player.p1.observed'),
      tap(nats, 'parley.player.*.observed', 'game'),
    ];
    await settle();
    await talk('victim-3');
    await settle();
    for (const [i, t] of taps.entries()) {
      expect(t.refused(), forbidden[i]).toBe(true);
      expect(t.heard()).toBe(0);
    }
    for (const t of allowed) expect(t.refused()).toBe(false);
  });

  test('cannot speak into a stream, give commands, or ask about acts', async () => {
    const { nats, refused, settle } = await captured('backend');
    const client = await stack.join();
    const targets = [
      subjects.out({ gateway: 'gw1', session: client.welcome.session, stream: 1, attempt: 1 }),
      subjects.workerControl('gold', 'gold1'),
      subjects.workerGenerate('gold', 'gold1'),
      subjects.beat('gold', 'gold1'),
      subjects.gatewayDeliver('gw1'),
      subjects.act('victim'),
      '_INBOX_gateway_gw1.x',
    ];
    for (const subject of targets) nats.publish(subject, encode({ ok: true }, 'json'));
    await settle();
    expect(refused).toHaveLength(targets.length);
  });
});

describe('a stranger', () => {
  test('without credentials is not let in', async () => {
    const { host } = new URL(stack.local.natsUrl());
    await expect(connect({ servers: host, reconnect: false })).rejects.toThrow(/[Aa]uthorization/);
  });

  test('a player id with wildcards names nobody else', async () => {
    for (const player of ['*', '>', 'a.b', 'p1.>', 'a b', '\u0000', 'parley.out.gw1.>']) {
      expect(await talk(player), player).not.toBe('');
    }
  });
});

describe('Redis', () => {
  test('a worker reaches history, state and nothing else', async () => {
    const redis = new Redis(stack.local.redisUrl('worker'), { lazyConnect: true, enableReadyCheck: false });
    await redis.connect();
    await redis.lrange('parley:history:p1:mira', 0, -1);
    await redis.hget('parley:state:player:p1', 'facts');
    await expect(redis.get('parley:session:x')).rejects.toThrow(/NOPERM/);
    await expect(redis.hgetall('parley:player:p1')).rejects.toThrow(/NOPERM/);
    await expect(redis.set('other:key', '1')).rejects.toThrow(/NOPERM/);
    await expect(redis.keys('*')).rejects.toThrow(/NOPERM/);
    await expect(redis.flushall()).rejects.toThrow(/NOPERM/);
    redis.disconnect();
  });

  test('without a password there is nothing', async () => {
    const { host } = new URL(stack.local.redisUrl());
    const redis = new Redis(`redis://${host}`, {
      lazyConnect: true,
      enableReadyCheck: false,
      retryStrategy: () => null,
    });
    redis.on('error', () => {});
    await redis.connect().catch(() => {});
    await expect(redis.get('parley:history:p1')).rejects.toThrow();
    redis.disconnect();
  });
});

async function requests(result: string): Promise<number> {
  let sum = 0;
  for (const worker of stack.local.workers) {
    const text = await (await fetch(`http://127.0.0.1:${worker.listening.metricsPort}/metrics`)).text();
    sum += sumMetric(text, 'parley_worker_requests_total', `result="${result}"`);
  }
  return sum;
}
