// What the client does with a server that is newer than it, or broken, or means no good: typed errors, or the message is
// left alone by rule; the game is unharmed and no memory is filled.

import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { type ClientOptions, ClosedError, ParleyClient, StreamError } from '../client/index.ts';
import { HostileEdge } from './helpers/hostile-edge.ts';
import { eventually } from './helpers/processes.ts';
import { rejection } from './helpers/rejection.ts';

let edge: HostileEdge;
let client: ParleyClient;
const ignored: string[] = [];

beforeEach(async () => {
  edge = await HostileEdge.start();
});
afterEach(async () => {
  client.close();
  await edge[Symbol.asyncDispose]();
});

function make(options: Partial<ClientOptions> = {}): ParleyClient {
  client = new ParleyClient({
    url: edge.url,
    token: 'a token',
    WebSocket,
    reconnect: { minMs: 1, maxMs: 20 },
    ...options,
  });
  ignored.length = 0;
  client.on('ignored', ({ why, message }) => ignored.push(`${why}: ${message.t}`));
  return client;
}

/** Resolves once the client has heard what was sent before: pushes come in order. */
async function heardAll(): Promise<void> {
  const heard = new Promise((resolve) => client.once('push', resolve));
  edge.send({ t: 'push', data: {} });
  await heard;
}

const tok = (n: number, d: string) => ({ t: 'tok', s: 1, n, d });
const act = { t: 'act', s: 1, name: 'give', args: { item: 'sword' }, ttlMs: 1_000 };
const end = (n: number) => ({ t: 'end', s: 1, n, reason: 'stop', tier: 'gold', source: 'live' });

describe.each(['json', 'msgpack'] as const)('in %s', (encoding) => {
  test('a server of a newer version is refused, and not asked again', async () => {
    edge.welcome = { v: 2 };
    const error = await rejection(make({ encoding }).connect());
    expect(error).toBeInstanceOf(ClosedError);
    expect(error).toMatchObject({ code: 4426, retry: 'no' });
    expect(error.message).toContain('version 2');
    expect(client.state).toBe('closed');
    await eventually('the close', () => edge.closed.length > 0);
    expect(edge.connections).toBe(1);
  });

  test('kinds that are not known are left alone and counted', async () => {
    await make({ encoding }).connect();
    for (const t of ['weather', 'constructor', '__proto__', '']) edge.send({ t, s: 1, n: 1 });
    await heardAll();
    expect(ignored).toEqual(['weather', 'constructor', '__proto__', ''].map((t) => `unknown kind: ${t}`));
    expect(client.stats.ignored).toBe(4);
    expect(client.state).toBe('online');
  });

  test('acts of a newer form or of a broken one are left alone, and the pieces go on', async () => {
    await make({ encoding }).connect();
    const stream = client.npc('mira').say('Hello');
    const acts: string[] = [];
    stream.on('act', ({ name }) => acts.push(name));
    const broken = [
      { v: 2 },
      { v: 'new' },
      { name: 7 },
      { args: ['sword'] },
      { args: null },
      { ttlMs: '1 s' },
      { ttlMs: -1 },
      { g: 'x' },
      { confidence: {} },
    ];
    await edge.next('say');
    broken.forEach((fields, i) => {
      edge.send({ ...act, n: i + 1, ...fields });
    });
    edge.send({
      ...act,
      n: broken.length + 1,
      v: 1,
      g: 3,
      confidence: 0.5,
      mood: 'unknown fields do no harm',
    });
    edge.send(tok(broken.length + 2, 'Here.'));
    edge.send(end(broken.length + 2));
    await stream.end;
    expect(acts).toEqual(['give']);
    expect(stream.acts).toHaveLength(1);
    expect(stream.text).toBe('Here.');
    expect(ignored).toEqual(broken.map((_, i) => `${i === 0 ? 'newer version' : 'malformed'}: act`));
    expect(edge.connections).toBe(1);
  });

  test('frames of a known kind without what belongs to it are left alone', async () => {
    await make({ encoding }).connect();
    const stream = client.npc('mira').say('Hello');
    await edge.next('say');
    for (const frame of [
      { t: 'tok' },
      { t: 'tok', s: 1 },
      { t: 'tok', s: 1, n: 1, d: 7 },
      { t: 'end', s: 1 },
      { t: 'push', data: [1] },
      { t: 'push' },
      { t: 'reconnect', afterMs: 'soon' },
      { t: 'job', s: 1 },
      { t: 'welcome', v: 1 },
      { t: 'pong', c: {}, time: 'late' },
    ]) {
      edge.send(frame);
    }
    edge.send({ t: 'end', s: 1, n: 0 });
    expect(await stream.end).toMatchObject({ reason: 'stop', usage: { prompt: 0 }, timings: { firstMs: 0 } });
    expect(client.stats.ignored).toBe(9);
    expect(edge.connections).toBe(1);
  });

  test('an err without its fields still ends its stream', async () => {
    await make({ encoding }).connect();
    const stream = client.npc('mira').say('Hello');
    await edge.next('say');
    edge.send({ t: 'err', s: 1, code: 7, message: null });
    const error = await rejection(stream.end);
    expect(error).toBeInstanceOf(StreamError);
    expect(error).toMatchObject({ code: 'internal', retry: true });
  });

  test('an answer without end is given up before it fills the memory', async () => {
    await make({ encoding }).connect();
    const stream = client.npc('mira').say('Hello');
    await edge.next('say');
    for (let n = 1; n <= 40; n++) edge.send(tok(n, 'x'.repeat(50_000)));
    const error = await rejection(stream.end);
    expect(error).toBeInstanceOf(StreamError);
    expect(error).toMatchObject({ code: 'overflow', retry: false, partial: true });
    expect(stream.text.length).toBeLessThanOrEqual(1_048_576);
    expect(await edge.next('cancel')).toEqual({ t: 'cancel', s: 1 });
    await heardAll();
    expect(client.state).toBe('online');
  });

  test('nor does one of empty pieces or of acts', async () => {
    await make({ encoding }).connect();
    const streams = [client.npc('mira').say('Hello'), client.npc('rosa').say('Hello')];
    await edge.next('say');
    for (let n = 1; n <= 140_000; n++) {
      if (n <= 1_100) edge.send({ ...act, s: 2, n });
      edge.send(tok(n, ''));
    }
    for (const stream of streams) expect(await rejection(stream.end)).toMatchObject({ code: 'overflow' });
  });

  test('bytes that are no message end the connection, and the client comes back', async () => {
    await make({ encoding }).connect();
    const garbage: (string | Uint8Array)[] =
      encoding === 'json'
        ? ['{', 'null', '[]', '"tok"', '{"t":1}', Uint8Array.of(0x81, 0xa1, 0x74, 0xa1, 0x78)]
        : [
            Uint8Array.of(0xc1),
            Uint8Array.of(0xdf, 0xff, 0xff, 0xff, 0xff),
            Uint8Array.of(0xdd, 0xff, 0xff, 0xff, 0xff),
            Uint8Array.of(0xdb, 0xff, 0xff, 0xff, 0xff, 0x41),
            new Uint8Array(10_000).fill(0x91),
            '{"t":"pong","time":1}',
          ];
    for (const bytes of garbage) {
      const back = new Promise((resolve) => client.once('welcome', resolve));
      edge.sendRaw(bytes);
      await back;
    }
    expect(edge.connections).toBe(1 + garbage.length);
    expect(client.stats.reconnects).toBe(garbage.length);
  });
});

