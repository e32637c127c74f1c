// The engine build without its GPU steps: steps that are unchanged are not run again, a release appears whole and can be
// taken back, the Job names its image by digest, and the configurations of a repository fit each other.

import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';

const { findPython } = (await import(new URL('../scripts/setup/python-env.mjs', import.meta.url).href)) as {
  findPython(cache: string): string | undefined;
};
const root = resolve(import.meta.dirname, '..');
const build = join(root, 'tiers', 'gold', 'build');
const cache = join(resolve(process.env.PARLEY_HOME || join(homedir(), '.parley')), 'cache');
const python = findPython(cache) ?? 'python3';
const usable = spawnSync(python, ['-c', 'import yaml, tokenizers']).status === 0;
if (!usable)
  console.log(
    'gold-build: skipped, there is no Python with PyYAML and tokenizers (`npm run train` fetches one)',
  );

const makeCheckpoint = `
import json, sys
from pathlib import Path
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
out, words, config = Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])
tokenizer = Tokenizer(models.BPE())
tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=special, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
tokenizer.train_from_iterator([words] * 4, trainer)
tokenizer.save(str(out / "tokenizer.json"))
(out / "config.json").write_text(json.dumps({"model_type": "qwen2", "vocab_size": 151936, "eos_token_id": [2, 0], **config}))
(out / "model.safetensors").write_bytes(b"\\x02\\0\\0\\0\\0\\0\\0\\0{}")
`;

