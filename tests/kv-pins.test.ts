// A character stays in the cache while a player stands near it: told by the game, kept by the worker where it lives, within
// the budget, and let go when nobody is there or the gateway is gone.

import type { NatsConnection } from '@nats-io/transport-node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { encode } from '../bus/codec.ts';
import { type PinAnswer, readBeat, readPinAnswer } from '../bus/envelopes.ts';
import { createSubjects } from '../bus/subjects.ts';
import { connectTo } from '../scripts/stack/connect.ts';
import { EngineError } from '../tiers/engine.ts';
import { KvPins } from '../tiers/gold/kv-pins.ts';
import { sumMetric, useStack } from './helpers/stack.ts';

// Whoever shares this machine makes it slow, and slow is no fault.
const eventually = <T>(read: () => T | Promise<T>) => expect.poll(read, { timeout: 40_000, interval: 20 });

describe('the book of leases', () => {
  function book(most: number, sizes: Record<string, number> = {}) {
    let now = 1_000;
    const pins = new KvPins({
      unit: 'blocks',
      budget: () => most,
      sizeOf: (npc) => sizes[npc] ?? 1,
      advice: 'Raise PARLEY_KV_PIN_SHARE.',
      now: () => now,
    });
    const pass = (ms: number) => {
      now += ms;
    };
    return { pins, pass, inMs: (ms: number) => now + ms };
  }

  test('a lease is renewed, ends by itself and can be given back', () => {
    const { pins, pass, inMs } = book(2);
    pins.pin('mira', inMs(100));
    pass(99);
    pins.pin('mira', inMs(100));
    pass(99);
    expect(pins.pinned()).toEqual(['mira']);
    pass(1);
    expect(pins.pinned()).toEqual([]);
    pins.pin('mira', inMs(100));
    pins.release('mira');
    expect(pins.isPinned('mira')).toBe(false);
    pins.pin('mira', inMs(100));
    pins.pin('mira', inMs(0));
    expect(pins.isPinned('mira')).toBe(false);
  });

  test('a full budget is an error that says who holds it and what to do; who holds already is renewed', () => {
    const { pins, pass, inMs } = book(10, { mira: 6, tobin: 4, edda: 1 });
    pins.pin('mira', inMs(100));
    pins.pin('tobin', inMs(200));
    let error: unknown;
    try {
      pins.pin('edda', inMs(100));
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(EngineError);
    expect(error).toMatchObject({ kind: 'kv_full' });
    expect((error as Error).message).toMatch(/edda.*1 of 10 blocks.*mira, tobin.*PARLEY_KV_PIN_SHARE/);
    expect(pins.isPinned('edda')).toBe(false);
    pins.pin('mira', inMs(100));
    expect(pins.figures).toMatchObject({ budget: 10, held: 10 });
    // Mira's lease runs out, and there is room.
    pass(150);
    pins.pin('edda', inMs(100));
    expect(pins.pinned()).toEqual(['tobin', 'edda']);
  });

  test('those without a lease go first, the oldest of them before all', () => {
    const { pins, inMs } = book(3);
    pins.pin('mira', inMs(300));
    pins.pin('tobin', inMs(100));
    expect(pins.goingOrder(['mira', 'edda', 'tobin', 'bram'])).toEqual(['edda', 'bram', 'tobin', 'mira']);
  });
});

describe('a village', () => {
  // Three characters may be pinned: eight sequences, of which four streams and one newcomer need five.
  const stack = useStack({ gateways: 2, env: { PARLEY_PIN_LEASE_MS: '1500', PARLEY_BEAT_MS: '100' } });
  const subjects = createSubjects('parley');
  const worker = subjects.workerControl('gold', 'gold1');
  let nats: NatsConnection;
  /** Of the newest heartbeat. */
  let pinned: readonly string[] = [];
  let resident: readonly string[] = [];

  beforeAll(async () => {
    // One gateway's user is free for the test.
    await stack.local.gateways[1]!.stop();
    nats = await connectTo(stack.local.natsUrl('gw2'), '_INBOX_gateway_gw2');
    nats.subscribe(subjects.beats, {
      callback: (_, { data }) => {
        const beat = readBeat(data);
        pinned = beat.pinned ?? [];
        ({ resident } = beat);
      },
    });
  });
  afterAll(() => nats?.close());

  const ask = async (control: object): Promise<PinAnswer> =>
    readPinAnswer((await nats.request(worker, encode(control, 'msgpack'))).data);
  const pin = (npc: string, forMs = 60_000) => ask({ op: 'pin', npc, holder: 'gw2', forMs });
  const release = (npc: string) =>
    nats.publish(worker, encode({ op: 'release', npc, holder: 'gw2' }, 'json'));
  const onWorker = async (name: string, labels = '') => {
    const { metricsPort } = stack.local.workers[0]!.listening;
    return sumMetric(await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text(), name, labels);
  };

  test('keeps a character near whom a player stands, warm, until the player has left', async () => {
    const client = await stack.join();
    client.send({ t: 'observe', kind: 'near', npc: 'mira' });
    await eventually(() => pinned).toEqual(['mira']);
    await eventually(() => resident).toContain('mira');
    await eventually(() => onWorker('parley_worker_kv_pinned_characters')).toBe(1);
    expect(await onWorker('parley_worker_kv_pin_room', 'of="held"')).toBe(1);
    // Longer than a lease: it is renewed.
    await eventually(() => stack.metric('parley_gateway_pins_total', 'result="renewed"')).toBeGreaterThan(3);
    expect(pinned).toEqual(['mira']);
    client.send({ t: 'observe', kind: 'left', npc: 'mira' });
    await eventually(() => pinned).toEqual([]);
    expect(await onWorker('parley_worker_pins_total', 'result="released"')).toBe(1);
    // Nobody needs the room.
    expect(resident).toContain('mira');
  });

  test('costs one message for many players', async () => {
    const sent = () => stack.metric('parley_gateway_pins_total');
    const before = await sent();
    const clients = await Promise.all(Array.from({ length: 12 }, () => stack.join()));
    for (const client of clients) client.send({ t: 'observe', kind: 'near', npc: 'tobin' });
    await eventually(() => pinned).toEqual(['tobin']);
    for (const client of clients) client.send({ t: 'bye' });
    await eventually(() => pinned).toEqual([]);
    // The first, the release, and renewals that fell in between.
    expect((await sent()) - before).toBeLessThan(clients.length);
  });

  test('keeps whom a player speaks to, and nobody whom it does not know', async () => {
    const client = await stack.join();
    client.send({ t: 'say', s: 1, npc: 'bram', text: 'Hello', maxTokens: 2 });
    await eventually(() => pinned).toEqual(['bram']);
    await client.terminal(1);
    for (let i = 0; i < 20; i++) client.send({ t: 'observe', kind: 'near', npc: `nobody-${i}` });
    client.send({ t: 'ping' });
    await client.next('pong');
    expect(await stack.metric('parley_gateway_pins_total', 'result="unknown_npc"')).toBe(20);
    expect(pinned).toEqual(['bram']);
    client.send({ t: 'bye' });
    await eventually(() => pinned).toEqual([]);
  });

  test('refuses a character that it does not know, and one too many, each in its own words', async () => {
    expect(await pin('nobody')).toMatchObject({
      result: 'unknown_npc',
      message: expect.stringContaining('nobody'),
    });
    for (const npc of ['mira', 'tobin', 'edda']) expect(await pin(npc)).toMatchObject({ result: 'pinned' });
    const full = await pin('rosa');
    expect(full).toMatchObject({ result: 'kv_full', message: expect.stringContaining('PARLEY_SEQUENCES') });
    expect(await pin('mira')).toMatchObject({ result: 'renewed' });
    expect(await onWorker('parley_worker_pins_total', 'result="kv_full"')).toBe(1);
    expect(await onWorker('parley_worker_pins_total', 'result="unknown_npc"')).toBe(1);
    // The character answers all the same.
    const client = await stack.join();
    client.send({ t: 'say', s: 1, npc: 'rosa', text: 'Hello', maxTokens: 2 });
    expect(await client.terminal(1)).toMatchObject({ t: 'end', source: 'live' });
    client.send({ t: 'bye' });
    release('tobin');
    await eventually(() => pinned).not.toContain('tobin');
    await eventually(async () => (await pin('rosa')).result).toMatch(/pinned|renewed/);
    for (const npc of ['mira', 'edda', 'rosa']) release(npc);
  });

  test('a lease of one gateway is not given back by another', async () => {
    const other = { op: 'pin', npc: 'edda', holder: 'gw8', forMs: 60_000 };
    await pin('edda');
    await ask(other);
    release('edda');
    await eventually(() => onWorker('parley_worker_pins_total', 'result="released"')).toBeGreaterThan(3);
    expect(pinned).toContain('edda');
    nats.publish(worker, encode({ ...other, op: 'release' }, 'msgpack'));
    await eventually(() => pinned).not.toContain('edda');
  });

  test('a gateway that is gone keeps nobody', async () => {
    const client = await stack.join();
    client.send({ t: 'observe', kind: 'near', npc: 'yorick' });
    await eventually(() => pinned).toEqual(['yorick']);
    await stack.local.gateways[0]!.kill();
    await eventually(() => pinned).toEqual([]);
  });
});

describe('two workers with room for one lease each', () => {
  const stack = useStack({
    workers: 2,
    env: {
      PARLEY_PIN_LEASE_MS: '1500',
      PARLEY_BEAT_MS: '100',
      PARLEY_CONCURRENCY: '2',
      PARLEY_SEQUENCES: '4',
    },
  });
  const pinnedAt = async (worker: number) => {
    const { metricsPort } = stack.local.workers[worker]!.listening;
    const page = await fetch(`http://127.0.0.1:${metricsPort}/metrics`).then(
      (response) => response.text(),
      () => '',
    );
    return sumMetric(page, 'parley_worker_kv_pinned_characters');
  };
  const both = async () => [await pinnedAt(0), await pinnedAt(1)];

  test('the second character goes where there is room, the third nowhere, and what a dead worker had to the other', async () => {
    const clients = await Promise.all([stack.join(), stack.join(), stack.join()]);
    clients[0]!.send({ t: 'observe', kind: 'near', npc: 'mira' });
    await eventually(async () => (await both()).sort()).toEqual([0, 1]);
    const home = (await pinnedAt(0)) === 1 ? 0 : 1;
    clients[1]!.send({ t: 'observe', kind: 'near', npc: 'tobin' });
    await eventually(both).toEqual([1, 1]);
    clients[2]!.send({ t: 'observe', kind: 'near', npc: 'edda' });
    const refused = () => stack.metric('parley_gateway_pins_total', 'result="kv_full"');
    await eventually(refused).toBeGreaterThan(0);
    expect(await both()).toEqual([1, 1]);
    // Mira's worker dies. There is no room at the other until Tobin is left alone, then she has her place there.
    await stack.local.workers[home]!.kill();
    for (const client of clients.slice(1)) client.send({ t: 'bye' });
    const mira = () => stack.metric('parley_gateway_pins_total', 'result="pinned"');
    const before = await mira();
    await eventually(mira).toBeGreaterThan(before);
    await eventually(() => pinnedAt(1 - home)).toBe(1);
  });
});
