// Triton's gRPC service: single calls with a deadline, and the stream. Reconnects by itself (grpc-js does); keeps no
// state of models. The .proto files are printed by scripts/protos.py.

import { fileURLToPath } from 'node:url';
import {
  type ClientDuplexStream,
  credentials,
  type GrpcObject,
  loadPackageDefinition,
  type ServiceClientConstructor,
  type ServiceError,
  status,
} from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { TritonFault } from './fault.ts';
import type { InferRequest, InferResponse } from './tensors.ts';

export interface StreamResponse {
  readonly error_message: string;
  readonly infer_response: InferResponse | null;
}

export type InferStream = ClientDuplexStream<InferRequest, StreamResponse>;

/** What the engine reads of a model's configuration. */
export interface ModelConfig {
  readonly max_batch_size: number;
  readonly input: readonly {
    readonly name: string;
    readonly data_type: string;
    readonly dims: readonly number[];
  }[];
  readonly output: readonly {
    readonly name: string;
    readonly data_type: string;
    readonly dims: readonly number[];
  }[];
  readonly model_transaction_policy: { readonly decoupled: boolean } | null;
  readonly parameters: Readonly<Record<string, { readonly string_value: string }>>;
}

// 150,000 tokens of a vocabulary come in one message.
const mostMessageBytes = 64 * 1024 * 1024;

export const protoFile = fileURLToPath(new URL('../proto/grpc_service.proto', import.meta.url));
export const protoOptions = {
  keepCase: true,
  longs: Number,
  enums: String,
  defaults: true,
  oneofs: false,
} as const;

function serviceClient(): ServiceClientConstructor {
  const root = loadPackageDefinition(loadSync(protoFile, protoOptions));
  return (root.inference as GrpcObject).GRPCInferenceService as ServiceClientConstructor;
}

let Service: ServiceClientConstructor | undefined;

export class TritonClient {
  readonly address: string;
  readonly #client: InstanceType<ServiceClientConstructor>;

  /** `address` is host:port. Connects at the first call. */
  constructor(address: string) {
    this.address = address;
    Service ??= serviceClient();
    this.#client = new Service(address, credentials.createInsecure(), {
      'grpc.max_receive_message_length': mostMessageBytes,
      'grpc.max_send_message_length': mostMessageBytes,
      'grpc.initial_reconnect_backoff_ms': 200,
      'grpc.max_reconnect_backoff_ms': 2_000,
      // Each server of a pool has a connection of its own, also where two names lead to one address.
      'grpc.use_local_subchannel_pool': 1,
    });
  }

  async isLive(withinMs: number): Promise<boolean> {
    const { live } = await this.#call<{ live: boolean }>('ServerLive', {}, withinMs);
    return live;
  }

  async isModelReady(name: string, withinMs: number): Promise<boolean> {
    const { ready } = await this.#call<{ ready: boolean }>('ModelReady', { name }, withinMs);
    return ready;
  }

  /** Throws TritonFault `wrong_repository` when there is no such model. */
  async modelConfig(name: string, withinMs: number): Promise<ModelConfig> {
    const { config } = await this.#call<{ config: ModelConfig | null }>('ModelConfig', { name }, withinMs);
    if (!config)
      throw new TritonFault('garbage', `Triton at ${this.address} tells no configuration of ${name}.`);
    return config;
  }

  /** The names of the models that it has. */
  async models(withinMs: number): Promise<readonly string[]> {
    const { models } = await this.#call<{ models: { name: string }[] }>('RepositoryIndex', {}, withinMs);
    return [...new Set(models.map(({ name }) => name))];
  }

  infer(request: InferRequest, withinMs: number): Promise<InferResponse> {
    return this.#call<InferResponse>('ModelInfer', request, withinMs);
  }

  /** Opens a stream for one generation; cancelling it ends the generation. */
  stream(): InferStream {
    return this.#client.ModelStreamInfer!() as unknown as InferStream;
  }

  close(): void {
    this.#client.close();
  }

  #call<T>(method: string, request: unknown, withinMs: number): Promise<T> {
    return new Promise((resolve, reject) => {
      const deadline = Date.now() + withinMs;
      this.#client[method]!(request, { deadline }, (error: ServiceError | null, response: T) => {
        if (error) reject(asFault(error, this.address));
        else resolve(response);
      });
    });
  }
}

/** The one place where a gRPC status becomes a reason of ours. */
export function asFault(error: unknown, address: string): TritonFault {
  if (error instanceof TritonFault) return error;
  const { code, details, message } = error as Partial<ServiceError> & Error;
  const words = details || message;
  switch (code) {
    case status.UNAVAILABLE:
      if (/not ready|no available versions|not found/i.test(words))
        return new TritonFault('not_ready', `Triton at ${address}: ${words}`, { cause: error });
      return new TritonFault('unreachable', `Triton at ${address} cannot be reached: ${words}`, {
        cause: error,
      });
    case status.CANCELLED:
      return new TritonFault('unreachable', `Triton at ${address} ended the call: ${words}`, {
        cause: error,
      });
    case status.DEADLINE_EXCEEDED:
      return new TritonFault('silent', `Triton at ${address} does not answer: ${words}`, { cause: error });
    case status.NOT_FOUND:
      return new TritonFault('wrong_repository', `Triton at ${address}: ${words}`, { cause: error });
    case status.INVALID_ARGUMENT:
      return new TritonFault('refused', `Triton at ${address} refused the request: ${words}`, {
        cause: error,
      });
    default:
      return new TritonFault('garbage', `Triton at ${address} failed: ${words}`, { cause: error });
  }
}
