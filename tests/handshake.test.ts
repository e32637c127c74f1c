// A player knocks: subprotocols, `hello`, tokens, and every close code of the table.

import { SignJWT } from 'jose';
import { describe, expect, test } from 'vitest';
import WebSocket from 'ws';
import { closeCodes } from '../runtime/errors.ts';
import type { RawClient } from './helpers/raw-client.ts';
import { useStack } from './helpers/stack.ts';

const stack = useStack({ env: { PARLEY_HELLO_MS: '700', PARLEY_MAX_FRAME_BYTES: '4096' } });

/** The HTTP status with which a handshake is refused. */
function refusal(protocols: string[]): Promise<number> {
  return new Promise((resolve, reject) => {
    const ws = new WebSocket(stack.local.ws(), protocols, { perMessageDeflate: false });
    ws.on('unexpected-response', (_request, response) => resolve(response.statusCode!));
    ws.on('open', () => reject(new Error('the handshake passed')));
    ws.on('error', () => {});
  });
}

/** The close code that a token gets. */
async function codeFor(token: string): Promise<number> {
  const client = await stack.open();
  client.send({ t: 'hello', token });
  return client.code();
}

describe('handshake', () => {
  test('a socket that offers no subprotocol of ours is refused', async () => {
    expect(await refusal([])).toBe(400);
    expect(await refusal(['graphql-ws', 'parley.v2.json'])).toBe(400);
  });

  test('the first subprotocol that the server knows is chosen', async () => {
    const ws = new WebSocket(stack.local.ws(), ['parley.v9.json', 'parley.v1.msgpack', 'parley.v1.json']);
    await new Promise((resolve) => ws.once('open', resolve));
    expect(ws.protocol).toBe('parley.v1.msgpack');
    expect(ws.extensions).toBe('');
    ws.terminate();
  });

  test.each(['json', 'msgpack'] as const)('hello is answered with welcome in %s', async (encoding) => {
    const client = await stack.join({ encoding, player: 'Äda Lovelace' });
    expect(client.welcome).toMatchObject({
      t: 'welcome',
      v: 1,
      player: 'Äda Lovelace',
      resumed: false,
      streams: [],
    });
    expect(client.welcome.session).toMatch(/^[\w-]{22}$/);
    expect(client.welcome.key).toMatch(/^[\w-]{22}$/);
    client.send({ t: 'ping', c: 7 });
    expect(await client.next('pong')).toMatchObject({ t: 'pong', c: 7 });
  });

  test('what is sent before welcome is served after it', async () => {
    const client = await stack.open();
    client.send({ t: 'hello', token: await stack.sign({ sub: stack.newPlayer() }) });
    client.send({ t: 'ping', c: 1 });
    await client.next('pong');
    expect(client.received.map((m) => m.t)).toEqual(['welcome', 'pong']);
  });
});

describe('tokens', () => {
  test('a forged, expired, wrong-audience, unsigned or nameless token closes with 4401', async () => {
    const past = Math.floor(Date.now() / 1000) - 3_600;
    const unsigned = `${Buffer.from('{"alg":"none"}').toString('base64url')}.${Buffer.from('{"sub":"p1","aud":"parley","exp":9999999999}').toString('base64url')}.`;
    const bad: Record<string, string> = {
      token_forged: await stack.sign({ sub: 'p1' }, 'another secret of at least 32 characters'),
      token_expired: await stack.sign({ sub: 'p1', exp: past }),
      token_audience: await stack.sign({ sub: 'p1', aud: 'elsewhere' }),
      token_malformed: 'not a token',
    };
    for (const [code, token] of Object.entries(bad)) {
      const before = await stack.metric('parley_gateway_refused_total', `code="${code}"`);
      expect(await codeFor(token), code).toBe(closeCodes.unauthenticated.code);
      expect(await stack.metric('parley_gateway_refused_total', `code="${code}"`), code).toBe(before + 1);
    }
    expect(await codeFor(unsigned)).toBe(4401);
    expect(await codeFor(await stack.sign({}))).toBe(4401);
    expect(await codeFor(await stack.sign({ sub: 'x'.repeat(129) }))).toBe(4401);
  });

  test('a token without an end is refused', async () => {
    const secret = new TextEncoder().encode(stack.local.key.secret);
    const forEver = await new SignJWT({ sub: 'p1', aud: 'parley' })
      .setProtectedHeader({ alg: 'HS256' })
      .sign(secret);
    expect(await codeFor(forEver)).toBe(4401);
  });

  test('no token ever reaches the log', async () => {
    const token = await stack.sign({ sub: 'p1' }, 'another secret of at least 32 characters');
    await codeFor(token);
    expect(stack.logs.join('\n')).toContain('a token was refused');
    expect(stack.logs.join('\n')).not.toContain(token.split('.')[1]);
  });
});

