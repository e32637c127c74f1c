// Tokens of a real identity provider: asymmetric keys from a file, key sets by URL, and the tricks that mix them up.

import { mkdtempSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type CryptoKey, exportJWK, exportSPKI, generateKeyPair, SignJWT } from 'jose';
import { afterAll, describe, expect, test } from 'vitest';
import { createAuthenticate } from '../gateway/authenticate.ts';

const folder = mkdtempSync(join(tmpdir(), 'parley-keys-'));
const none = { jwtSecret: '', jwtPublicKey: '', jwksUrl: '', jwtAudience: 'parley', jwtIssuer: '' };

function sign(
  key: CryptoKey | Uint8Array,
  alg: string,
  claims: Record<string, unknown> = {},
  kid?: string,
): Promise<string> {
  return new SignJWT({ sub: 'p1', aud: 'parley', ...claims })
    .setProtectedHeader({ alg, kid })
    .setExpirationTime('1h')
    .sign(key);
}

describe.each(['RS256', 'ES256', 'EdDSA'])('a public key for %s', (alg) => {
  test('lets its own tokens in and no others', async () => {
    const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
    const stranger = await generateKeyPair(alg);
    const pem = await exportSPKI(publicKey);
    const file = join(folder, `${alg}.pem`);
    writeFileSync(file, pem);
    const authenticate = await createAuthenticate({ ...none, jwtPublicKey: file });
    expect(await authenticate(await sign(privateKey, alg))).toMatchObject({ id: 'p1' });
    await expect(authenticate(await sign(stranger.privateKey, alg))).rejects.toMatchObject({ why: 'forged' });
    // The public key is public: it must not work as a shared secret.
    await expect(authenticate(await sign(new TextEncoder().encode(pem), 'HS256'))).rejects.toMatchObject({
      why: 'forged',
    });
  });
});

test('the issuer is checked when one is configured', async () => {
  const secret = 'a secret that is long enough for HS256';
  const authenticate = await createAuthenticate({
    ...none,
    jwtSecret: secret,
    jwtIssuer: 'https://id.example',
  });
  const key = new TextEncoder().encode(secret);
  expect(await authenticate(await sign(key, 'HS256', { iss: 'https://id.example' }))).toMatchObject({
    id: 'p1',
  });
  await expect(
    authenticate(await sign(key, 'HS256', { iss: 'https://other.example' })),
  ).rejects.toMatchObject({ why: 'malformed' });
  await expect(authenticate(await sign(key, 'HS256'))).rejects.toMatchObject({ why: 'malformed' });
});

test('no key, or a file that holds none, is a clear error at the start', async () => {
  await expect(createAuthenticate(none)).rejects.toThrow('PARLEY_JWT_SECRET');
  const file = join(folder, 'empty.pem');
  writeFileSync(file, 'nothing');
  await expect(createAuthenticate({ ...none, jwtPublicKey: file })).rejects.toThrow(file);
});

describe('a key set by URL', () => {
  const keys: object[] = [];
  let broken = false;
  const server: Server = createServer((_request, response) => {
    if (broken) return void response.writeHead(500).end();
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ keys }));
  });
  afterAll(() => void server.close());

  test('serves keys as they are rotated in; while it cannot be had, that is our fault', async () => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const jwksUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/keys`;
    const pair = await generateKeyPair('ES256', { extractable: true });
    const authenticate = await createAuthenticate({ ...none, jwksUrl });
    broken = true;
    await expect(authenticate(await sign(pair.privateKey, 'ES256', {}, 'k1'))).rejects.toMatchObject({
      why: 'unavailable',
    });
    broken = false;
    keys.push({ ...(await exportJWK(pair.publicKey)), kid: 'k1', alg: 'ES256', use: 'sig' });
    expect(await authenticate(await sign(pair.privateKey, 'ES256', {}, 'k1'))).toMatchObject({ id: 'p1' });
    await expect(authenticate(await sign(pair.privateKey, 'ES256', {}, 'k2'))).rejects.toMatchObject({
      why: 'forged',
    });
  });
});
