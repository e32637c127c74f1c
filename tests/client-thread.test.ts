// Clients in a thread of their own: the same to the game as any other, with the news read when it suits the game, and
// the questions of the controller asked from over there.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { clientMind, createController } from '../client/controller/index.ts';
import { ClosedError, StreamError } from '../client/index.ts';
import { type ClientThread, clientThread, playerClients } from '../client/thread/index.ts';
import { eventually } from './helpers/processes.ts';
import { useStack } from './helpers/stack.ts';

const stack = useStack();

/** Runs a frame now and then, as a game loop does. */
async function frames(until: () => boolean, frame: () => void): Promise<void> {
  await eventually('what the frames wait for', () => {
    frame();
    return until();
  });
}

describe('clients in a thread', () => {
  let thread: ClientThread;
  beforeAll(async () => {
    thread = await clientThread();
  });
  afterAll(() => thread.stop());

  function client(encoding: 'msgpack' | 'json' = 'msgpack') {
    const player = stack.newPlayer();
    return thread.client({ url: stack.local.ws(), token: () => stack.local.token(player), encoding });
  }

  test.each(['msgpack', 'json'] as const)('an answer streams (%s)', async (encoding) => {
    const one = client(encoding);
    expect(one.state).toBe('idle');
    expect(() => one.say({ npc: 'mira', text: 'Hello' })).toThrow('call connect first');
    const { session } = await one.connect();
    expect(session).not.toBe('');
    expect(one.state).toBe('online');
    let text = '';
    for await (const piece of one.npc('mira').say('What does a sword cost?')) text += piece;
    expect(text).toContain('30');
    expect(one.stats.frames).toBeGreaterThan(1);
    expect(one.limits?.messagesPerSecond).toBeGreaterThan(0);
    expect(Math.abs(one.clock.offsetMs)).toBeLessThan(10_000);
    one.close();
    expect(one.state).toBe('closed');
  });

  test('what a character does comes with its answer', async () => {
    const one = client();
    await one.connect();
    const answer = one.npc('mira').topic('swords');
    const { reason } = await answer.end;
    expect(reason).toBe('stop');
    const thought = one.think({ npc: 'mira', context: 'It is day. The traveller is near.' });
    expect((await thought.end).reason).toBe('stop');
    for (const act of thought.acts) expect(act.name).toMatch(/^\w+$/);
    one.close();
  });

  test('a connection that is dropped in mid-answer comes back, and the answer is whole', async () => {
    const one = client();
    await one.connect();
    const heard: string[] = [];
    one.on('disconnected', () => heard.push('disconnected'));
    one.on('reconnecting', () => heard.push('reconnecting'));
    const stream = one.npc('mira').say('Tell me about your brother.');
    stream.once('text', () => one.drop());
    const { reason } = await stream.end;
    expect(reason).toBe('stop');
    expect(stream.text.trim()).not.toBe('');
    await eventually('it is back', () => one.stats.reconnects === 1 && one.state === 'online');
    expect(heard).toEqual(['disconnected', 'reconnecting']);
    one.close();
  });

  test('an answer is cancelled, and what still runs when the client closes fails', async () => {
    const one = client();
    await one.connect();
    const stream = one.npc('mira').say('Tell me a long story.');
    stream.cancel();
    expect((await stream.end).reason).toBe('cancelled');
    const other = one.npc('bram').say('Tell me a long story.');
    one.close();
    await expect(other.end).rejects.toBeInstanceOf(ClosedError);
  });

  test('what the edge refuses is heard with its code', async () => {
    const one = client();
    await one.connect();
    const error = await one
      .npc('nobody-knows')
      .say('Hello')
      .end.catch((e) => e);
    expect(error).toBeInstanceOf(StreamError);
    expect(error).toMatchObject({ code: 'unknown_npc', retry: false });
    const job = await one.job('story', { about: 'rain' }).result.catch((e) => e);
    expect(job).toMatchObject({ name: 'StreamError', code: 'not_available' });
    expect(() => one.job('story', { about: () => 1 })).toThrow(TypeError);
    one.close();
  });

  test('who is refused hears why', async () => {
    const one = thread.client({ url: stack.local.ws(), token: 'forged' });
    const error = await one.connect().catch((e) => e);
    expect(error).toBeInstanceOf(ClosedError);
    expect(error.code).toBe(4401);
    const other = thread.client({
      url: stack.local.ws(),
      token: () => Promise.reject(new Error('no login')),
    });
    const why = await other.connect().catch((e) => e);
    expect(why.cause).toMatchObject({ message: 'no login' });
    const third = thread.client({ url: 'not a url', token: 't' });
    await expect(third.connect()).rejects.toBeInstanceOf(ClosedError);
  });

  test('nobody there is heard as a connection that ended, and tried again', async () => {
    const one = thread.client({ url: 'ws://127.0.0.1:9/v1/ws', token: 't' });
    const tried = new Promise<{ attempt: number }>((resolve) => one.on('reconnecting', resolve));
    one.connect().catch(() => {});
    expect((await tried).attempt).toBe(1);
    one.close();
  });
});

