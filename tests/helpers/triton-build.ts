// The repository that the engine build makes, for a real Triton of the tests: out of the tokenizer of the default model, with
// llama.cpp standing in for TensorRT-LLM's engines under the same tensors. With a draft model or without.

import { execFile, spawnSync } from 'node:child_process';
import { copyFileSync, cpSync, readFileSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { repository } from '../../scripts/stack/servers.ts';
import { TritonServer } from '../../scripts/stack/triton.ts';
import { tritonOfTests } from './triton.ts';

const { findPython } = (await import(
  new URL('../../scripts/setup/python-env.mjs', import.meta.url).href
)) as {
  findPython(cache: string): string | undefined;
};
const cache = join(resolve(process.env.PARLEY_HOME || join(homedir(), '.parley')), 'cache');
const python = findPython(cache) ?? 'python3';
/** Whether this machine has the Python that the build needs. */
export const hasBuildPython = spawnSync(python, ['-c', 'import yaml, tokenizers, gguf']).status === 0;

const build = join(repository, 'tiers', 'gold', 'build');

/**
 * Runs Python in the folder of the build; resolves with what it prints. Never synchronously: a Triton whose log nobody reads
 * meanwhile stands still.
 */
export async function inBuild(code: string, ...args: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(python, ['-B', '-c', code, ...args], {
    cwd: build,
    env: { ...process.env, CUDA_VISIBLE_DEVICES: '', TRANSFORMERS_VERBOSITY: 'error' },
  });
  return stdout;
}

/** The tokenizer of the GGUF as a checkpoint has it, then the whole repository, with engines that are none yet. */
const assembles = `
import json, sys
from pathlib import Path
sys.path[:0] = [sys.argv[1], sys.argv[2]]
from parley_training.base import default_base, inspect, load_tokenizer
from assemble import assemble, repository_fields
from build import read_config
scratch, guessed = Path(sys.argv[3]), int(sys.argv[4])
checkpoint, engine = scratch / "checkpoint", scratch / "engine"
engine.mkdir()
(engine / "rank0.engine").write_text("")
tokenizer = load_tokenizer(inspect(default_base()))
tokenizer.save_pretrained(checkpoint)
ids = [tokenizer.convert_tokens_to_ids(token) for token in ("<|im_end|>", "<|endoftext|>")]
(checkpoint / "generation_config.json").write_text(json.dumps({"eos_token_id": ids}))
fields = repository_fields(read_config("qwen2.5-3b-instruct"), checkpoint, "/r", guessed=guessed)
assemble(scratch / "models", checkpoint, fields, engine, engine if guessed else None)
`;

/** Assembles it into `scratch/models`; `guessed` is how many tokens a draft model guesses at once, 0 for none. */
export async function assembleRepository(scratch: string, guessed = 0): Promise<string> {
  await inBuild(assembles, build, join(repository, 'training'), scratch, String(guessed));
  const models = join(scratch, 'models');
  const standIn = join(repository, 'tiers', 'gold', 'repository', 'tensorrt_llm', '1', 'model.py');
  for (const model of guessed > 0 ? ['tensorrt_llm', 'tensorrt_llm_draft'] : ['tensorrt_llm']) {
    edit(join(models, model, 'config.pbtxt'), [['backend: "tensorrtllm"', 'backend: "python"']]);
    copyFileSync(standIn, join(models, model, '1', 'model.py'));
  }
  return models;
}

/** A copy of a model of the repository under another name, with some of its configuration changed. */
export function copyModel(models: string, from: string, name: string, changes: [string, string][]): string {
  cpSync(join(models, from), join(models, name), { recursive: true });
  edit(join(models, name, 'config.pbtxt'), [[`name: "${from}"`, `name: "${name}"`], ...changes]);
  return join(models, name, '1');
}

/** A model that is wrong on purpose (triton-odd-models.py), with the tensors of `tensorrt_llm`. */
export function oddModel(models: string, name: string): void {
  const folder = copyModel(models, 'tensorrt_llm', name, []);
  copyFileSync(join(repository, 'tests', 'helpers', 'triton-odd-models.py'), join(folder, 'model.py'));
}

/** A real Triton with that repository. */
export async function startTritonWith(models: string): Promise<TritonServer> {
  const packages = await inBuild('import sysconfig; print(sysconfig.get_paths()["platlib"])');
  const triton = new TritonServer({ ...tritonOfTests(), models, packages: [packages.trim()] });
  await triton.start();
  return triton;
}

function edit(file: string, changes: [string, string][]): void {
  let text = readFileSync(file, 'utf8');
  for (const [from, to] of changes) {
    if (!text.includes(from)) throw new Error(`${file} has no ${from}`);
    text = text.replace(from, to);
  }
  writeFileSync(file, text);
}
