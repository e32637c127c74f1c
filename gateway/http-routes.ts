// HTTP beside the sockets: health, metrics, the characters, the page, and tokens in development. Every answer
// is small and from memory.

import { SignJWT } from 'jose';
import type { Registry } from 'prom-client';
import type { Character } from '../npcs/characters.ts';
import type { Verb } from '../npcs/verbs.ts';
import type { Config } from '../runtime/config.ts';
import type { PageFile } from './page.ts';
import type { HttpResponse, TemplatedApp } from './uws.ts';

export interface HttpParts {
  readonly registry: Registry;
  readonly characters: () => ReadonlyMap<string, Character>;
  /** What characters can do. */
  readonly verbs: () => ReadonlyMap<string, Verb>;
  readonly page: ReadonlyMap<string, PageFile>;
  /** What keeps this gateway from serving; empty when it serves. */
  readonly notReady: () => string[];
  /** What is impaired though it serves. */
  readonly degraded: () => string[];
  readonly config: Pick<Config, 'devTokens' | 'jwtSecret' | 'jwtAudience' | 'jwtIssuer'>;
}

const maxBodyBytes = 1_024;
const devTokenHours = 12;

/** Adds the routes to the app. */
export function addHttpRoutes(app: TemplatedApp, parts: HttpParts): void {
  app.get('/healthz', (res) => json(res, 200, { status: 'ok' }));

  app.get('/readyz', (res) => {
    const notReady = parts.notReady();
    const degraded = parts.degraded();
    json(res, notReady.length === 0 ? 200 : 503, { ready: notReady.length === 0, notReady, degraded });
  });

  app.get('/metrics', (res) => {
    const open = openUntilAborted(res);
    parts.registry.metrics().then(
      (text) => open(() => answer(res, 200, parts.registry.contentType, text)),
      () => open(() => json(res, 500, { error: 'metrics failed' })),
    );
  });

  app.get('/v1/characters', (res) => {
    const list = [...parts.characters().values()].map(({ id, name, topics, wares }) => ({
      id,
      name,
      topics,
      wares: wares.map(({ name, price }) => ({ name, price })),
    }));
    json(res, 200, list);
  });

  app.get('/v1/verbs', (res) => {
    const verbs = [...parts.verbs()].map(([name, { description, authority, ttlMs, args }]) => [
      name,
      { description, authority, ttlMs, args },
    ]);
    json(res, 200, { verbs: Object.fromEntries(verbs) });
  });

  for (const [path, file] of parts.page) {
    app.get(path, (res, req) => {
      const known = req.getHeader('if-none-match') === file.etag;
      const accept = req.getHeader('accept-encoding');
      const open = openUntilAborted(res);
      const headers = {
        'content-security-policy':
          "default-src 'self'; img-src 'self' data:; connect-src 'self' ws: wss:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        // Apart from other sites, the page may share memory with its threads (client/thread/).
        'cross-origin-opener-policy': 'same-origin',
        'cross-origin-embedder-policy': 'require-corp',
        'x-content-type-options': 'nosniff',
        'referrer-policy': 'no-referrer',
        'cache-control': 'no-cache',
        vary: 'accept-encoding',
        etag: file.etag,
      };
      if (known) return open(() => answer(res, 304, file.type, '', headers));
      file.encoded(accept).then(
        ({ body, encoding }) =>
          open(() =>
            answer(
              res,
              200,
              file.type,
              body,
              encoding ? { ...headers, 'content-encoding': encoding } : headers,
            ),
          ),
        () => open(() => json(res, 500, { error: 'the page failed' })),
      );
    });
  }

  if (parts.config.devTokens) {
    app.post('/dev/token', (res, req) => {
      const site = req.getHeader('sec-fetch-site');
      const open = openUntilAborted(res);
      // A page of another site must not mint tokens through a developer's browser.
      if (site !== '' && site !== 'same-origin')
        return open(() => json(res, 403, { error: 'not from another site' }));
      readBody(res, (body) => {
        devToken(body, parts.config).then(
          (token) => open(() => json(res, 200, { token })),
          (error: Error) => open(() => json(res, 400, { error: error.message })),
        );
      });
    });
  }

  app.any('/*', (res) => json(res, 404, { error: 'not found' }));
}

/** Makes a token for the player that the body names. Rejects with what is wrong about the body. */
async function devToken(body: Buffer | undefined, config: HttpParts['config']): Promise<string> {
  let player: unknown;
  try {
    player = (JSON.parse(body?.toString() ?? '') as { player?: unknown }).player;
  } catch {
    player = undefined;
  }
  if (typeof player !== 'string' || player === '' || player.length > 128) {
    throw new Error('send {"player": "…"}, at most 128 characters');
  }
  const jwt = new SignJWT({})
    .setProtectedHeader({ alg: 'HS256' })
    .setSubject(player)
    .setAudience(config.jwtAudience)
    .setIssuedAt()
    .setExpirationTime(`${devTokenHours}h`);
  if (config.jwtIssuer !== '') jwt.setIssuer(config.jwtIssuer);
  return jwt.sign(new TextEncoder().encode(config.jwtSecret));
}

/** uWS forbids touching a response after the client has gone: the returned function runs only until then. */
function openUntilAborted(res: HttpResponse): (write: () => void) => void {
  let aborted = false;
  res.onAborted(() => {
    aborted = true;
  });
  return (write) => {
    if (!aborted) res.cork(write);
  };
}

/** The whole body, or undefined when it is too long. */
function readBody(res: HttpResponse, done: (body: Buffer | undefined) => void): void {
  const chunks: Buffer[] = [];
  let bytes = 0;
  res.onData((chunk, isLast) => {
    bytes += chunk.byteLength;
    // The chunk is only valid in this call.
    if (bytes <= maxBodyBytes) chunks.push(Buffer.from(chunk.slice(0)));
    if (isLast) done(bytes <= maxBodyBytes ? Buffer.concat(chunks) : undefined);
  });
}

const statusTexts: Record<number, string> = {
  200: '200 OK',
  304: '304 Not Modified',
  400: '400 Bad Request',
  403: '403 Forbidden',
  404: '404 Not Found',
  500: '500 Internal Server Error',
  503: '503 Service Unavailable',
};

function json(res: HttpResponse, status: number, body: unknown): void {
  answer(res, status, 'application/json; charset=utf-8', JSON.stringify(body), {
    'cache-control': 'no-store',
  });
}

function answer(
  res: HttpResponse,
  status: number,
  type: string,
  body: string | Buffer,
  headers: Record<string, string> = {},
): void {
  res.writeStatus(statusTexts[status]!).writeHeader('content-type', type);
  for (const [name, value] of Object.entries(headers)) res.writeHeader(name, value);
  res.end(body);
}
