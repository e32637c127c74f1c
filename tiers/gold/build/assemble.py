"""Assembles a Triton model repository: configurations filled from templates, the Python parts, the checkpoint's own
tokenizer, the engine. Checks that every field is filled and that the models fit together. Needs no GPU."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from string import Template

from graph import BuildFailure

HERE = Path(__file__).resolve().parent
PYTHON_PARTS = ("tokenize", "preprocessing", "postprocessing", "tensorrt_llm_bls")
MODELS = (*PYTHON_PARTS, "tensorrt_llm", "ensemble")
DRAFT = "tensorrt_llm_draft"
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "generation_config.json", "config.json")
TEMPLATE_NAMES = {"qwen2": "chatml", "llama": "llama3"}
"""Names of tiers/gold/triton/chat-templates.ts, by the architecture's family."""


def assemble(
    out: Path, checkpoint: Path, fields: dict[str, str], engine: Path | None, draft: Path | None = None
) -> None:
    """Writes the repository into `out`. Without an engine `tensorrt_llm` and `ensemble` are left out: the rest can be loaded
    on a machine without a GPU. With the engine of a draft model it stands beside `tensorrt_llm`, and `tensorrt_llm_bls` asks
    it. Throws a BuildFailure for a field that is missing or unknown."""
    models = MODELS if engine is not None else PYTHON_PARTS
    used: set[str] = set()
    for name in models if draft is None else (*models, DRAFT):
        text = template(name, draft is not None)
        used |= set(re.findall(r"\$\{(\w+)\}", text))
        try:
            filled = Template(text).substitute(fields | {"model": name})
        except (KeyError, ValueError) as error:
            raise BuildFailure(f"the field {error} of {name}/config.pbtxt has no value") from error
        check_filled(name, filled)
        (out / name / "1").mkdir(parents=True, exist_ok=True)
        (out / name / "config.pbtxt").write_text(filled, "utf8")
        if name in PYTHON_PARTS:
            shutil.copy(HERE / "parts" / f"{name}.py", out / name / "1" / "model.py")
            shutil.copy(HERE / "parts" / "text.py", out / name / "1" / "text.py")
            copy_tokenizer(checkpoint, out / name / "1")
    if engine is not None:
        unknown = set(fields) - used
        if unknown:
            raise BuildFailure(f"no template has the field {', '.join(sorted(unknown))}")
    for name, built in (("tensorrt_llm", engine), (DRAFT, draft)):
        if built is not None:
            shutil.copytree(built, out / name / "1", dirs_exist_ok=True, ignore=shutil.ignore_patterns("done.json"))


def template(name: str, drafts: bool) -> str:
    """The configuration of a model, with its fields. A draft model's differs from the other engine's in its share of memory,
    and `tensorrt_llm_bls` has more tensors beside one."""
    text = (HERE / "templates" / f"{'tensorrt_llm' if name == DRAFT else name}.pbtxt").read_text("utf8")
    if name == DRAFT:
        return text.replace("${kv_cache_free_gpu_mem_fraction}", "${draft_kv_cache_free_gpu_mem_fraction}")
    if name == "tensorrt_llm_bls" and drafts:
        text += (HERE / "templates" / "draft.pbtxt").read_text("utf8")
    return text


def check_filled(name: str, text: str) -> None:
    """Throws a BuildFailure when a configuration still has a placeholder or an empty value."""
    left = re.search(r"\$\{?\w*\}?|string_value: \"\"", text)
    if left:
        raise BuildFailure(f"{name}/config.pbtxt still has {left[0]!r}")


def copy_tokenizer(checkpoint: Path, folder: Path) -> None:
    """Puts the checkpoint's tokenizer beside a Python part. Throws a BuildFailure for a checkpoint without one."""
    if not (checkpoint / "tokenizer.json").is_file():
        raise BuildFailure(f"{checkpoint} has no tokenizer.json: fetch the whole checkpoint")
    for file in TOKENIZER_FILES:
        if (checkpoint / file).is_file():
            shutil.copy(checkpoint / file, folder / file)


def repository_fields(config: dict, checkpoint: Path, release: str, batch: int = 64, guessed: int = 0) -> dict[str, str]:
    """The values of all templates, from a model's configuration (training/models) and its checkpoint. `guessed` is how many
    tokens a draft model guesses at once at most; 0 where there is none."""
    serve = config["serve"]
    ends = end_ids(checkpoint)
    return {
        "max_batch_size": str(batch),
        "repository": release,
        "chat_template": TEMPLATE_NAMES[config["architecture"]["family"]],
        # Of what is free when an engine is loaded: two that are loaded in any order must leave room for each other.
        "kv_cache_free_gpu_mem_fraction": "0.6" if guessed else "0.9",
        **({"draft_kv_cache_free_gpu_mem_fraction": "0.3", "max_draft_tokens": str(guessed)} if guessed else {}),
        # Looked at ten times as often as its default: an answer that nobody hears costs a batch slot until then.
        "cancellation_check_period_ms": "10",
        "stats_check_period_ms": "100",
        "lora_cache_max_adapter_size": str(serve["max_lora_rank"]),
        "lora_cache_optimal_adapter_size": str(config["train"]["rank"]),
        "lora_cache_gpu_memory_fraction": "0.05",
        "lora_cache_host_memory_bytes": str(1 << 30),
        "end_id": str(ends[0]),
        "max_queue_size": str(4 * batch),
        "instances": "4",
    }


def end_ids(checkpoint: Path) -> list[int]:
    """The tokens that end a turn, as generation_config.json or config.json of a checkpoint has them."""
    for name in ("generation_config.json", "config.json"):
        file = checkpoint / name
        ids = json.loads(file.read_text("utf8")).get("eos_token_id") if file.is_file() else None
        if ids is not None:
            return ids if isinstance(ids, list) else [ids]
    raise BuildFailure(f"{checkpoint} names no end of a turn (eos_token_id)")
