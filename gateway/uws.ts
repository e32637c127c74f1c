// Loads uWebSockets.js: the newest pinned build whose binary loads on this machine. It takes the binaries
// themselves, never a package's own entry, because one of them would fall back to a slow JavaScript server
// without saying so.

import { createRequire } from 'node:module';
import type * as Uws from 'uws-modern';

export type { HttpRequest, HttpResponse, TemplatedApp, us_listen_socket, WebSocket } from 'uws-modern';

const require = createRequire(import.meta.url);

/** Newest first. Both packages re-publish the binaries of the upstream project. */
const builds = [
  { name: 'uws-modern', folder: '' },
  { name: 'uws-node20', folder: 'binaries/' },
] as const;

export interface UwsBuild {
  readonly uws: typeof Uws;
  readonly build: string;
  readonly version: string;
}

/**
 * Returns the build that runs here. Throws an Error that names what was tried and which Node to install.
 * `load` is the loader of binaries.
 */
export function loadUws(load: (path: string) => unknown = require): UwsBuild {
  const binary = `uws_${process.platform}_${process.arch}_${process.versions.modules}.node`;
  const failures: string[] = [];
  for (const { name, folder } of builds) {
    try {
      const uws = load(`${name}/${folder}${binary}`) as typeof Uws;
      return { uws, build: name, version: packageVersion(name) };
    } catch (error) {
      failures.push(`  - ${name}: ${(error as Error).message.split('\n')[0]}`);
    }
  }
  throw new Error(
    `No build of uWebSockets.js runs with Node ${process.versions.node} on this ${process.platform} ${process.arch} machine:\n` +
      `${failures.join('\n')}\n` +
      'Install Node 20.19 or later of the 20 line (glibc 2.34 or later), or Node 22 or 24 (glibc 2.38 or later: Debian 13, Ubuntu 24.04).',
  );
}

function packageVersion(name: string): string {
  // The packages export no package.json; the file lies beside the binaries.
  const paths = require.resolve.paths(name) ?? [];
  for (const path of paths) {
    try {
      return (require(`${path}/${name}/package.json`) as { version: string }).version;
    } catch {
      // Not in this node_modules folder: the next one up.
    }
  }
  return 'unknown';
}
