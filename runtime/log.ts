// One pino logger a process: JSON lines on standard error, secrets redacted by name wherever they stand in the
// first three levels. Texts of players and prompts are not for logs; nobody passes them in.

import { type Logger, pino } from 'pino';

export type Log = Logger;

const secretFields = [
  'token',
  'key',
  'secret',
  'password',
  'pass',
  'authorization',
  'jwt',
  'natsUrl',
  'redisUrl',
];

/** `name` is the process, such as `gateway gw1`. */
export function createLog(name: string, level: string): Log {
  return pino(
    {
      name,
      level,
      base: { name, pid: process.pid },
      timestamp: pino.stdTimeFunctions.isoTime,
      redact: {
        paths: secretFields.flatMap((f) => [f, `*.${f}`, `*.*.${f}`]),
        censor: '[redacted]',
      },
    },
    // Synchronous: the last words of a process that dies are the ones that matter.
    pino.destination({ fd: 2, sync: true }),
  );
}

/** A URL without its credentials, for logs and messages. */
export function withoutCredentials(url: string): string {
  return url.replace(/\/\/[^@/\s]*@/g, '//');
}
