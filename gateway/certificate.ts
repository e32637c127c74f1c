// Watches the certificate's files: a renewed one is taken without a restart. Tools write the two files one after the
// other, so a pair that does not fit yet is tried again when the next file changes.

import { watch } from 'node:fs';
import { basename, dirname } from 'node:path';
import type { Config } from '../runtime/config.ts';
import type { Log } from '../runtime/log.ts';

const settleMs = 200;

/** Calls `renew` after either file changed; when it throws, the old certificate stays. Returns how to stop. */
export function watchCertificate(
  { tlsCert, tlsKey }: Pick<Config, 'tlsCert' | 'tlsKey'>,
  renew: () => Promise<void>,
  log: Log,
): () => void {
  let timer: NodeJS.Timeout | undefined;
  const changed = () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      renew().catch((error) =>
        log.error({ err: error }, 'the new certificate is unusable; the old one stays'),
      );
    }, settleMs);
  };
  // The folders are watched, not the files: renewal often replaces a file or a link to it.
  const names = new Map<string, Set<string>>();
  for (const file of [tlsCert, tlsKey]) {
    const folder = dirname(file);
    names.set(folder, (names.get(folder) ?? new Set()).add(basename(file)));
  }
  const watchers = [...names].map(([folder, files]) =>
    watch(folder, (_event, name) => {
      // Secrets mounted by Kubernetes change by a link whose name is neither file's.
      if (name === null || files.has(name) || name.startsWith('..')) changed();
    }),
  );
  return () => {
    clearTimeout(timer);
    for (const watcher of watchers) watcher.close();
  };
}