describe('clients of whichever kind there can be', () => {
  test.each([true, false])('are used the same way (shared memory: %s)', async (shared) => {
    const memory = globalThis.SharedArrayBuffer;
    // What a page sees that is not cross-origin isolated.
    if (!shared) Reflect.deleteProperty(globalThis, 'SharedArrayBuffer');
    const clients = await playerClients();
    globalThis.SharedArrayBuffer = memory;
    expect(clients.threaded).toBe(shared);
    const token = await stack.local.token(stack.newPlayer());
    const one = clients.client({ url: stack.local.ws(), token, WebSocket });
    await one.connect();
    const answer = one.npc('mira').say('Good day.');
    expect((await answer.end).reason).toBe('stop');
    expect(answer.text.trim()).not.toBe('');
    one.close();
    clients.stop();
  });
});

describe('a loop that pumps', () => {
  let thread: ClientThread;
  beforeAll(async () => {
    thread = await clientThread();
  });
  afterAll(() => thread.stop());

  test('hears nothing in between, speaks, and has its characters thought about', async () => {
    const player = stack.newPlayer();
    const one = thread.client({ url: stack.local.ws(), token: await stack.local.token(player) });
    thread.pump();
    let welcomed = false;
    void one.connect().then(() => {
      welcomed = true;
    });
    await eventually('the thread is online', () => one.state === 'online');
    // No news is read but by the pump.
    expect(one.limits).toBeUndefined();
    await frames(
      () => welcomed,
      () => thread.pump(),
    );

    const mind = clientMind(one, { budgetMs: 30_000 });
    const npcs = createController({ mind, cache: false, asking: { answerMs: 40_000 } });
    for (const [k, npc] of ['mira', 'bram', 'nobody-knows'].entries())
      npcs.add({ npc, x: k * 2, y: 0, policy: 'look' });
    npcs.place('forge', 0, 0);
    npcs.player(1, 1);
    let last = performance.now();
    const frame = () => {
      thread.pump();
      const now = performance.now();
      npcs.tick(now, now - last);
      last = now;
    };
    await frames(() => npcs.stats.answered >= 3 && npcs.stats.failed >= 1, frame);
    expect(npcs.stats).toMatchObject({ thrown: 0, failed: 1, lastFailure: 'unknown_npc' });
    expect(npcs.stats.failures).toEqual({ unknown_npc: 1 });

    // A noise: what was asked before is not wanted any more.
    await frames(() => npcs.stats.outstanding > 0, frame);
    const before = npcs.stats.answered;
    npcs.perceive(0, 'noise', { x: 1, y: 1 });
    await frames(() => npcs.stats.answered >= before + 2, frame);

    const stream = one.npc('mira').say('Good day.');
    let over = false;
    void stream.end.then(() => {
      over = true;
    });
    await frames(() => over, frame);
    expect(stream.text.trim()).not.toBe('');
    one.close();
    const { asked } = npcs.stats;
    await frames(() => npcs.stats.away >= 1, frame);
    expect(npcs.stats.asked).toBe(asked);
  });
});
