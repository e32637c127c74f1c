// LoRA adapters by character: a manifest says which, their weights go to a server with the first request that uses them
// and from then on only their number (TensorRT-LLM caches them). Putting a new adapter live is a new manifest.

import { readFile, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { z } from 'zod';
import { EngineError } from '../../engine.ts';
import { type Tensor, uint64 } from './tensors.ts';

const manifest = z.strictObject({
  adapters: z.array(
    z.strictObject({
      /** `lora_task_id`: one number for one adapter, for ever; a new version takes a new one. */
      taskId: z.int().min(1),
      /** Characters that speak by it. */
      npcs: z.array(z.string()).min(1),
      /** [modules × layers, n] as float16 and [modules × layers, 3] as int32, .npy, from the manifest's folder. */
      weights: z.string(),
      config: z.string(),
    }),
  ),
});

export interface Adapter {
  readonly taskId: number;
  readonly weights: Tensor;
  readonly config: Tensor;
}

export interface LoraTensors {
  readonly taskId: number;
  readonly tensors: readonly Tensor[];
}

/** Reads a manifest again when its file has changed. */
export class Adapters {
  readonly #file: string;
  #changedAt = 0;
  #byNpc: ReadonlyMap<string, Adapter> = new Map();

  /** `file` is empty where there are none. */
  constructor(file: string) {
    this.#file = file;
  }

  /** The adapter of a character. Throws EngineError, naming the file, when the manifest or its weights are wrong. */
  async of(npc: string): Promise<Adapter | undefined> {
    if (this.#file === '') return undefined;
    const { mtimeMs } = await stat(this.#file).catch((cause) => {
      throw fault(this.#file, cause);
    });
    if (mtimeMs !== this.#changedAt) {
      this.#byNpc = await readManifest(this.#file);
      this.#changedAt = mtimeMs;
    }
    return this.#byNpc.get(npc);
  }
}

/** The tensors that name an adapter, with its weights for a server that has not seen them. */
export function loraTensors(adapter: Adapter, known: boolean): LoraTensors {
  const id = uint64('lora_task_id', [adapter.taskId], [1, 1]);
  return { taskId: adapter.taskId, tensors: known ? [id] : [id, adapter.weights, adapter.config] };
}

async function readManifest(file: string): Promise<ReadonlyMap<string, Adapter>> {
  try {
    const { adapters } = manifest.parse(JSON.parse(await readFile(file, 'utf8')));
    const ids = new Set(adapters.map(({ taskId }) => taskId));
    if (ids.size !== adapters.length) throw new Error('two adapters have the same taskId');
    const byNpc = new Map<string, Adapter>();
    for (const { taskId, npcs, weights, config } of adapters) {
      const adapter = {
        taskId,
        weights: readNpy(await readFile(resolve(dirname(file), weights)), '<f2', 'lora_weights', weights),
        config: readNpy(await readFile(resolve(dirname(file), config)), '<i4', 'lora_config', config),
      };
      const [, rows, three] = adapter.config.shape;
      if (three !== 3 || rows !== adapter.weights.shape[1])
        throw new Error(
          `${config} must have the shape [${adapter.weights.shape[1]}, 3], as ${weights} has its rows`,
        );
      for (const npc of npcs) {
        if (byNpc.has(npc)) throw new Error(`${npc} is named by two adapters`);
        byNpc.set(npc, adapter);
      }
    }
    return byNpc;
  } catch (cause) {
    throw fault(file, cause);
  }
}

/** A two-dimensional array of NumPy's own file format, as a batch of one. Throws Error with the name. */
function readNpy(file: Buffer, descr: '<f2' | '<i4', name: string, from: string): Tensor {
  if (file.subarray(0, 6).toString('latin1') !== '\u0093NUMPY') throw new Error(`${from} is no .npy file`);
  const wide = file[6]! > 1;
  const begin = wide ? 12 : 10;
  const end = begin + (wide ? file.readUInt32LE(8) : file.readUInt16LE(8));
  const header = file.subarray(begin, end).toString('latin1');
  const shape = /'shape': \((\d+), (\d+)\)/.exec(header)?.slice(1).map(Number);
  if (!shape || !header.includes(`'descr': '${descr}'`) || !header.includes("'fortran_order': False"))
    throw new Error(
      `${from} must be a two-dimensional ${descr} array in C order; its header is ${header.trim()}`,
    );
  const data = file.subarray(end);
  const size = descr === '<f2' ? 2 : 4;
  if (data.length !== shape[0]! * shape[1]! * size) throw new Error(`${from} is cut off`);
  return { name, datatype: descr === '<f2' ? 'FP16' : 'INT32', shape: [1, ...shape], data };
}

function fault(file: string, cause: unknown): EngineError {
  const words = cause instanceof Error ? cause.message : String(cause);
  return new EngineError(
    'unavailable',
    `The adapters of PARLEY_TRITON_ADAPTERS (${file}) cannot be used: ${words}`,
    {
      cause,
    },
  );
}
