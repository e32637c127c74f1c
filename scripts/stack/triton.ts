// A Triton server of our own on 127.0.0.1, with the model repository of tiers/gold/repository: the llama.cpp of the
// embedded engine under TensorRT-LLM's tensor names. For a machine without a GPU.

import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../../runtime/config.ts';
import { Adapters } from '../../tiers/adapters.ts';
import type { TritonOptions as EngineOptions } from '../../tiers/gold/triton-engine.ts';
import { defaultModelFile } from '../../tiers/llama/load-model.ts';
import type { Child, ChildSpec } from './child.ts';
import { freePort } from './ports.ts';
import { repository, tritonFolder } from './servers.ts';
import { Service } from './service.ts';

export interface TritonOptions {
  /** What set-up made (scripts/setup/triton.mjs). */
  readonly folder: string;
  /** PARLEY_HOME, where the default model lies. */
  readonly home: string;
  /** A .gguf file; empty for the default model. */
  readonly model?: string;
  /** A LoRA adapter for it, as .gguf; empty for none. */
  readonly adapter?: string;
  /** Streams that decode at once. */
  readonly slots: number;
  readonly contextTokens: number;
  readonly threads: number;
  /** Another model repository than tiers/gold/repository, and folders of Python packages that its models need. */
  readonly models?: string;
  readonly packages?: readonly string[];
  readonly onLog?: (line: string) => void;
}

/** The Triton of a local stack, sized by its settings. Throws, with what to type, when set-up has not fetched it. */
export async function localTriton(config: Config, onLog?: (line: string) => void): Promise<TritonServer> {
  const found = tritonFolder(config.home);
  if ('missing' in found) throw new Error(`there is no Triton on this machine: ${found.missing}`);
  const model = config.model || join(config.home, 'cache', 'models', defaultModelFile);
  const adapters = new Adapters({ home: config.home, npcs: config.npcs, setting: config.adapter, model });
  const adapter = adapters.follows
    ? ((await adapters.champion()) ?? (await adapters.shipped()))
    : await adapters.named();
  return new TritonServer({
    folder: found.folder,
    home: config.home,
    model,
    adapter: adapter?.file ?? '',
    slots: config.concurrency,
    contextTokens: config.contextTokens,
    threads: config.threads,
    // Triton and llama.cpp tell much that only helps when something is wrong; that there is no GPU is known.
    onLog: (line) => {
      if (/^[EF]\d{4} |error|Signal/i.test(line) && !line.includes('CudaDriverHelper')) onLog?.(line);
    },
  });
}

/**
 * Options of an engine on such servers, for tests and benches. A server without metrics will do. The times are generous:
 * whoever shares this machine makes it slow, and slow is no fault.
 */
export function engineOptions(
  servers: readonly { readonly address: string; readonly metricsUrl?: string }[],
  room: Pick<EngineOptions, 'contextTokens' | 'concurrency'>,
): EngineOptions {
  return {
    servers: servers.map(({ address }) => address),
    metricsUrls: servers.map(({ metricsUrl }) => metricsUrl ?? ''),
    model: 'tensorrt_llm',
    tokenize: 'tokenize',
    template: '',
    ...room,
    firstTokenMs: 120_000,
    silentMs: 60_000,
    readyMs: 120_000,
    adapters: '',
  };
}

const readyMs = 120_000;
const portTries = 5;
const sharedMemory = '/dev/shm';
const regionPrefix = 'parley-triton';

/**
 * Deletes the shared memory that a killed Triton leaves behind, a megabyte for each model: that of `own`, which has ended,
 * and that of Tritons whose stack is gone.
 */