describe('close codes', () => {
  test('4400: a message before hello, a second hello, bytes that are no message, the wrong kind of frame', async () => {
    const early = await stack.open();
    early.send({ t: 'ping' });
    expect(await early.code()).toBe(4400);

    const twice = await stack.join();
    twice.send({ t: 'hello', token: 'x' });
    expect(await twice.code()).toBe(4400);

    const noise = await stack.join();
    noise.sendRaw('{"t":"say",');
    expect(await noise.code()).toBe(4400);

    const binary = await stack.join({ encoding: 'json' });
    binary.sendRaw(Buffer.from('{"t":"ping"}'));
    expect(await binary.code()).toBe(4400);

    const text = await stack.join({ encoding: 'msgpack' });
    text.sendRaw('{"t":"ping"}');
    expect(await text.code()).toBe(4400);
  });

  test('4408: no hello in time', async () => {
    expect(await (await stack.open()).code()).toBe(4408);
  });

  test('4409: the newer connection of a player wins', async () => {
    const older = await stack.join({ player: 'twin' });
    const newer = await stack.join({ player: 'twin' });
    expect(await older.code()).toBe(4409);
    newer.send({ t: 'ping' });
    await newer.next('pong');
  });

  test('4413: a frame above the limit, before and after hello', async () => {
    const client = await stack.join();
    client.sendRaw(`{"t":"say","s":1,"npc":"mira","text":"${'x'.repeat(4096)}"}`);
    expect(await client.code()).toBe(4413);
    const stranger = await stack.open();
    stranger.sendRaw(' '.repeat(5000));
    expect(await stranger.code()).toBe(4413);
  });

  test('4429: messages that keep coming after rate_limited', async () => {
    const client = await stack.join();
    for (let i = 0; i < 40 + 40 + 20; i++) client.send({ t: 'ping', c: i });
    expect(await client.code()).toBe(4429);
    const refused = client.received.filter((m) => m.t === 'err');
    expect(refused.length).toBeGreaterThan(0);
    expect(refused[0]).toMatchObject({ code: 'rate_limited' });
    expect((refused[0] as { retryMs: number }).retryMs).toBeGreaterThan(0);
  });

  test('1000: bye', async () => {
    const client = await stack.join();
    client.send({ t: 'bye' });
    expect(await client.code()).toBe(1000);
  });

  test('each is counted, and a neighbour notices nothing', async () => {
    const neighbour = await stack.join();
    const before = await stack.metric('parley_gateway_closes_total', 'code="4400"');
    const noise = await stack.join({ encoding: 'msgpack' });
    noise.sendRaw(Buffer.from([0xc1]));
    await noise.code();
    expect(await stack.metric('parley_gateway_closes_total', 'code="4400"')).toBe(before + 1);
    neighbour.send({ t: 'ping', c: 1 });
    await neighbour.next('pong');
    expect(neighbour.closed).toBeUndefined();
  });
});

test('two hundred players at once', async () => {
  const clients = await Promise.all(
    Array.from({ length: 200 }, (_, i) => stack.join({ encoding: i % 2 ? 'json' : 'msgpack' })),
  );
  expect(new Set(clients.map((c) => c.welcome.session)).size).toBe(200);
  await Promise.all(
    clients.map(async (client, i) => {
      client.send({ t: 'ping', c: i });
      expect(await client.next('pong')).toMatchObject({ c: i });
    }),
  );
  expect(clients.filter((c: RawClient) => c.closed)).toEqual([]);
});
