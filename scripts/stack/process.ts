// A Parley process (gateway, worker) run from its entry file, as a deployment runs it. It says where it listens in
// one line of JSON on its standard output; everything else that it prints is its log.

import type { Child, ChildSpec } from './child.ts';
import { repository } from './servers.ts';
import { Service } from './service.ts';

/** The line by which a process says that it serves: a gateway names its port, a worker its metrics port. */
export interface Listening {
  readonly event: 'listening';
  readonly id: string;
  readonly port?: number;
  readonly metricsPort?: number;
}

export interface ProcessOptions {
  readonly name: string;
  /** The entry file, from the root of the repository. */
  readonly entry: string;
  /** The whole environment of the process; asked anew at each start. */
  readonly env: () => NodeJS.ProcessEnv;
  /** Called with each line of its log. */
  readonly onLog?: (line: string) => void;
  /** How long it may take to serve (a model has to be loaded) and to stop (streams may finish). */
  readonly readyMs?: number;
  readonly stopMs?: number;
}

export class NodeProcess extends Service<Listening> {
  private readonly options: ProcessOptions;
  private last: Listening | undefined;

  constructor(options: ProcessOptions) {
    super(options.name);
    this.options = options;
  }

  /** What it said when it last began to serve. */
  get listening(): Listening {
    if (!this.last) throw new Error(`${this.name} does not serve yet`);
    return this.last;
  }

  protected override spec(): ChildSpec {
    const { entry, onLog, stopMs = 20_000 } = this.options;
    const env = this.options.env();
    // Coverage of child processes, asked for by scripts/test.ts.
    const coverage = process.env.CHILD_COVERAGE_DIR;
    if (coverage) env.NODE_V8_COVERAGE = coverage;
    return {
      command: process.execPath,
      args: ['--import', 'tsx', entry],
      cwd: repository,
      env,
      stopMs,
      onLine: (line) => {
        if (!listeningLine(line)) onLog?.(line);
      },
    };
  }

  protected override async ready(child: Child): Promise<Listening> {
    this.last = await child.until(listeningLine, this.options.readyMs ?? 180_000);
    return this.last;
  }
}

function listeningLine(line: string): Listening | undefined {
  if (!line.startsWith('{"event":"listening"')) return undefined;
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

/** Starts a process from its entry file; resolves when it says that it listens. */
export async function startProcess(
  entry: string,
  env: NodeJS.ProcessEnv,
  options: Omit<ProcessOptions, 'entry' | 'env'>,
): Promise<NodeProcess> {
  const started = new NodeProcess({ ...options, entry, env: () => ({ ...process.env, ...env }) });
  await started.start();
  return started;
}
