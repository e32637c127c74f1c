// The page under `/`: index.html and style.css as they are, app.ts bundled for the browser when the gateway starts.
// Everything is kept in memory; nothing outside web/ can be reached through it.

import { readFile } from 'node:fs/promises';
import { build, stop } from 'esbuild';

export interface PageFile {
  readonly type: string;
  readonly body: Buffer;
}

const web = new URL('../web/', import.meta.url);

/** The page's files by path. Rejects when the bundle does not build, with the compiler's message. */
export async function buildPage(): Promise<ReadonlyMap<string, PageFile>> {
  const { outputFiles } = await build({
    entryPoints: [new URL('app.ts', web).pathname],
    bundle: true,
    format: 'esm',
    target: 'es2022',
    platform: 'browser',
    minify: true,
    write: false,
    logLevel: 'silent',
  });
  // The compiler is a process of its own; it has nothing more to do.
  await stop();
  const file = async (name: string, type: string): Promise<PageFile> => ({
    type,
    body: await readFile(new URL(name, web)),
  });
  return new Map([
    ['/', await file('index.html', 'text/html; charset=utf-8')],
    ['/style.css', await file('style.css', 'text/css; charset=utf-8')],
    ['/app.js', { type: 'text/javascript; charset=utf-8', body: Buffer.from(outputFiles[0]!.contents) }],
  ]);
}