test('a welcome that is none is no reason to stop trying, nor to trust it', async () => {
  edge.welcome = { limits: undefined, streams: 'many' };
  const connected = make({ reconnect: { minMs: 1, maxMs: 5 } }).connect();
  await eventually('several tries', () => edge.connections >= 3);
  expect(client.state).not.toBe('online');
  edge.welcome = {};
  expect(await connected).toMatchObject({ session: 'a session' });
});

test('characters who speak without end: the oldest are cut short', async () => {
  await make().connect();
  const cut: string[] = [];
  const heard: number[] = [];
  client.on('speech', (stream) => {
    heard.push(stream.s);
    stream.on('error', (error) => cut.push(`${stream.s} ${(error as StreamError).code}`));
  });
  for (let s = -1; s >= -70; s--) edge.send({ t: 'tok', s, n: 1, d: 'Hear me!', npc: 'bram' });
  await heardAll();
  expect(heard).toHaveLength(70);
  expect(cut).toEqual([1, 2, 3, 4, 5, 6].map((n) => `-${n} overflow`));
});

test('a flood of what nobody asked for harms nothing that was asked for', async () => {
  await make().connect();
  const stream = client.npc('mira').say('Hello');
  await edge.next('say');
  for (let i = 1; i <= 5_000; i++) {
    edge.send({ t: 'tok', s: 99, n: i, d: 'noise' });
    edge.send({ t: 'noise', i });
    edge.send({ t: 'reconnect', afterMs: 60_000 });
    edge.send({ t: 'pong', c: i, time: 0 });
  }
  edge.send(tok(1, 'Welcome.'));
  edge.send(end(1));
  await stream.end;
  expect(stream.text).toBe('Welcome.');
  expect(client.stats).toMatchObject({ ignored: 5_000, reconnects: 0 });
  expect(Math.abs(client.clock.now() - 1_764_000_000_000)).toBeLessThan(600_000);
});

