// Tensors as Triton's gRPC carries them: names, types, shapes, and the raw little-endian bytes beside them. Checks
// what comes in; knows no model.

import { TritonFault } from './fault.ts';

export interface Tensor {
  readonly name: string;
  readonly datatype: keyof typeof sizes | 'BYTES';
  readonly shape: readonly number[];
  readonly data: Buffer;
}

/** ModelInferRequest as proto-loader writes it. */
export interface InferRequest {
  readonly model_name: string;
  readonly id: string;
  readonly parameters: Readonly<Record<string, { readonly bool_param?: boolean }>>;
  readonly inputs: readonly {
    readonly name: string;
    readonly datatype: string;
    readonly shape: readonly number[];
  }[];
  readonly outputs: readonly { readonly name: string }[];
  readonly raw_input_contents: readonly Buffer[];
}

/** ModelInferResponse as proto-loader reads it. */
export interface InferResponse {
  readonly id: string;
  readonly parameters: Readonly<Record<string, { readonly bool_param?: boolean }>>;
  readonly outputs: readonly {
    readonly name: string;
    readonly datatype: string;
    readonly shape: readonly number[];
  }[];
  readonly raw_output_contents: readonly Buffer[];
}

const sizes = { BOOL: 1, UINT8: 1, INT32: 4, FP32: 4, FP16: 2, INT64: 8, UINT64: 8 } as const;
/** Elements of one tensor that are believed; the vocabulary is the largest that is asked for. */
const mostElements = 4_194_304;

export function int32(name: string, values: readonly number[], shape = [values.length]): Tensor {
  return { name, datatype: 'INT32', shape, data: Buffer.from(Int32Array.from(values).buffer) };
}

export function fp32(name: string, values: readonly number[], shape = [values.length]): Tensor {
  return { name, datatype: 'FP32', shape, data: Buffer.from(Float32Array.from(values).buffer) };
}

export function uint64(name: string, values: readonly number[], shape = [values.length]): Tensor {
  const data = Buffer.from(BigUint64Array.from(values.map(BigInt)).buffer);
  return { name, datatype: 'UINT64', shape, data };
}

export function bool(name: string, values: readonly boolean[], shape = [values.length]): Tensor {
  return { name, datatype: 'BOOL', shape, data: Buffer.from(values.map(Number)) };
}

/** Texts as UTF-8. */
export function bytes(name: string, values: readonly string[], shape = [values.length]): Tensor {
  const parts = values.flatMap((value) => {
    const text = Buffer.from(value, 'utf8');
    const length = Buffer.alloc(4);
    length.writeUInt32LE(text.length);
    return [length, text];
  });
  return { name, datatype: 'BYTES', shape, data: Buffer.concat(parts) };
}

export function inferRequest(
  model: string,
  id: string,
  inputs: readonly Tensor[],
  outputs: readonly string[] = [],
): InferRequest {
  return {
    model_name: model,
    id,
    // Without it a stream whose last answer carries no data would never say that it is over.
    parameters: { triton_enable_empty_final_response: { bool_param: true } },
    inputs: inputs.map(({ name, datatype, shape }) => ({ name, datatype, shape })),
    outputs: outputs.map((name) => ({ name })),
    raw_input_contents: inputs.map(({ data }) => data),
  };
}

/** The outputs of one response by name. */
export class Outputs {
  readonly #tensors = new Map<string, Tensor>();

  /** Throws TritonFault `garbage` when sizes do not fit shapes. */
  constructor(response: InferResponse) {
    const { outputs, raw_output_contents: raw } = response;
    if (outputs.length !== raw.length) throw garbage(`${outputs.length} outputs with ${raw.length} contents`);
    for (const [i, { name, datatype, shape }] of outputs.entries()) {
      const data = raw[i]!;
      const elements = shape.reduce((product, n) => product * Number(n), 1);
      if (!Number.isInteger(elements) || elements < 0 || elements > mostElements)
        throw garbage(`${name} has the shape [${shape}]`);
      const size = sizes[datatype as keyof typeof sizes];
      if (datatype !== 'BYTES' && (size === undefined || data.length !== elements * size))
        throw garbage(`${name} is ${data.length} bytes of ${datatype} in the shape [${shape}]`);
      this.#tensors.set(name, {
        name,
        datatype: datatype as Tensor['datatype'],
        shape: shape.map(Number),
        data,
      });
    }
  }

  get isEmpty(): boolean {
    return this.#tensors.size === 0;
  }

  /** Whole numbers of an INT32 or INT64 output; undefined where there is none of that name. */
  ints(name: string): readonly number[] | undefined {
    const tensor = this.#tensors.get(name);
    if (!tensor) return undefined;
    const { datatype, data } = tensor;
    if (datatype === 'INT32')
      return Array.from({ length: data.length / 4 }, (_, i) => data.readInt32LE(4 * i));
    if (datatype === 'INT64')
      return Array.from({ length: data.length / 8 }, (_, i) => Number(data.readBigInt64LE(8 * i)));
    throw garbage(`${name} is ${datatype} and should be whole numbers`);
  }

  floats(name: string): readonly number[] | undefined {
    const tensor = this.#tensors.get(name);
    if (!tensor) return undefined;
    if (tensor.datatype !== 'FP32') throw garbage(`${name} is ${tensor.datatype} and should be FP32`);
    return Array.from({ length: tensor.data.length / 4 }, (_, i) => tensor.data.readFloatLE(4 * i));
  }

  /** Elements of a BYTES output. */
  bytes(name: string): readonly Buffer[] | undefined {
    const tensor = this.#tensors.get(name);
    if (!tensor) return undefined;
    const { datatype, data, shape } = tensor;
    if (datatype !== 'BYTES') throw garbage(`${name} is ${datatype} and should be BYTES`);
    const found: Buffer[] = [];
    for (let at = 0; at < data.length; ) {
      const end = at + 4 <= data.length ? at + 4 + data.readUInt32LE(at) : Number.POSITIVE_INFINITY;
      if (end > data.length) throw garbage(`${name} is cut off`);
      found.push(data.subarray(at + 4, end));
      at = end;
    }
    if (found.length !== shape.reduce((product, n) => product * n, 1))
      throw garbage(`${name} has ${found.length} elements in the shape [${shape}]`);
    return found;
  }
}

function garbage(what: string): TritonFault {
  return new TritonFault('garbage', `Triton's answer makes no sense: ${what}.`);
}
