// A part of the local stack that can be started, stopped and started again in the same place: nats-server,
// redis-server, a gateway, a worker. Tells whoever watches when it ended without being asked.

import { Child, type ChildSpec, type Exit } from './child.ts';

export abstract class Service<T = unknown> implements AsyncDisposable {
  readonly name: string;
  /** Called when it ended by itself after it had served. */
  onDeath: ((exit: Exit) => void) | undefined;
  private current: Child | undefined;
  private wanted = false;

  constructor(name: string) {
    this.name = name;
  }

  /** How to run it; asked anew at each start. */
  protected abstract spec(): ChildSpec;

  /** Resolves with what is worth knowing once the child serves. */
  protected abstract ready(child: Child): Promise<T>;

  get pid(): number | undefined {
    return this.current?.running ? this.current.pid : undefined;
  }

  get child(): Child | undefined {
    return this.current;
  }

  /** Whether it was started and not stopped since; it may be dead all the same. */
  get isWanted(): boolean {
    return this.wanted;
  }

  /** Starts it and resolves once it serves. Rejects, with nothing left running, when it does not. */
  async start(): Promise<T> {
    this.wanted = true;
    const child = new Child(this.name, this.spec());
    this.current = child;
    try {
      const result = await this.ready(child);
      void child.exited.then((exit) => {
        if (this.wanted && this.current === child) this.onDeath?.(exit);
      });
      return result;
    } catch (error) {
      await child.stop();
      throw error;
    }
  }

  /** Stops it; resolves when the process is gone. Also ends a start that is under way. */
  async stop(): Promise<void> {
    this.wanted = false;
    await this.current?.stop();
  }

  /** Ends it without a chance to clean up. Resolves when it is gone; nobody is told. */
  async kill(): Promise<void> {
    this.wanted = false;
    this.current?.killGroup();
    await this.current?.exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}
