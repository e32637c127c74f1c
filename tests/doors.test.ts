// Who may come in, how often, and over what: origins, handshakes, limits of players and of the game, fresh tokens,
// certificates.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, renameSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as tlsConnect } from 'node:tls';
import { describe, expect, test } from 'vitest';
import WebSocket from 'ws';
import { RawClient } from './helpers/raw-client.ts';
import { TestStack, useStack } from './helpers/stack.ts';

describe('limits', () => {
  const stack = useStack({
    gateways: 2,
    workers: 0,
    env: {
      PARLEY_SAYS_PER_SECOND: '0.05',
      PARLEY_SAY_BURST: '3',
      PARLEY_ORIGINS: 'https://game.example, https://beta.example',
    },
  });
  const hello = { npc: 'mira', text: 'Hello' };

  test('a player who speaks too often hears when to try again, and moving to another gateway does not help', async () => {
    const player = stack.newPlayer();
    const client = await stack.join({ player, gateway: 0 });
    for (let s = 1; s <= 4; s++) client.send({ t: 'say', s, ...hello, mode: 'alongside' });
    for (let s = 1; s <= 3; s++) expect(await client.terminal(s)).toMatchObject({ t: 'end' });
    const refused = await client.terminal(4);
    expect(refused).toMatchObject({ t: 'err', code: 'rate_limited' });
    expect((refused as { retryMs: number }).retryMs).toBeGreaterThan(1_000);
    client.cut();
    const { session, key } = client.welcome;
    const moved = await stack.join({ player, gateway: 1, resume: { session, key, streams: [] } });
    expect(moved.welcome.resumed).toBe(true);
    moved.send({ t: 'say', s: 5, ...hello });
    expect(await moved.terminal(5)).toMatchObject({ code: 'rate_limited' });
    // Others are not concerned.
    const other = await stack.join();
    other.send({ t: 'say', s: 1, ...hello });
    expect(await other.terminal(1)).toMatchObject({ t: 'end' });
  });

  test('a page of another origin is told that it may not connect; one of ours and no origin at all may', async () => {
    const stranger = new RawClient(stack.local.ws(), { headers: { origin: 'https://evil.example' } });
    expect(await stranger.code()).toBe(4403);
    const ours = new RawClient(stack.local.ws(), { headers: { origin: 'https://beta.example' } });
    await new Promise((resolve) => ours.ws.once('open', resolve));
    ours.send({ t: 'hello', token: await stack.local.token(stack.newPlayer()) });
    await ours.next('welcome');
    ours.cut();
    expect(stack.logs.some((line) => line.includes('"audit":true') && line.includes('notAllowed'))).toBe(
      true,
    );
  });

  test('a fresh token prolongs the session, a bad one is refused, an old one that ends closes it', async () => {
    const player = stack.newPlayer();
    const client = await stack.open();
    const soon = Math.floor(Date.now() / 1_000) + 2;
    client.send({ t: 'hello', token: await stack.sign({ sub: player, exp: soon }) });
    await client.next('welcome');
    client.send({ t: 'refresh', token: await stack.sign({ sub: 'somebody-else' }) });
    expect(await client.next('err')).toMatchObject({ code: 'bad_token' });
    client.send({ t: 'refresh', token: await stack.sign({ sub: player }) });
    const brief = await stack.open();
    brief.send({ t: 'hello', token: await stack.sign({ sub: stack.newPlayer(), exp: soon }) });
    await brief.next('welcome');
    expect(await brief.code()).toBe(4401);
    client.send({ t: 'ping', c: 1 });
    await client.next('pong');
    expect(client.closed).toBeUndefined();
  });
});

describe('handshakes', () => {
  const stack = useStack({
    workers: 0,
    env: { PARLEY_ADDRESS_HANDSHAKES_PER_SECOND: '1', PARLEY_RESUME_GRACE_MS: '30000' },
  });

  test('too many new sessions of one address are refused, those who resume are let in', async () => {
    const players = Array.from({ length: 10 }, () => stack.newPlayer());
    const clients = await Promise.all(players.map((player) => stack.join({ player })));
    const codes: number[] = [];
    for (let i = 0; i < 5; i++) {
      const more = await stack.open();
      more.send({ t: 'hello', token: await stack.local.token(stack.newPlayer()) });
      await more.until(() => more.closed !== undefined || more.received.length > 0);
      if (more.closed) codes.push(more.closed.code);
    }
    expect(codes.length).toBeGreaterThan(0);
    expect(new Set(codes)).toEqual(new Set([4429]));
    for (const client of clients) client.cut();
    const back = await Promise.all(
      clients.map((client, i) => {
        const { session, key } = client.welcome;
        return stack.join({ player: players[i]!, resume: { session, key, streams: [] } });
      }),
    );
    expect(back.every((client) => client.welcome.resumed)).toBe(true);
    // A made-up resume is no way around.
    const fake = await stack.open();
    fake.send({
      t: 'hello',
      token: await stack.local.token(stack.newPlayer()),
      resume: { session: 'A'.repeat(22), key: 'B'.repeat(22), streams: [] },
    });
    await fake.until(() => fake.closed !== undefined || fake.received.length > 0);
    if (fake.closed) expect(fake.closed.code).toBe(4429);
  });
});

