"""The steps from a Hugging Face checkpoint to a Triton model repository that answers. Those marked `gpu` run inside an image
that has TensorRT-LLM and Triton; they call its own tools, so that nothing of it is built here."""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import assemble
import draft
import smoke
from graph import BuildFailure, Step

LORA_MODULES = {
    "q_proj": "attn_q",
    "k_proj": "attn_k",
    "v_proj": "attn_v",
    "o_proj": "attn_dense",
    "gate_proj": "mlp_h_to_4h",
    "down_proj": "mlp_4h_to_h",
    "up_proj": "mlp_gate",
}
"""TensorRT-LLM's names of the matrices (the same as in training/parley_training/trtllm.py, by number there)."""


def steps(config: dict, options: dict) -> list[Step]:
    """All steps for a model's configuration. `options`: checkpoint (or None to fetch), examples (TensorRT-LLM's folder
    `examples`), calibration (number of samples), batch, gpu (its name), image (by digest), tritonserver (its program), draft
    (configuration of a draft model, or None), draft_checkpoint (likewise), draft_tokens (guessed at once at most)."""
    here = assemble.HERE
    parts = tuple(sorted([*(here / "templates").glob("*.pbtxt"), *(here / "parts").glob("*.py")]))
    tools = {"gpu": options["gpu"], "image": options["image"], "tensorrt_llm": tensorrt_llm_version()}
    drafted: dict | None = options["draft"]
    guessed = {"draft_tokens": options["draft_tokens"]} if drafted else {}
    model = [
        quantize_step("quantize", "fetch", config, options, tools),
        Step(
            "engine",
            lambda out, done: call(engine_command(done["quantize"], out, config, options)),
            settings={
                **tools,
                **guessed,
                "batch": options["batch"],
                "serve": config["serve"],
                "targets": config["train"]["targets"],
            },
            needs=("quantize",),
            gpu=True,
        ),
    ]
    plan = [fetch_step("fetch", config, options["checkpoint"]), *model]
    if drafted:
        # Whether the two fit each other is known before the first hour on the GPU.
        names = (config["name"], drafted["name"])
        check = Step(
            "draft-check",
            lambda out, done: draft.check_tokenizers(out, done["fetch"], done["draft-fetch"], names),
            files=(here / "draft.py",),
            needs=("fetch", "draft-fetch"),
        )
        engine = Step(
            "draft-engine",
            lambda out, done: call(draft_engine_command(done["draft-quantize"], out, config, options)),
            settings={**tools, "batch": options["batch"], "context": config["serve"]["context"]},
            needs=("draft-quantize",),
            gpu=True,
        )
        before = [plan[0], fetch_step("draft-fetch", drafted, options["draft_checkpoint"]), check]
        plan = [*before, *model, quantize_step("draft-quantize", "draft-fetch", drafted, options, tools), engine]
    return [
        *plan,
        Step(
            "repository",
            lambda out, done: repository(out, done, config, options),
            settings={"batch": options["batch"], **guessed},
            files=parts,
            needs=("fetch", "engine", *(("draft-check", "draft-engine") if drafted else ())),
        ),
        Step(
            "smoke",
            lambda out, done: smoke.run(out, done["repository"], options["tritonserver"], guessed.get("draft_tokens", 0)),
            settings=tools,
            files=(here / "smoke.py",),
            needs=("repository",),
            gpu=True,
        ),
    ]


def fetch_step(name: str, config: dict, checkpoint: Path | None) -> Step:
    """The checkpoint of a model, or the one that is here already."""
    given = {"folder": str(checkpoint.resolve())} if checkpoint else {}
    kinds = ("*.json", "*.safetensors")
    files = tuple(file for kind in kinds for file in sorted(checkpoint.glob(kind))) if checkpoint else ()
    settings = {"source": config["source"], **given}
    return Step(name, lambda out, _: fetch(out, config, checkpoint), settings=settings, files=files, keeps=True)


def quantize_step(name: str, after: str, config: dict, options: dict, tools: dict) -> Step:
    """A checkpoint in the form that `serve` of its configuration names."""
    return Step(
        name,
        lambda out, done: call(quantize_command(done[after], out, config, options)),
        settings={**tools, "calibration": options["calibration"], "weights": config["serve"]["weights"]},
        needs=(after,),
        gpu=True,
    )


def fetch(out: Path, config: dict, checkpoint: Path | None) -> None:
    """The checkpoint at its revision, whole; an interrupted download goes on. A folder that is given is linked to instead of
    copied. Throws a BuildFailure for another model than the configuration's."""
    if checkpoint is None:
        try:
            from huggingface_hub import snapshot_download
        except ImportError as error:
            raise BuildFailure("fetching needs the package huggingface_hub; or give --checkpoint DIR") from error
        try:
            snapshot_download(
                config["source"]["repository"],
                revision=config["source"]["revision"],
                local_dir=out,
                allow_patterns=["*.json", "*.safetensors", "*.jinja", "LICENSE*"],
            )
        except Exception as error:  # a network fails in many ways
            raise BuildFailure(
                f"{config['source']['repository']} could not be fetched ({error}). A gated model needs HF_TOKEN; "
                "run it again to go on, or give --checkpoint DIR"
            ) from error
        shutil.rmtree(out / ".cache", ignore_errors=True)
    else:
        for file in sorted(checkpoint.iterdir()):
            if file.is_file() and not (out / file.name).exists():
                os.symlink(file.resolve(), out / file.name)
    check_checkpoint(out, config)


