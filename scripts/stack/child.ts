// One child process of the local stack: its lines, its readiness, its end. A small shell beside each child waits
// for our end of a pipe to close and then ends it, so that even a `kill -9` of the parent leaves nothing behind.

import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

export interface ChildSpec {
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  /** How long SIGTERM may take before SIGKILL follows. */
  readonly stopMs?: number;
  /** Called with each line that the child prints, on either stream. */
  readonly onLine?: (line: string, stream: 'stdout' | 'stderr') => void;
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

// The watcher reads our pipe: its end means that we are gone. The child takes the place of the shell (exec), so its pid
// is the one we know, and that of the group: at the end the group is killed, with the watcher and whatever processes the
// child has started and left behind.
const watched = `
  exec 3<&0
  (
    read -r _ <&3 || {
      kill -TERM $$
      i=0
      while [ $i -lt 30 ] && kill -0 $$; do sleep 1; i=$((i + 1)); done
      kill -KILL -$$
    }
  ) >/dev/null 2>&1 &
  exec "$@" </dev/null 3<&-
`;

const keptLines = 200;

export class Child {
  readonly name: string;
  readonly pid: number;
  /** Resolves when the process has ended and its output has been read. Never rejects. */
  readonly exited: Promise<Exit>;
  private readonly process: ChildProcess;
  private readonly stopMs: number;
  private readonly listeners = new Set<(line: string) => void>();
  private readonly lines: string[] = [];
  private ended = false;

  constructor(name: string, spec: ChildSpec) {
    this.name = name;
    this.stopMs = spec.stopMs ?? 5_000;
    this.process = spawn('sh', ['-c', watched, 'sh', spec.command, ...spec.args], {
      cwd: spec.cwd,
      env: spec.env ?? process.env,
      stdio: ['pipe', 'pipe', 'pipe'],
      detached: true, // a group of its own: Ctrl-C in the terminal reaches us alone, and we stop things in order
    });
    this.pid = this.process.pid ?? 0;
    for (const stream of ['stdout', 'stderr'] as const) {
      createInterface({ input: this.process[stream]! }).on('line', (line) => {
        this.lines.push(line);
        if (this.lines.length > keptLines) this.lines.shift();
        spec.onLine?.(line, stream);
        for (const listener of this.listeners) listener(line);
      });
    }
    this.process.stdin!.on('error', () => {}); // the watcher may be gone before it is told
    this.exited = new Promise((resolve) => {
      this.process.once('error', (error) => {
        this.lines.push(error.message);
        this.ended = true;
        resolve({ code: 127, signal: null });
      });
      this.process.once('exit', () => {
        this.ended = true;
        this.killLeftovers();
      });
      this.process.once('close', (code, signal) => resolve({ code, signal }));
    });
  }

  get running(): boolean {
    return !this.ended;
  }

  /** The last lines that it printed. */
  output(): string {
    return this.lines.join('\n');
  }

  /**
   * Resolves with what `match` makes of the first line, of those so far and those to come, for which it returns
   * something. Rejects, with the child's last lines, when the child ends before or `timeoutMs` has passed; the
   * child is left as it is.
   */
  async until<T>(match: (line: string) => T | undefined, timeoutMs: number): Promise<T> {
    for (const line of this.lines) {
      const found = match(line);
      if (found !== undefined) return found;
    }
    return this.next(match, timeoutMs);
  }

  /** As `until`, but looks only at lines to come. */
  async next<T>(match: (line: string) => T | undefined, timeoutMs: number): Promise<T> {
    let done = () => {};
    try {
      return await new Promise<T>((resolve, reject) => {
        const look = (line: string) => {
          const found = match(line);
          if (found !== undefined) resolve(found);
        };
        const late = () => reject(this.failure(`did not answer within ${timeoutMs / 1000} s`));
        const timer = setTimeout(late, timeoutMs);
        this.listeners.add(look);
        done = () => {
          clearTimeout(timer);
          this.listeners.delete(look);
        };
        void this.exited.then((exit) => reject(this.failure(`ended (${describeExit(exit)})`)));
      });
    } finally {
      done();
    }
  }

  /** Asks it to end, and after its time ends it and whatever it started. Resolves when it is gone. */
  async stop(): Promise<void> {
    if (!this.running) return void (await this.exited);
    this.kill('SIGTERM');
    const timer = setTimeout(() => this.killGroup(), this.stopMs);
    await this.exited;
    clearTimeout(timer);
  }

  /** Sends a signal, as an operator or an accident would. */
  kill(signal: NodeJS.Signals): void {
    if (this.running) this.process.kill(signal);
  }

  /** Ends it and whatever it started, at once. */
  killGroup(): void {
    if (this.running) this.killLeftovers();
  }

  private killLeftovers(): void {
    if (this.pid === 0) return;
    try {
      process.kill(-this.pid, 'SIGKILL');
    } catch {
      // It ended in this moment.
    }
  }

  private failure(what: string): Error {
    const last = this.lines.slice(-20).map((line) => `    ${line}`);
    return new Error([`${this.name} ${what}`, ...last].join('\n'));
  }
}

/** "exit code 1" or "SIGKILL". */
export function describeExit({ code, signal }: Exit): string {
  return signal ?? `exit code ${code}`;
}
