// The client as a game ships it: bundled and minified for browsers. `npm run check` looks at its size, `npm run
// pack-client` puts it into a package. Writes nothing.

import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { type BuildOptions, build } from 'esbuild';
import { repository } from './stack/servers.ts';

/** With gzip, encoder included, the controller not: a game that only talks should not pay for it. */
export const maxGzipBytes = 15_360;

const options = {
  bundle: true,
  format: 'esm',
  // What every browser of the last three years runs, and Node 20.
  target: 'es2022',
  platform: 'neutral',
  mainFields: ['module', 'main'],
  minify: true,
  write: false,
  absWorkingDir: repository,
  logLevel: 'silent',
} as const satisfies BuildOptions;

/** Size of the SDK alone. Rejects when it does not build. */
export async function clientSize(): Promise<{ bytes: number; gzipBytes: number }> {
  const { outputFiles } = await build({ ...options, entryPoints: ['client/index.ts'] });
  const { contents } = outputFiles[0]!;
  return { bytes: contents.length, gzipBytes: gzipSync(contents, { level: 9 }).length };
}

/** The package's JavaScript by file name: its entries, and what they share. */
export async function bundleClient(
  entries: Readonly<Record<string, string>>,
): Promise<Map<string, Uint8Array>> {
  const outdir = join(repository, 'dist');
  const { outputFiles } = await build({
    ...options,
    entryPoints: { ...entries },
    outdir,
    splitting: true,
    // Looked for at run time: where there is no Worker, and no WebSocket.
    external: ['node:worker_threads', 'ws'],
    chunkNames: 'shared-[hash]',
    // A game's own bundler makes it small; whoever debugs the game reads names.
    minify: false,
  });
  return new Map(outputFiles.map(({ path, contents }) => [path.slice(outdir.length + 1), contents]));
}
