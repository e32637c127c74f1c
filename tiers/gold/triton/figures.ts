// What a Triton server says of itself on its metrics page: the KV cache and the requests of TensorRT-LLM, by its own
// names. Reads; decides nothing.

export interface Figures {
  /** KV blocks, and tokens in one; 0 where the server does not say. */
  readonly blocks: number;
  readonly usedBlocks: number;
  readonly tokensPerBlock: number;
  /** 0 to 1. */
  readonly kvUse: number;
  /** Requests that run and that wait, of all workers. */
  readonly running: number;
  readonly waiting: number;
}

export const noFigures: Figures = {
  blocks: 0,
  usedBlocks: 0,
  tokensPerBlock: 1,
  kvUse: 0,
  running: 0,
  waiting: 0,
};

/** Fetches and reads the page. Rejects when it cannot be had within `withinMs`. */
export async function readFigures(url: string, model: string, withinMs: number): Promise<Figures> {
  const response = await fetch(url, { signal: AbortSignal.timeout(withinMs) });
  if (!response.ok) throw new Error(`${url} answers ${response.status}`);
  return parseFigures(await response.text(), model);
}

/** Reads Prometheus' text format. What is missing counts as 0. */
export function parseFigures(page: string, model: string): Figures {
  const read = (metric: string, label: string, value: string): number => {
    for (const line of page.split('\n')) {
      if (!line.startsWith(`${metric}{`)) continue;
      if (line.includes(`${label}="${value}"`) && line.includes(`model="${model}"`))
        return Number(line.slice(line.lastIndexOf(' ') + 1)) || 0;
    }
    return 0;
  };
  const block = (kind: string) => read('nv_trt_llm_kv_cache_block_metrics', 'kv_cache_block_type', kind);
  const request = (kind: string) => read('nv_trt_llm_request_metrics', 'request_type', kind);
  const blocks = block('max');
  const usedBlocks = block('used');
  const scheduled = request('scheduled');
  return {
    blocks,
    usedBlocks,
    tokensPerBlock: block('tokens_per') || 1,
    kvUse: block('fraction') || (blocks === 0 ? 0 : usedBlocks / blocks),
    running: scheduled,
    waiting: Math.max(request('waiting'), request('active') - scheduled),
  };
}
