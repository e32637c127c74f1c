// Start in order, stop in reverse. A process adds its parts as it builds them; on SIGTERM, SIGINT or a failed start
// they stop from the last to the first.

import type { Log } from './log.ts';

interface Part {
  readonly name: string;
  readonly stop: () => Promise<void> | void;
}

export class Lifecycle {
  private readonly parts: Part[] = [];
  private readonly log: Log;
  private stopping: Promise<void> | undefined;

  constructor(log: Log) {
    this.log = log;
  }

  /** Remembers how to stop a part that has just been started. Returns the part. */
  add<T>(name: string, part: T, stop: (part: T) => Promise<void> | void): T {
    this.parts.push({ name, stop: () => stop(part) });
    return part;
  }

  /** Stops every part, last first. A part that fails to stop is logged and does not keep the others from it. */
  stop(why: string): Promise<void> {
    this.stopping ??= this.stopAll(why);
    return this.stopping;
  }

  /** Stops the parts and exits on SIGTERM or SIGINT. */
  exitOnSignals(): void {
    const exit = (why: string) => {
      void this.stop(why).then(() => process.exit(process.exitCode ?? 0));
    };
    process.on('SIGTERM', () => exit('SIGTERM'));
    process.on('SIGINT', () => exit('SIGINT'));
  }

  private async stopAll(why: string): Promise<void> {
    this.log.info({ why }, 'stopping');
    for (const part of this.parts.reverse()) {
      try {
        await part.stop();
        this.log.debug({ part: part.name }, 'stopped');
      } catch (error) {
        this.log.error({ part: part.name, err: error }, 'could not be stopped cleanly');
      }
    }
    this.log.info('stopped');
  }
}

/**
 * Runs a process: `start` builds its parts on the lifecycle. If it throws, what was started is stopped, the cause
 * is logged in one line and the exit code is 1.
 */
export async function run(log: Log, start: (life: Lifecycle) => Promise<void>): Promise<void> {
  const life = new Lifecycle(log);
  life.exitOnSignals();
  process.on('unhandledRejection', (error) => {
    log.fatal({ err: error }, 'unhandled rejection');
    process.exitCode = 1;
    void life.stop('unhandled rejection').then(() => process.exit(1));
  });
  try {
    await start(life);
  } catch (error) {
    log.fatal({ err: error }, 'could not start');
    await life.stop('could not start');
    process.exit(1);
  }
}
