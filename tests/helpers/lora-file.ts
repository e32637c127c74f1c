// A small LoRA adapter for the default model, as the bytes of a GGUF file: rank 4 on the values of the first layer.
// It has learnt nothing, but with `scale` well above 0 the model says other words.

export interface LoraOptions {
  /** How much it changes what the model says; 0: nothing. */
  readonly scale: number;
  /** The SHA-256 of the model that it claims to be made for; left out, it does not say. */
  readonly base?: string;
  /** Width of the model; another number gives an adapter for a model that is not ours. */
  readonly inputs?: number;
}

export function loraFile({ scale, base, inputs = 576 }: LoraOptions): Buffer {
  const [rank, outputs] = [4, 192];
  const u32 = (n: number) => Buffer.from(Uint32Array.of(n).buffer);
  const u64 = (n: number) => Buffer.from(BigUint64Array.of(BigInt(n)).buffer);
  const text = (t: string) => Buffer.concat([u64(t.length), Buffer.from(t)]);
  const textField = (key: string, value: string) => Buffer.concat([text(key), u32(8), text(value)]);
  const tensor = (name: string, dims: number[], offset: number) =>
    Buffer.concat([text(name), u32(dims.length), ...dims.map(u64), u32(0), u64(offset)]);
  const weights = (n: number, f: (i: number) => number) =>
    Buffer.from(Float32Array.from({ length: n }, (_, i) => f(i)).buffer);
  const a = weights(inputs * rank, (i) => Math.sin(i));
  const b = weights(rank * outputs, (i) => scale * Math.cos(i));
  const fields = [
    textField('general.type', 'adapter'),
    textField('general.architecture', 'llama'),
    textField('adapter.type', 'lora'),
    Buffer.concat([text('adapter.lora.alpha'), u32(6), Buffer.from(Float32Array.of(rank).buffer)]),
    ...(base === undefined ? [] : [textField('parley.base.sha256', base)]),
  ];
  const head = Buffer.concat([
    Buffer.from('GGUF'),
    u32(3),
    u64(2),
    u64(fields.length),
    ...fields,
    tensor('blk.0.attn_v.weight.lora_a', [inputs, rank], 0),
    tensor('blk.0.attn_v.weight.lora_b', [rank, outputs], a.length),
  ]);
  return Buffer.concat([head, Buffer.alloc((32 - (head.length % 32)) % 32), a, b]);
}