function sweep(own?: string): void {
  for (const name of readdirSync(sharedMemory)) {
    const owner = Number(new RegExp(`^${regionPrefix}-(\\d+)-`).exec(name)?.[1]);
    if (!owner || (isAlive(owner) && !(own && name.startsWith(own)))) continue;
    rmSync(join(sharedMemory, name), { force: true });
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

export class TritonServer extends Service<void> {
  private readonly options: TritonOptions;
  private ports: { grpc: number; http: number; metrics: number; model: number } | undefined;
  private hasServed = false;

  constructor(options: TritonOptions) {
    super('tritonserver');
    this.options = options;
  }

  /** host:port of its gRPC service; it stays the same over restarts. */
  get address(): string {
    return `127.0.0.1:${this.bound.grpc}`;
  }

  get metricsUrl(): string {
    return `http://127.0.0.1:${this.bound.metrics}/metrics`;
  }

  get httpUrl(): string {
    return `http://127.0.0.1:${this.bound.http}`;
  }

  /** The HTTP server of the llama.cpp in its model `tensorrt_llm`: the same model without Triton around it. */
  get modelUrl(): string {
    return `http://127.0.0.1:${this.bound.model}`;
  }

  /** Starts it. Free ports that somebody else took in between are replaced by others. */
  override async start(): Promise<void> {
    sweep(this.ports && this.regions);
    for (let tries = 1; ; tries++) {
      if (!this.hasServed) {
        const [grpc, http, metrics, model] = await Promise.all([
          freePort(),
          freePort(),
          freePort(),
          freePort(),
        ]);
        this.ports = { grpc: grpc!, http: http!, metrics: metrics!, model: model! };
      }
      try {
        await super.start();
        this.hasServed = true;
        return;
      } catch (error) {
        sweep(this.regions);
        const lost = /address already in use|couldn't bind|failed to bind/i.test((error as Error).message);
        if (!lost || this.hasServed || tries === portTries) throw error;
      }
    }
  }

  override async stop(): Promise<void> {
    await super.stop();
    sweep(this.ports && this.regions);
  }

  protected override spec(): ChildSpec {
    const { folder, home, model, adapter, slots, contextTokens, threads, onLog } = this.options;
    const { models = join(repository, 'tiers', 'gold', 'repository'), packages = [] } = this.options;
    const { grpc, http, metrics } = this.bound;
    const server = join(folder, 'pytriton', 'tritonserver');
    return {
      command: join(server, 'bin', 'tritonserver'),
      args: [
        `--model-repository=${models}`,
        `--backend-directory=${join(server, 'backends')}`,
        `--backend-config=python,shm-region-prefix-name=${this.regions}`,
        '--grpc-address=127.0.0.1',
        `--grpc-port=${grpc}`,
        '--http-address=127.0.0.1',
        `--http-port=${http}`,
        '--metrics-address=127.0.0.1',
        `--metrics-port=${metrics}`,
        '--allow-gpu-metrics=false',
        '--allow-cpu-metrics=false',
        '--exit-timeout-secs=5',
        '--log-verbose=0',
        '--exit-on-error=true',
        '--disable-auto-complete-config',
      ],
      env: {
        PATH: process.env.PATH,
        HOME: process.env.HOME,
        LD_LIBRARY_PATH: join(folder, 'nvidia_pytriton.libs'),
        LOCAL_MODEL_PATH: [folder, join(repository, 'tiers', 'gold'), ...packages].join(':'),
        LOCAL_MODEL_FILE: model || join(home, 'cache', 'models', defaultModelFile),
        LOCAL_MODEL_ADAPTER: adapter ?? '',
        LOCAL_MODEL_PORT: String(this.bound.model),
        LOCAL_MODEL_SLOTS: String(slots),
        LOCAL_MODEL_CONTEXT: String(contextTokens),
        LOCAL_MODEL_THREADS: String(threads),
      },
      stopMs: 10_000,
      onLine: onLog,
    };
  }

  protected override async ready(child: Child): Promise<void> {
    // The metrics service is the last that begins; before it, models are loaded.
    await child.until((line) => line.includes('Started Metrics Service') || undefined, readyMs);
  }

  /** What the names of its shared memory begin with. */
  private get regions(): string {
    return `${regionPrefix}-${process.pid}-${this.bound.grpc}-`;
  }

  private get bound() {
    if (!this.ports) throw new Error('tritonserver has not been started');
    return this.ports;
  }
}
