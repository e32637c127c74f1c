// The SDK as a game uses it, against a real stack: characters by handle, topics, thoughts, observations that a backend
// hears, jobs that nobody does yet, the server's clock, counters, and a plug to pull.

import { afterEach, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { decode, encodingOf } from '../bus/codec.ts';
import { createSubjects } from '../bus/subjects.ts';
import { type ClientOptions, ClosedError, ParleyClient, StreamError } from '../client/index.ts';
import { connectTo } from '../scripts/stack/connect.ts';
import { rejection } from './helpers/rejection.ts';
import { useStack } from './helpers/stack.ts';

const stack = useStack({ env: { PARLEY_PING_MS: '1000' } });
let client: ParleyClient;
let player: string;
afterEach(() => client.close());

async function connect(options: Partial<ClientOptions> = {}): Promise<ParleyClient> {
  player = stack.newPlayer();
  const token = await stack.local.token(player);
  client = new ParleyClient({ url: stack.local.ws(), token, WebSocket, ...options });
  await client.connect();
  return client;
}

describe.each(['json', 'msgpack'] as const)('in %s', (encoding) => {
  test('a character answers what is said to it, and its topics', async () => {
    await connect({ encoding });
    const mira = client.npc('mira');
    expect(mira.id).toBe('mira');
    const words: string[] = [];
    const answer = mira.say('Good day.', { context: 'It rains.', maxTokens: 20 });
    for await (const piece of answer) words.push(piece);
    expect(words.join('')).toBe(answer.text);
    expect(answer.npc).toBe('mira');
    const swords = mira.topic('swords');
    expect((await swords.end).source).toBe('live');
    expect(swords.text).toMatch(/30|thirty/i);
    expect(client.stats.lastFirstTokenMs).toBe(swords.times.first! - swords.times.asked);
  });

  test('a thought has no words, and its acts say which question they answer', async () => {
    await connect({ encoding });
    const mira = client.npc('mira');
    const thought = mira.think('The player stands near and it is quiet.', { g: 7, budgetMs: 15_000 });
    const heard: unknown[] = [];
    thought.on('act', (act) => heard.push(act));
    for await (const words of thought) expect.unreachable(`it said ${words}`);
    expect(await thought.end).toMatchObject({ source: 'live' });
    expect(heard).toEqual(thought.acts);
    for (const { name, args, ttlMs, g } of thought.acts) {
      expect([typeof name, typeof args, typeof ttlMs, g]).toEqual(['string', 'object', 'number', 7]);
    }
  });

  test('what the player does reaches a backend', async () => {
    await connect({ encoding });
    const nats = await connectTo(stack.local.natsUrl());
    try {
      const subscription = nats.subscribe(createSubjects('parley').observed(player), { max: 1 });
      await nats.flush();
      expect(client.observe('near', { npc: 'mira', distance: 2.5 })).toBe(true);
      for await (const { data } of subscription) {
        expect(decode(data, encodingOf(data))).toMatchObject({
          player,
          kind: 'near',
          data: { npc: 'mira', distance: 2.5 },
        });
      }
    } finally {
      await nats.close();
    }
    expect(client.stats).toMatchObject({ observed: 1, observeDropped: 0 });
  });

  test('a job that no service does is refused for good, and the session goes on', async () => {
    await connect({ encoding });
    const job = client.job('story', { about: 'the mine' });
    const error = await rejection(job.result);
    expect(error).toBeInstanceOf(StreamError);
    expect(error).toMatchObject({ code: 'not_available', retry: false, s: job.s });
    expect((await client.npc('mira').say('Hello', { maxTokens: 4 }).end).source).toBe('live');
  });

  test('the clock is the one of the server', async () => {
    // Both are this machine's, so what is measured is the error alone.
    await connect({ encoding });
    await new Promise((resolve) => client.npc('mira').say('Hello', { maxTokens: 4 }).on('end', resolve));
    expect(client.clock.tripMs).toBeGreaterThan(0);
    expect(Math.abs(client.clock.offsetMs)).toBeLessThanOrEqual(client.clock.tripMs! / 2 + 2);
  });

  test('the plug is pulled, and the answer goes on', async () => {
    await connect({ encoding });
    const answer = client.npc('mira').say('Tell me of the mine and of your brother.', { maxTokens: 60 });
    await new Promise((resolve) => answer.once('text', resolve));
    const lost: unknown[] = [];
    client.on('disconnected', (how) => lost.push(how));
    client.drop();
    expect(client.state).toBe('waiting');
    expect(client.observe('near')).toBe(false);
    expect((await answer.end).source).toBe('live');
    expect(lost).toEqual([{ code: 1006, reason: 'dropped' }]);
    expect(client.stats).toMatchObject({ reconnects: 1, resumed: 1, observeDropped: 1 });
    expect(client.stats.frames).toBeGreaterThan(2);
    expect(client.stats.bytes).toBeGreaterThan(100);
  });
});

test('a connection that is not wanted any more is given up', async () => {
  const token = await stack.local.token(stack.newPlayer());
  const abort = new AbortController();
  client = new ParleyClient({ url: stack.local.ws(), token, WebSocket });
  const connected = client.connect({ signal: abort.signal });
  abort.abort(new Error('the menu was closed'));
  const error = await rejection(connected);
  expect(error).toBeInstanceOf(ClosedError);
  expect(error).toMatchObject({ code: 1000, cause: abort.signal.reason });
  expect(client.state).toBe('closed');
  expect(await rejection(client.npc('mira').say('Hello').end)).toBeInstanceOf(ClosedError);
  expect(await rejection(client.job('story', {}).result)).toBeInstanceOf(ClosedError);
});

test('a platform without WebSocket is told what to give', async () => {
  const own = globalThis.WebSocket;
  Reflect.deleteProperty(globalThis, 'WebSocket');
  try {
    client = new ParleyClient({ url: stack.local.ws(), token: 'a token' });
    expect((await rejection(client.connect())).message).toContain('the package ws');
  } finally {
    if (own) globalThis.WebSocket = own;
  }
});

test('listeners come and go, also while they are called', async () => {
  await connect();
  const heard: string[] = [];
  const stream = client.npc('mira').say('Hello', { maxTokens: 6 });
  const stop = stream.on('text', () => {
    heard.push('first');
    stop();
    stream.on('text', () => heard.push('late'));
  });
  const never = () => heard.push('never');
  stream.on('text', never);
  stream.off('text', never);
  stream.once('text', () => heard.push('once'));
  await stream.end;
  expect(heard.slice(0, 3)).toEqual(['first', 'once', 'late']);
  expect(new Set(heard.slice(2))).toEqual(new Set(['late']));
});
