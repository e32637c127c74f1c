// The page under `/`: what the gateway serves of it. How it plays is tried in a browser, in tests/browser/.

import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { useStack } from './helpers/stack.ts';

const stack = useStack();

const get = (path: string, headers: Record<string, string> = {}) =>
  fetch(stack.local.http() + path, { headers });

describe('the page', () => {
  test.each([
    ['/', 'text/html'],
    ['/app.js', 'text/javascript'],
    ['/client-thread.mjs', 'text/javascript'],
    ['/phaser.js', 'text/javascript'],
    ['/style.css', 'text/css'],
  ])('%s is served, and nothing of another site may be loaded', async (path, type) => {
    const response = await get(path);
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toContain(type);
    const policy = response.headers.get('content-security-policy');
    expect(policy).toContain("default-src 'self'");
    expect(policy).not.toMatch(/unsafe|blob:/);
    // Together these let the page share memory with its thread.
    expect(response.headers.get('cross-origin-opener-policy')).toBe('same-origin');
    expect(response.headers.get('cross-origin-embedder-policy')).toBe('require-corp');
  });

  test.each(['/', '/app.js', '/client-thread.mjs', '/style.css'])('%s names no other site', async (path) => {
    const elsewhere =
      (await (await get(path)).text()).match(/(?:https?:)?\/\/[a-z0-9.-]+\.[a-z]{2,}[^\s'")]*/gi) ?? [];
    expect(elsewhere.filter((url) => url !== 'http://www.w3.org/2000/svg')).toEqual([]);
  });

  test('is a bundle that a browser can read, without the game engine in it', async () => {
    const bundle = await (await get('/app.js')).text();
    expect(bundle).not.toMatch(/\brequire\(["']node:|\bfrom\s*["']node:/);
    const imported = [...bundle.matchAll(/(?:from|import)\s*["']([^"']+)["']/g)].map(([, from]) => from);
    expect(imported).toEqual(['/phaser.js']);
    expect(bundle.length).toBeLessThan(200_000);
  });

  test('is sent compressed to whom takes it, and not sent again to whom has it', async () => {
    const plain = Buffer.from(
      await (await get('/phaser.js', { 'accept-encoding': 'identity' })).arrayBuffer(),
    );
    for (const [accept, encoding, unpack] of [
      ['gzip, deflate, br', 'br', brotliDecompressSync],
      ['gzip', 'gzip', gunzipSync],
      ['br;q=0, gzip', 'gzip', gunzipSync],
    ] as const) {
      // fetch unpacks by itself, so it is asked what it was given.
      const response = await get('/phaser.js', { 'accept-encoding': accept });
      expect(response.headers.get('content-encoding')).toBe(encoding);
      expect(response.headers.get('vary')).toBe('accept-encoding');
      expect(Number(response.headers.get('content-length'))).toBeLessThan(plain.length / 3);
      const body = Buffer.from(await response.arrayBuffer());
      expect(body.equals(plain) || unpack(body).equals(plain)).toBe(true);
    }
    const etag = (await get('/phaser.js')).headers.get('etag')!;
    const again = await get('/phaser.js', { 'if-none-match': etag });
    expect([again.status, (await again.arrayBuffer()).byteLength]).toEqual([304, 0]);
  });

  test('finds its characters, what they can do, and its token', async () => {
    expect(await (await get('/v1/characters')).json()).toContainEqual({
      id: 'mira',
      name: 'Mira',
      topics: expect.objectContaining({ swords: expect.any(String) }),
      wares: expect.arrayContaining([{ name: 'sword', price: 30 }]),
    });
    const { verbs } = (await (await get('/v1/verbs')).json()) as { verbs: Record<string, unknown> };
    expect(verbs.give).toEqual({
      description: expect.any(String),
      authority: 'server',
      ttlMs: expect.any(Number),
      args: expect.objectContaining({ item: expect.objectContaining({ type: 'string' }) }),
    });
    const body = JSON.stringify({ player: 'p1' });
    const response = await fetch(`${stack.local.http()}/dev/token`, { method: 'POST', body });
    expect(await response.json()).toEqual({ token: expect.any(String) });
  });
});