describe('the limit of the whole game', () => {
  const stack = useStack({
    gateways: 2,
    workers: 0,
    env: { PARLEY_GAME_SAYS_PER_SECOND: '10', PARLEY_SAY_BURST: '10000' },
  });

  test('holds over all gateways together, and who is refused is told', async () => {
    const clients = await Promise.all(Array.from({ length: 8 }, (_, i) => stack.join({ gateway: i % 2 })));
    const seconds = 5;
    const perClient = 15 * seconds;
    // Each sends about fifteen a second: a hundred and twenty in all, where ten may pass.
    for (let s = 1; s <= perClient; s++) {
      for (const client of clients) client.send({ t: 'say', s, npc: 'mira', text: 'Hello' });
      await new Promise((resolve) => setTimeout(resolve, 1_000 / 15));
    }
    const ends = await Promise.all(
      clients.flatMap((client) => Array.from({ length: perClient }, (_, i) => client.terminal(i + 1))),
    );
    const passed = ends.filter((m) => m.t === 'end').length;
    const refused = ends.filter((m) => m.t === 'err');
    expect(passed + refused.length).toBe(ends.length);
    expect(refused.every((m) => m.t === 'err' && m.code === 'overloaded' && m.retryMs! > 0)).toBe(true);
    expect(passed).toBeGreaterThan(0);
    // Far below what was asked; the first seconds, before the gateways have settled, let more through.
    expect(passed).toBeLessThan(ends.length / 2);
  });
});

test('TLS: a renewed certificate is used for new sockets, open ones stay', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'parley-tls-'));
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
  const certify = (name: string) => {
    const args = [
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:prime256v1',
      '-nodes',
      '-days',
      '1',
    ];
    execFileSync(
      'openssl',
      [...args, '-subj', `/CN=${name}`, '-keyout', `${key}.new`, '-out', `${cert}.new`],
      { stdio: 'ignore' },
    );
    renameSync(`${key}.new`, key);
    renameSync(`${cert}.new`, cert);
  };
  const commonName = (port: number) =>
    new Promise<string>((resolve, reject) => {
      const socket = tlsConnect({ port, host: '127.0.0.1', rejectUnauthorized: false }, () => {
        resolve(String(socket.getPeerCertificate().subject.CN));
        socket.destroy();
      });
      socket.on('error', reject);
    });
  certify('first');
  const stack = new TestStack();
  const env = { PARLEY_TLS_CERT: cert, PARLEY_TLS_KEY: key };
  try {
    await stack.start({ workers: 0, gateways: 0 });
    const gateway = await stack.local.startGateway({ env });
    const port = gateway.listening.port!;
    expect(await commonName(port)).toBe('first');
    const ws = new WebSocket(`wss://127.0.0.1:${port}/v1/ws`, 'parley.v1.json', {
      rejectUnauthorized: false,
    });
    const heard: string[] = [];
    ws.on('message', (data) => heard.push(JSON.parse(data.toString()).t));
    await new Promise((resolve) => ws.once('open', resolve));
    ws.send(JSON.stringify({ t: 'hello', token: await stack.local.token('p1') }));
    while (!heard.includes('welcome')) await new Promise((resolve) => setTimeout(resolve, 20));
    const before = readFileSync(cert, 'utf8');
    certify('second');
    expect(readFileSync(cert, 'utf8')).not.toBe(before);
    while ((await commonName(port)) !== 'second') await new Promise((resolve) => setTimeout(resolve, 50));
    ws.send(JSON.stringify({ t: 'ping' }));
    while (!heard.includes('pong')) await new Promise((resolve) => setTimeout(resolve, 20));
    ws.terminate();
  } finally {
    await stack.stop();
  }
});
