// The page under `/`: index.html as it is, app.ts, the thread of its client and style.css bundled for the browser when the
// gateway starts, and the game engine that it draws with as its makers built it. Everything is kept in memory; nothing outside web/ can be
// reached through it.

import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { promisify } from 'node:util';
import { brotliCompress, constants, gzip } from 'node:zlib';
import { build, type Plugin, stop } from 'esbuild';

export interface PageFile {
  readonly type: string;
  readonly body: Buffer;
  /** Changes with the content: a browser that has this one need not fetch it again. */
  readonly etag: string;
  /** The body in an encoding that the client takes (an `accept-encoding`), made when it is first asked for. */
  encoded(accept: string): Promise<{ body: Buffer; encoding?: 'br' | 'gzip' }>;
}

const web = new URL('../web/', import.meta.url);
const enginePath = '/phaser.js';
/** Beside the script that starts it, as client/thread/start-thread.ts names it. */
const threadPath = '/client-thread.mjs';
/** Below it, compressing costs more than it saves. */
const smallBytes = 1_024;

/** The page's files by path. Rejects when the bundle does not build, with the compiler's message. */
export async function buildPage(): Promise<ReadonlyMap<string, PageFile>> {
  const { outputFiles } = await build({
    entryPoints: {
      app: new URL('app.ts', web).pathname,
      style: new URL('style.css', web).pathname,
      'client-thread': new URL('../client/thread/serve.ts', web).pathname,
    },
    outdir: 'page',
    bundle: true,
    format: 'esm',
    target: 'es2022',
    platform: 'browser',
    minify: true,
    write: false,
    logLevel: 'silent',
    plugins: [engineApart],
    // Only looked for where there is no Worker and no WebSocket.
    external: ['node:worker_threads', 'ws'],
  });
  // The compiler is a process of its own; it has nothing more to do.
  await stop();
  const bundled = (name: string) =>
    Buffer.from(outputFiles.find(({ path }) => path.endsWith(name))!.contents);
  const html = await readFile(new URL('index.html', web));
  const script = 'text/javascript; charset=utf-8';
  const engine = createRequire(import.meta.url).resolve('phaser/dist/phaser.esm.min.js');
  return new Map([
    ['/', pageFile('text/html; charset=utf-8', html)],
    ['/style.css', pageFile('text/css; charset=utf-8', bundled('/style.css'))],
    ['/app.js', pageFile(script, bundled('/app.js'))],
    [threadPath, pageFile(script, bundled('/client-thread.js'))],
    [enginePath, pageFile(script, await readFile(engine))],
  ]);
}

/** Leaves the game engine out of the bundle: its own build is smaller, and bundling it anew takes a second at each start. */
const engineApart: Plugin = {
  name: 'engine-apart',
  setup({ onResolve }) {
    onResolve({ filter: /^phaser$/ }, () => ({ path: enginePath, external: true }));
  },
};

const encodings = {
  br: (body: Buffer) =>
    promisify(brotliCompress)(body, {
      params: {
        [constants.BROTLI_PARAM_QUALITY]: 7,
        [constants.BROTLI_PARAM_SIZE_HINT]: body.length,
      },
    }),
  gzip: (body: Buffer) => promisify(gzip)(body, { level: 7 }),
} as const;

function pageFile(type: string, body: Buffer): PageFile {
  const made = new Map<'br' | 'gzip', Promise<Buffer>>();
  const etag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`;
  return {
    type,
    body,
    etag,
    async encoded(accept) {
      const encoding = body.length < smallBytes ? undefined : preferred(accept);
      if (!encoding) return { body };
      let compressed = made.get(encoding);
      if (!compressed) {
        compressed = encodings[encoding](body);
        made.set(encoding, compressed);
      }
      return { body: await compressed, encoding };
    },
  };
}

/** The smaller encoding of those that the client takes. */
function preferred(accept: string): 'br' | 'gzip' | undefined {
  const taken = new Set(
    accept
      .toLowerCase()
      .split(',')
      .filter((part) => !/;\s*q=0(\.0*)?\s*$/.test(part))
      .map((part) => part.split(';')[0]!.trim()),
  );
  return taken.has('br') ? 'br' : taken.has('gzip') ? 'gzip' : undefined;
}