describe.skipIf(!usable)('the engine build', () => {
  let folder: string;
  let checkpoint: string;
  const run = (...args: string[]) => {
    const ended = spawnSync(python, [join(build, 'build.py'), ...args], {
      encoding: 'utf8',
      env: { ...process.env, PYTHONDONTWRITEBYTECODE: '1' },
    });
    return { code: ended.status, out: ended.stdout, error: ended.stderr };
  };
  const inBuild = (code: string) =>
    execFileSync(python, ['-B', '-c', code], { cwd: build, encoding: 'utf8', env: { ...process.env } });

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'parley-build-'));
    checkpoint = made({ hidden_size: 2048, num_hidden_layers: 36 });
  });
  /** A checkpoint with these figures, and a tokenizer made of these words. */
  function made(config: object, words = 'A sword is 30 gold, traveller.'): string {
    const out = mkdtempSync(join(folder, 'checkpoint-'));
    execFileSync(python, ['-c', makeCheckpoint, out, words, JSON.stringify(config)]);
    return out;
  }
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('does not run a step again whose inputs are unchanged, and runs it when a file changes', () => {
    const work = join(folder, 'work');
    const fetch = () =>
      run(
        ...['build', 'qwen2.5-3b-instruct', '--work', work, '--publish', join(folder, 'engines')],
        ...['--checkpoint', checkpoint, '--until', 'fetch'],
      );
    expect(fetch().out).toMatch(/fetch: begins\n.*fetch: done/);
    expect(fetch().out).toMatch(/fetch: unchanged/);
    writeFileSync(join(checkpoint, 'generation_config.json'), '{"eos_token_id": [2, 0]}');
    expect(fetch().out).toMatch(/fetch: begins/);
    expect(readdirSync(work).filter((name) => name.endsWith('.part'))).toEqual([]);
  });

  it('names the step that cannot be done here, and what to do', () => {
    const ended = run(
      ...[
        'build',
        'qwen2.5-3b-instruct',
        '--work',
        join(folder, 'work2'),
        '--publish',
        join(folder, 'engines'),
      ],
      ...['--checkpoint', checkpoint, '--examples', join(folder, 'nothing')],
    );
    expect(ended.code).toBe(1);
    expect(ended.error).toMatch(/^build: quantize: /m);
    const other = run(
      ...[
        'build',
        'llama-3.2-3b-instruct',
        '--work',
        join(folder, 'work2'),
        '--publish',
        join(folder, 'engines'),
      ],
      ...['--checkpoint', checkpoint, '--until', 'fetch'],
    );
    expect(other.error).toMatch(/is no llama-3\.2-3b-instruct: model_type qwen2, not llama/);
  });

  it('lets no model guess for another whose tokenizer is not the same, and says so before anything is built', () => {
    const work = join(folder, 'work3');
    const figures = { hidden_size: 896, num_hidden_layers: 24 };
    const check = (draft: string, ...more: string[]) =>
      run(
        ...['build', 'qwen2.5-3b-instruct', '--work', work, '--publish', join(folder, 'engines')],
        ...['--checkpoint', checkpoint, '--until', 'draft-check', '--draft', 'qwen2.5-0.5b-instruct'],
        ...['--draft-checkpoint', draft, ...more],
      );
    const same = made(figures);
    // Written another way it is still the same.
    const file = join(same, 'tokenizer.json');
    writeFileSync(file, JSON.stringify(JSON.parse(readFileSync(file, 'utf8'))));
    expect(check(same)).toMatchObject({ code: 0, error: '' });
    expect(check(same).out).toMatch(/step 3 of 9, draft-check: unchanged/);
    expect(check(made(figures, 'Ein Schwert kostet 30 Taler.')).error).toMatch(
      /draft-check: qwen2\.5-0\.5b-instruct cannot guess for qwen2\.5-3b-instruct: their tokenizers differ/,
    );
    expect(check(made({ hidden_size: 1, num_hidden_layers: 24 })).error).toMatch(
      /draft-fetch: the checkpoint is no qwen2\.5-0\.5b-instruct: hidden_size 1, not 896/,
    );
    expect(check(same, '--draft', 'tiny').error).toMatch(/there is no draft model tiny; there are llama/);
    expect(check(same, '--draft-tokens', '17').error).toMatch(/--draft-tokens 17 is not between 1 and 16/);
    expect(check(same, '--draft=').error).toMatch(/--draft-checkpoint is of the model that --draft names/);
    const about = JSON.parse(
      inBuild(`
import argparse, json
from pathlib import Path
from build import draft_manifest
from draft import read_draft
options = argparse.Namespace(draft=read_draft("qwen2.5-0.5b-instruct"), draft_tokens=4, calibration=8)
work = Path(${JSON.stringify(work)})
done = {name: next(work.glob(name + "-*/done.json")).parent for name in ("draft-check", "draft-fetch")}
print(json.dumps(draft_manifest(options, done)))
`),
    );
    expect(about).toMatchObject({
      model: 'qwen2.5-0.5b-instruct',
      source: { repository: 'Qwen/Qwen2.5-0.5B-Instruct', revision: expect.stringMatching(/^[0-9a-f]{40}$/) },
      tokens: 4,
      tokenizer: expect.stringMatching(/^[0-9a-f]{64}$/),
    });
    expect(Object.keys(about.hashes)).toContain('model.safetensors');
  });

  it('goes on after a kill behind the last step that was finished', () => {
    const said = inBuild(`
import tempfile
from pathlib import Path
from graph import BuildFailure, Step, run_steps
work, ran = Path(tempfile.mkdtemp(dir=${JSON.stringify(folder)})), []
def step(name, fails=False):
    def run(out, done):
        ran.append(name)
        (out / "file").write_text(name)
        if fails: raise KeyboardInterrupt
    return run
first = Step("one", step("one"))
try: run_steps([first, Step("two", step("two", True), needs=("one",))], work, say=lambda _: None)
except KeyboardInterrupt: pass
results = run_steps([first, Step("two", step("two"), needs=("one",))], work, say=lambda _: None)
(results["two"] / "file").write_text("cut")
(results["two"] / "file").write_text("")
run_steps([first, Step("two", step("two"), needs=("one",))], work, say=lambda _: None)
print(ran)
`);
    expect(said.trim()).toBe("['one', 'two', 'two', 'two']");
  });

  it('publishes only what passed, at once, and goes back', () => {
    const said = inBuild(`
import tempfile
from pathlib import Path
from graph import BuildFailure
from publish import publish, rollback
root = Path(tempfile.mkdtemp(dir=${JSON.stringify(folder)}))
source = root / "source"; source.mkdir(); (source / "config.pbtxt").write_text("x")
def refused(call):
    try: call()
    except BuildFailure as failure: print(failure)
refused(lambda: publish(source, {"id": "a", "smoke": {"passed": False}}, root / "p"))
print((root / "p").exists())
for name in ("a", "b"): publish(source, {"id": name, "smoke": {"passed": True}}, root / "p")
print((root / "p" / "current").readlink(), (root / "p" / "current" / "repository" / "config.pbtxt").read_text())
print(rollback(root / "p"), (root / "p" / "current").readlink())
refused(lambda: rollback(root / "p", "c"))
`).split('\n');
    expect(said[0]).toMatch(/smoke test has not passed/);
    expect(said[1]).toBe('False');
    expect(said[2]).toBe('releases/b x');
    expect(said[3]).toBe('a releases/a');
    expect(said[4]).toMatch(/there is no release c .* there are a, b/);
  });

  it('prints a Job that names its image by digest, and refuses a tag', () => {
    const image = `example.org/triton@sha256:${'a'.repeat(64)}`;
    const draft = ['--draft', 'llama-3.2-1b-instruct'];
    const printed = run('job', 'llama-3.1-8b-instruct', '--image', image, '--gpu', 'NVIDIA-L4', ...draft);
    expect(printed.error).toBe('');
    const job = parse(printed.out);
    const pod = job.spec.template.spec;
    expect([job.kind, job.metadata.name]).toEqual(['Job', 'parley-engine-llama-3-1-8b-instruct']);
    expect(pod.nodeSelector).toEqual({ 'nvidia.com/gpu.product': 'NVIDIA-L4' });
    expect(pod.containers[0].image).toBe(image);
    expect(pod.volumes[0].persistentVolumeClaim.claimName).toBe('parley-engines');
    expect(pod.containers[0].args).toContain('--draft=llama-3.2-1b-instruct');
    expect(printed.out).not.toMatch(/\$\{/);
    const tag = run(
      'job',
      'llama-3.1-8b-instruct',
      '--image',
      'example.org/triton:25.08',
      '--gpu',
      'NVIDIA-L4',
    );
    expect(tag.error).toMatch(/no image by digest/);
  });

  it('asks TensorRT-LLM for what the configuration says', () => {
    const said = inBuild(`
import json
from pathlib import Path
from build import read_config
from steps import draft_engine_command, engine_command, quantize_command
options = {"examples": Path("/e"), "calibration": 8, "batch": 16, "draft": None, "draft_tokens": 5}
config = read_config("llama-3.1-8b-instruct")
place = (Path("/c"), Path("/o"), config)
made = [quantize_command(*place, options)[1:], engine_command(*place, options)]
options["draft"] = {"name": "some"}
print(json.dumps([*made, engine_command(*place, options), draft_engine_command(*place, options)]))
`);
    const [quantize, engine, target, draft] = JSON.parse(said) as string[][] as [
      string[],
      string[],
      string[],
      string[],
    ];
    // A target that takes guesses is another engine than one without a draft model.
    const guesses = ['--speculative_decoding_mode', 'draft_tokens_external', '--max_draft_len', '5'];
    expect(target).toEqual([...engine, ...guesses]);
    expect(draft.join(' ')).toMatch(/--use_paged_context_fmha enable/);
    expect(draft.join(' ')).not.toMatch(/lora|draft_len/);
    expect(quantize.join(' ')).toMatch(
      /--qformat int4_awq --awq_block_size 128 --kv_cache_dtype fp8 --calib_size 8/,
    );
    expect(engine.join(' ')).toMatch(
      /--max_lora_rank 16 --lora_target_modules attn_v attn_dense mlp_h_to_4h mlp_gate mlp_4h_to_h/,
    );
  });

  it('fills every field of every configuration, and the ensemble fits its models', () => {
    const out = join(folder, 'whole');
    inBuild(`
from pathlib import Path
from assemble import assemble, repository_fields
from build import read_config
engine = Path(${JSON.stringify(folder)}) / "engine"; engine.mkdir(); (engine / "rank0.engine").write_text("")
checkpoint = Path(${JSON.stringify(checkpoint)})
assemble(Path(${JSON.stringify(out)}), checkpoint, repository_fields(read_config("qwen2.5-3b-instruct"), checkpoint, "/r"), engine)
`);
    expect(readdirSync(out).sort()).toEqual(
      ['ensemble', 'postprocessing', 'preprocessing', 'tensorrt_llm', 'tensorrt_llm_bls', 'tokenize'].sort(),
    );
    const text = (model: string) => readFileSync(join(out, model, 'config.pbtxt'), 'utf8');
    const names = (model: string) => [...text(model).matchAll(/\{ name: "(\w+)"/g)].map((match) => match[1]);
    for (const model of readdirSync(out)) expect(text(model)).not.toMatch(/\$/);
    expect(text('tensorrt_llm')).toContain('string_value: "/r/tensorrt_llm/1"');
    const steps = text('ensemble').split('model_name:').slice(1);
    for (const step of steps) {
      const model = /"(\w+)"/.exec(step)![1]!;
      for (const [, key] of step.matchAll(/_map \{ key: "(\w+)"/g)) expect(names(model)).toContain(key);
    }
    expect(steps).toHaveLength(3);
    expect(text('tensorrt_llm_bls')).not.toContain('draft');

    const drafted = join(folder, 'drafted');
    inBuild(`
from pathlib import Path
from assemble import assemble, repository_fields
from build import read_config
checkpoint, engine, draft = Path(${JSON.stringify(checkpoint)}), Path(${JSON.stringify(folder)}) / "engine", Path(${JSON.stringify(folder)}) / "draft"
draft.mkdir(); (draft / "rank0.engine").write_text("small")
fields = repository_fields(read_config("qwen2.5-3b-instruct"), checkpoint, "/r", guessed=6)
assemble(Path(${JSON.stringify(drafted)}), checkpoint, fields, engine, draft)
`);
    const of = (model: string) => readFileSync(join(drafted, model, 'config.pbtxt'), 'utf8');
    expect(readdirSync(drafted)).toHaveLength(7);
    expect(readFileSync(join(drafted, 'tensorrt_llm_draft', '1', 'rank0.engine'), 'utf8')).toBe('small');
    expect(of('tensorrt_llm_draft')).toMatch(/name: "tensorrt_llm_draft"[\s\S]*"\/r\/tensorrt_llm_draft\/1"/);
    expect(of('tensorrt_llm_bls')).toMatch(
      /"num_draft_tokens"[\s\S]*"max_draft_tokens" value: \{ string_value: "6" \}/,
    );
    const share = (model: string) =>
      Number(/"kv_cache_free_gpu_mem_fraction" value: \{ string_value: "([\d.]+)"/.exec(of(model))![1]);
    expect(share('tensorrt_llm') + share('tensorrt_llm_draft')).toBeLessThan(1);
    for (const model of readdirSync(drafted)) expect(of(model)).not.toMatch(/\$/);
  });
});
