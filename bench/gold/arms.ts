// The engines that are compared, with the same model, threads and room: llama.cpp in this process, the Triton engine on a
// real Triton, and the llama.cpp inside that Triton asked over its own HTTP. Without a Triton on this machine only the first.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readConfig } from '../../runtime/config.ts';
import { tritonFolder } from '../../scripts/stack/servers.ts';
import { engineOptions, TritonServer } from '../../scripts/stack/triton.ts';
import type { Engine, Prompt } from '../../tiers/engine.ts';
import { renderText } from '../../tiers/gold/triton/chat-templates.ts';
import { createTritonEngine } from '../../tiers/gold/triton-engine.ts';
import { defaultModelFile } from '../../tiers/llama/load-model.ts';
import { createLlamaEngine, type LlamaOptions } from '../../tiers/llama-engine.ts';
import { gapsOf } from './ask.ts';

const config = readConfig();
/** A .gguf file. */
export const model = config.model || join(config.home, 'cache', 'models', defaultModelFile);
export const threads = config.threads;
/** Streams at once in every arm, and room for each. */
export const places = 8;
export const contextTokens = 1024;

export interface Arms extends AsyncDisposable {
  readonly llama: Engine;
  readonly triton?: { readonly engine: Engine; readonly server: TritonServer };
  /** Another llama engine, in a fresh home: no state of another one lies on disk. */
  readonly anotherLlama: (options?: Partial<LlamaOptions>) => Promise<Engine>;
}

/** Rejects when an engine does not start. `say` hears why there is no Triton. */
export async function startArms(say: (line: string) => void): Promise<Arms> {
  const scratch = await mkdtemp(join(tmpdir(), 'parley-bench-'));
  let homes = 0;
  const anotherLlama = (options: Partial<LlamaOptions> = {}) =>
    createLlamaEngine({
      home: join(scratch, String(++homes)),
      model,
      adapter: 'none',
      threads,
      contextTokens,
      concurrency: places,
      sequences: places + 2,
      prefillChunkTokens: config.prefillChunkTokens,
      speculation: 'off',
      ...options,
    });
  const llama = await anotherLlama();
  const triton = await startTriton(say);
  return {
    llama,
    triton,
    anotherLlama,
    async [Symbol.asyncDispose]() {
      await llama.close();
      await triton?.engine.close();
      await triton?.server.stop();
      await rm(scratch, { recursive: true, force: true });
    },
  };
}

async function startTriton(say: (line: string) => void): Promise<Arms['triton']> {
  const found = tritonFolder(config.home);
  if ('missing' in found) {
    say(`without Triton: ${found.missing}`);
    return undefined;
  }
  const server = new TritonServer({
    folder: found.folder,
    home: config.home,
    model,
    slots: places,
    contextTokens,
    threads,
  });
  await server.start();
  const engine = await createTritonEngine(engineOptions([server], { contextTokens, concurrency: places }));
  return { engine, server };
}

/** Asks llama.cpp's own HTTP server, greedily; the times of its tokens. Throws when it refuses. */
export async function askHttp(url: string, prompt: Prompt, maxTokens: number) {
  const body = {
    prompt: renderText('chatml', prompt).text,
    n_predict: maxTokens,
    stream: true,
    cache_prompt: true,
    temperature: 0,
    top_k: 1,
  };
  const began = performance.now();
  const response = await fetch(`${url}/completion`, { method: 'POST', body: JSON.stringify(body) });
  if (!response.ok || !response.body)
    throw new Error(`llama.cpp answers ${response.status}: ${await response.text()}`);
  const at: number[] = [];
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let cut = '';
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    const now = performance.now();
    const lines = (cut + part.value).split('\n');
    cut = lines.pop()!;
    for (const line of lines)
      if (line.startsWith('data: {') && JSON.parse(line.slice(6)).content) at.push(now);
  }
  return { firstMs: (at[0] ?? Number.NaN) - began, gapsMs: gapsOf(at) };
}
