// `npm run pack-client`: the client as a package of its own, dist/parley-client-VERSION.tgz, for `npm install FILE` in a
// game. JavaScript for browsers and Node with its declarations; it needs nothing but a WebSocket. Publishes nothing.

import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { bundleClient } from './client-bundle.ts';
import { clientTypes } from './client-types.ts';
import { repository } from './stack/servers.ts';

/** What a game may import: names of the package's entries, and the files that they are made of. */
const entries = {
  index: 'client/index.ts',
  controller: 'client/controller/index.ts',
  thread: 'client/thread/index.ts',
};
/** What runs in the thread, and its name beside the entry that starts it: that of the file that does so in the sources. */
const served = { 'client-thread': 'client/thread/serve.ts' };
const threadFile = 'client-thread.mjs';

/** Writes the package into `folder`. Rejects when it cannot be built. Resolves with its path. */
export async function packClient(folder: string): Promise<string> {
  const { version, license, description } = JSON.parse(
    readFileSync(join(repository, 'package.json'), 'utf8'),
  );
  const scratch = mkdtempSync(join(tmpdir(), 'parley-client-'));
  try {
    const write = (path: string, contents: string | Uint8Array) => {
      mkdirSync(dirname(join(scratch, path)), { recursive: true });
      writeFileSync(join(scratch, path), contents);
    };
    for (const [path, contents] of await bundleClient({ ...entries, ...served }))
      write(path === 'client-thread.js' ? threadFile : path, contents);
    for (const [path, text] of clientTypes(Object.values(entries))) write(join('types', path), text);
    const exported = (name: keyof typeof entries) => ({
      types: `./types/${entries[name].replace(/\.ts$/, '.d.ts')}`,
      default: `./${name}.js`,
    });
    const manifest = {
      name: 'parley-client',
      version,
      description: `${description}: the client for games`,
      license,
      type: 'module',
      sideEffects: false,
      exports: {
        '.': exported('index'),
        './controller': exported('controller'),
        './thread': exported('thread'),
      },
      // Only for Node before 22, which has no WebSocket of its own.
      peerDependencies: { ws: '^8.0.0' },
      peerDependenciesMeta: { ws: { optional: true } },
    };
    write('package.json', `${JSON.stringify(manifest, null, 2)}\n`);
    for (const page of ['README.md', 'controller/README.md']) {
      const from = join(repository, 'client', page);
      if (!existsSync(from)) continue;
      // In the repository the protocol lies one folder above.
      write(
        page,
        readFileSync(from, 'utf8')
          .replaceAll('](../PROTOCOL.md', '](PROTOCOL.md')
          .replaceAll('](../../PROTOCOL.md', '](../PROTOCOL.md'),
      );
    }
    for (const page of ['PROTOCOL.md', 'LICENSE']) copyFileSync(join(repository, page), join(scratch, page));

    mkdirSync(folder, { recursive: true });
    const { status, stderr } = spawnSync('npm', ['pack', scratch, '--pack-destination', folder, '--silent'], {
      encoding: 'utf8',
    });
    const file = join(folder, `parley-client-${version}.tgz`);
    if (status !== 0 || !existsSync(file)) throw new Error(`npm pack: ${stderr}`);
    return file;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

if (process.argv[1] === import.meta.filename) {
  const { out } = parseArgs({ options: { out: { type: 'string', default: 'dist' } } }).values;
  process.stdout.write(`${await packClient(resolve(out))}\n`);
}