def check_checkpoint(folder: Path, config: dict) -> None:
    """Throws a BuildFailure for a checkpoint that is cut off or is another model."""
    arch = config["architecture"]
    try:
        found = json.loads((folder / "config.json").read_text("utf8"))
    except (OSError, ValueError) as error:
        raise BuildFailure(f"the checkpoint has no config.json that can be read ({error})") from error
    wanted = {"model_type": "family", "hidden_size": "hidden", "num_hidden_layers": "layers", "vocab_size": "vocabulary"}
    other = [f"{name} {found.get(name)}, not {arch[key]}" for name, key in wanted.items() if found.get(name) != arch[key]]
    if other:
        raise BuildFailure(f"the checkpoint is no {config['name']}: {'; '.join(other)}")
    index = folder / "model.safetensors.index.json"
    shards = set(json.loads(index.read_text("utf8"))["weight_map"].values()) if index.is_file() else {"model.safetensors"}
    missing = sorted(shard for shard in shards if not (folder / shard).is_file())
    if missing:
        raise BuildFailure(f"the checkpoint lacks {missing[0]}: fetch it again")


def quantize_command(checkpoint: Path, out: Path, config: dict, options: dict) -> list[str]:
    """TensorRT-LLM's own quantization (by ModelOpt): its engines are built from no other kind of checkpoint."""
    forms = {"awq": ["int4_awq", "--awq_block_size", "128"], "fp8": ["fp8"], "int8": ["int8_sq"]}
    form = config["serve"]["weights"]
    if form not in forms:
        raise BuildFailure(f"serve.weights is {form}; an engine is built from one of {', '.join(forms)}")
    kv = [] if config["serve"]["kv"] == "bf16" else ["--kv_cache_dtype", config["serve"]["kv"]]
    return [
        sys.executable,
        str(options["examples"] / "quantization" / "quantize.py"),
        *("--model_dir", str(checkpoint), "--output_dir", str(out), "--dtype", "bfloat16"),
        *("--qformat", *forms[form], *kv, "--calib_size", str(options["calibration"])),
    ]


def engine_command(checkpoint: Path, out: Path, config: dict, options: dict) -> list[str]:
    """trtllm-build, with KV blocks that are reused, chunked prompts and room for the characters' adapters. Where a draft
    model guesses, the engine takes so many guessed tokens in one step."""
    serve = config["serve"]
    guesses = ["--speculative_decoding_mode", "draft_tokens_external", "--max_draft_len", str(options["draft_tokens"])]
    return [
        *build_command(checkpoint, out, serve["context"], options["batch"]),
        *("--lora_plugin", "bfloat16", "--max_lora_rank", str(serve["max_lora_rank"])),
        *("--lora_target_modules", *(LORA_MODULES[name] for name in config["train"]["targets"])),
        *(guesses if options["draft"] else ()),
    ]


def draft_engine_command(checkpoint: Path, out: Path, config: dict, options: dict) -> list[str]:
    """The same for a draft model, which reads what the model itself reads and has no adapters."""
    return build_command(checkpoint, out, config["serve"]["context"], options["batch"])


def build_command(checkpoint: Path, out: Path, context: int, batch: int) -> list[str]:
    """What the engines have in common."""
    return [
        "trtllm-build",
        *("--checkpoint_dir", str(checkpoint), "--output_dir", str(out)),
        *("--gpt_attention_plugin", "bfloat16", "--gemm_plugin", "bfloat16"),
        *("--kv_cache_type", "paged", "--remove_input_padding", "enable", "--use_paged_context_fmha", "enable"),
        *("--max_batch_size", str(batch), "--max_input_len", str(context), "--max_seq_len", str(context)),
        *("--max_num_tokens", str(max(context, 4096)), "--max_beam_width", "1"),
    ]


def repository(out: Path, done: dict[str, Path], config: dict, options: dict) -> None:
    """The model repository with the engine in it. Its path in config.pbtxt is where Triton finds it once published."""
    place = f"{options['publish']}/current/repository"
    guessed = options["draft_tokens"] if options["draft"] else 0
    fields = assemble.repository_fields(config, done["fetch"], place, options["batch"], guessed)
    assemble.assemble(out, done["fetch"], fields, done["engine"], done.get("draft-engine"))


def call(command: list[str], run: Callable[..., subprocess.CompletedProcess] = subprocess.run) -> None:
    """Runs a tool, its output going to ours. Throws a BuildFailure when it is missing or fails."""
    try:
        ended = run(command, check=False)
    except FileNotFoundError as error:
        raise BuildFailure(f"{command[0]} is not here: run this step in the image with TensorRT-LLM (README.md)") from error
    if ended.returncode != 0:
        raise BuildFailure(f"{' '.join(command[:2])} ended with {ended.returncode}; its own words are above")


def tensorrt_llm_version() -> str:
    """The version of TensorRT-LLM here, or `none`."""
    try:
        return importlib.metadata.version("tensorrt_llm")
    except importlib.metadata.PackageNotFoundError:
        return "none"