test('a listener that throws harms no other, and is reported', async () => {
  await make().connect();
  const uncaught: unknown[] = [];
  const others = process.listeners('uncaughtException');
  process.removeAllListeners('uncaughtException');
  process.once('uncaughtException', (error) => uncaught.push(error));
  try {
    const mistake = new Error('a mistake of the game');
    const stream = client.npc('mira').say('Hello');
    const heard: string[] = [];
    stream.on('text', () => {
      throw mistake;
    });
    stream.on('text', (words) => heard.push(words));
    await edge.next('say');
    edge.send(tok(1, 'Welcome.'));
    edge.send(end(1));
    await stream.end;
    expect(heard).toEqual(['Welcome.']);
    await eventually('the report', () => uncaught.length > 0);
    expect(uncaught).toEqual([mistake]);
  } finally {
    for (const listener of others) process.on('uncaughtException', listener);
  }
});

test('while the socket is backed up observations are dropped, and words are kept', async () => {
  await make({ observeBufferBytes: 1_000 }).connect();
  expect(client.observe('near', { npc: 'mira' })).toBe(true);
  await edge.next('observe');
  edge.stall();
  const spoken: string[] = [];
  while (client.buffered <= 1_000) {
    spoken.push('x'.repeat(10_000));
    client.npc('mira').say(spoken.at(-1)!);
    // The socket gives the system what it takes, in a turn of its own.
    await sleep(0);
  }
  expect(client.observe('near', { npc: 'mira' })).toBe(false);
  expect(client.stats).toMatchObject({ observed: 1, observeDropped: 1 });
});

test('observations leave room for words: more than the server allows are dropped', async () => {
  await make().connect();
  const sent = Array.from({ length: 100 }, () => client.observe('moved', { x: 1 })).filter(Boolean);
  expect(sent.length).toBeGreaterThanOrEqual(10);
  expect(sent.length).toBeLessThan(20);
});

test('observations that the server has no use for are not sent again', async () => {
  await make().connect();
  const refused = new Promise((resolve) => client.once('error', resolve));
  expect(client.observe('near')).toBe(true);
  edge.send({ t: 'err', code: 'not_available', message: 'This server does not offer that.' });
  expect(await refused).toMatchObject({ code: 'not_available', retry: false });
  expect(client.observe('near')).toBe(false);
});

test.each(['json', 'msgpack'] as const)(
  'what a game says is written as the protocol wants it, in %s',
  async (encoding) => {
    await make({ encoding }).connect();
    client.npc('mira').say(`half an emoji ${'🔨'.slice(0, 1)}`, { context: undefined, g: 1 });
    expect(await edge.next('say')).toEqual({
      t: 'say',
      s: 1,
      npc: 'mira',
      text: 'half an emoji \ufffd',
      g: 1,
    });
    const since = new Date(1_764_000_000_000);
    client.observe('idle', { t: 'say', since, nothing: undefined, list: [1, null] });
    const observed = { t: 'observe', kind: 'idle', since: since.toJSON(), list: [1, null] };
    expect(await edge.next('observe')).toEqual(observed);
    const circle: unknown[] = [];
    circle.push(circle);
    for (const wrong of [circle, () => {}, 1n]) {
      expect(() => client.job('story', { wrong })).toThrow(TypeError);
      expect(() => client.observe('near', { wrong })).toThrow(TypeError);
    }
    expect(client.state).toBe('online');
  },
);

test('what is larger than the server takes is refused here: it would end the session', async () => {
  await make().connect();
  const job = client.job('story', { facts: 'x'.repeat(20_000) });
  expect(await rejection(job.result)).toMatchObject({ code: 'too_large', retry: false });
  expect(client.observe('moved', { path: 'x'.repeat(20_000) })).toBe(false);
  expect(await rejection(client.npc('mira').say('é'.repeat(9_000)).end)).toMatchObject({ code: 'too_large' });
  expect(client.state).toBe('online');
});

test('a job tells of its progress and its result, also over a lost connection', async () => {
  await make().connect();
  const job = client.job('story', { about: 'the mine' });
  const heard: unknown[] = [];
  job.on('progress', (progress) => heard.push(progress));
  expect(await edge.next('job')).toEqual({ t: 'job', s: 1, kind: 'story', input: { about: 'the mine' } });
  edge.send({ t: 'job', s: 1, progress: 0.5, step: 'plot' });
  await heardAll();
  edge.welcome = { resumed: true, streams: [{ s: 1, state: 'resumed' }] };
  const back = new Promise((resolve) => client.once('welcome', resolve));
  client.drop();
  await back;
  expect(await edge.next('hello')).toMatchObject({ resume: { streams: [{ s: 1, n: 0 }] } });
  edge.send({ t: 'job', s: 1, result: { title: 'The lost brother' } });
  expect(await job.result).toEqual({ title: 'The lost brother' });
  expect(heard).toEqual([{ progress: 0.5, step: 'plot' }]);
});

test('a job that is given up says so at once', async () => {
  await make().connect();
  const abort = new AbortController();
  const job = client.job('story', {}, { signal: abort.signal });
  await edge.next('job');
  abort.abort();
  expect(await rejection(job.result)).toMatchObject({ code: 'cancelled', retry: false });
  expect(await edge.next('cancel')).toEqual({ t: 'cancel', s: job.s });
});
