// A client whose socket lives in a thread of its own: the same to the game as any other.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ClosedError, ParleyClient } from '../client/index.ts';
import { type ThreadedSockets, threadedSockets } from '../client/threaded-socket.ts';
import { useStack } from './helpers/stack.ts';

const stack = useStack();

describe('sockets in a thread', () => {
  let sockets: ThreadedSockets;
  beforeAll(async () => {
    sockets = await threadedSockets();
  });
  afterAll(() => sockets.stop());

  async function client(encoding: 'msgpack' | 'json' = 'msgpack') {
    const token = await stack.local.token(stack.newPlayer());
    return new ParleyClient({ url: stack.local.ws(), token, encoding, WebSocket: sockets.WebSocket });
  }

  test.each(['msgpack', 'json'] as const)('an answer streams (%s)', async (encoding) => {
    const one = await client(encoding);
    await one.connect();
    let text = '';
    for await (const piece of one.npc('mira').say('What does a sword cost?')) text += piece;
    expect(text).toContain('30');
    one.close();
  });

  test('a connection that is dropped in mid-answer comes back, and the answer is whole', async () => {
    const one = await client();
    await one.connect();
    const stream = one.npc('mira').say('Tell me about your brother.');
    stream.on('text', () => {
      if (one.stats.reconnects === 0 && one.state === 'online') one.drop();
    });
    const { n, reason } = await stream.end;
    expect(reason).toBe('stop');
    expect(n).toBeGreaterThan(0);
    expect(stream.text.trim()).not.toBe('');
    expect(one.stats.reconnects).toBe(1);
    one.close();
  });

  test('who is refused hears why', async () => {
    const one = new ParleyClient({
      url: stack.local.ws(),
      token: 'forged',
      WebSocket: sockets.WebSocket,
    });
    const error = await one.connect().catch((e) => e);
    expect(error).toBeInstanceOf(ClosedError);
    expect(error.code).toBe(4401);
  });

  test('nobody there is heard as a connection that ended, and tried again', async () => {
    const url = 'ws://127.0.0.1:9/v1/ws';
    const one = new ParleyClient({ url, token: 't', WebSocket: sockets.WebSocket });
    const tried = new Promise<{ attempt: number }>((resolve) => one.on('reconnecting', resolve));
    one.connect().catch(() => {});
    expect((await tried).attempt).toBe(1);
    one.close();
  });

  test('a bad address is refused at once', async () => {
    const one = new ParleyClient({ url: 'not a url', token: 't', WebSocket: sockets.WebSocket });
    await expect(one.connect()).rejects.toBeInstanceOf(ClosedError);
  });
});
