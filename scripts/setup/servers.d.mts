// Types of servers.mjs, for the programs that call set-up themselves.

/** Notes where programs lie, or null where one cannot be had, beside what was noted before. */
export function writeServers(cache: string, servers: Readonly<Record<string, string | null>>): void;
