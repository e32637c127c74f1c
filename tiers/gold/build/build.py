#!/usr/bin/env python3
"""From a Hugging Face checkpoint to a published Triton model repository: `build`, `rollback`, `assemble`, `job`.

See "From checkpoint to talking character" in tiers/gold/README.md. Needs PyYAML; the steps need what steps.py says.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from string import Template

import yaml
from assemble import HERE, assemble, repository_fields
from draft import MOST_TOKENS, read_draft
from graph import BuildFailure, run_steps, tree_hashes
from publish import publish, rollback
from steps import steps, tensorrt_llm_version

MODELS = HERE.parents[2] / "training" / "models"


def main(arguments: list[str]) -> int:
    """Runs one command; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    rows = parser.add_subparsers(dest="command", required=True)
    build = rows.add_parser("build", help="all steps; those that are unchanged are not run again")
    build.add_argument("model")
    build.add_argument("--work", type=Path, required=True, help="folder for the steps")
    build.add_argument("--publish", type=Path, required=True, help="folder that Triton reads: current/repository in it")
    build.add_argument("--checkpoint", type=Path, help="a checkpoint that is here already")
    build.add_argument("--examples", type=Path, default=Path("/app/tensorrt_llm/examples"), help="of TensorRT-LLM")
    build.add_argument("--calibration", type=int, default=512, help="samples to quantize with")
    build.add_argument("--batch", type=int, default=64, help="streams at once")
    build.add_argument("--gpu", default="", help="the GPU's name, part of the cache's key: an engine runs on its kind alone")
    build.add_argument("--image", default="", help="the image by digest, likewise")
    build.add_argument("--tritonserver", default="tritonserver")
    build.add_argument("--draft", default="", help="a draft model of drafts.yaml that guesses ahead; none when empty")
    build.add_argument("--draft-checkpoint", type=Path, help="its checkpoint, if that is here already")
    build.add_argument("--draft-tokens", type=int, default=4, help="tokens that it guesses at once at most")
    build.add_argument("--until", help="the last step to run (fetch, quantize, engine, repository, smoke, or one with draft-)")
    parts = rows.add_parser("assemble", help="the repository without its engine, from a checkpoint's tokenizer")
    parts.add_argument("model")
    parts.add_argument("--checkpoint", type=Path, required=True)
    parts.add_argument("--out", type=Path, required=True)
    back = rows.add_parser("rollback", help="makes the release before, or one by its name, current again")
    back.add_argument("--publish", type=Path, required=True)
    back.add_argument("--to")
    job = rows.add_parser("job", help="prints the Kubernetes Job that builds a model")
    job.add_argument("model")
    job.add_argument("--image", required=True, help="image with TensorRT-LLM and Triton, by digest: NAME@sha256:…")
    job.add_argument("--gpu", required=True, help="the nodes' label nvidia.com/gpu.product, such as NVIDIA-L4")
    job.add_argument("--draft", default="", help="as of `build`")
    job.add_argument("--claim", default="parley-engines", help="the volume that holds steps and releases")
    options = parser.parse_args(arguments)
    try:
        COMMANDS[options.command](options)
    except BuildFailure as failure:
        print(f"{options.command}: {failure}", file=sys.stderr)
        return 1
    return 0


def build_command(options: argparse.Namespace) -> None:
    """Runs the steps; publishes after the last of them."""
    config = read_config(options.model)
    if not 1 <= options.draft_tokens <= MOST_TOKENS:
        raise BuildFailure(f"--draft-tokens {options.draft_tokens} is not between 1 and {MOST_TOKENS}")
    if options.draft_checkpoint and not options.draft:
        raise BuildFailure("--draft-checkpoint is of the model that --draft names, and none is named")
    options.draft = read_draft(options.draft) if options.draft else None
    plan = steps(config, vars(options))
    done = run_steps(plan, options.work, options.until)
    if options.until and options.until != plan[-1].name:
        return
    about = manifest(config, options, done)
    print(f"published: {publish(done['repository'], about, options.publish)}")


def manifest(config: dict, options: argparse.Namespace, done: dict[str, Path]) -> dict:
    """What a release was made of. `quality` is filled by `npm run eval` against it, which is not this script's business."""
    smoked = json.loads((done["smoke"] / "smoke.json").read_text("utf8"))
    key = done["smoke"].name.rsplit("-", 1)[1]
    return {
        "id": f"{config['name']}-{key}",
        "model": config["name"],
        "source": config["source"],
        "quantization": {"weights": config["serve"]["weights"], "kv": config["serve"]["kv"], "samples": options.calibration},
        "engine": {"tensorrt_llm": tensorrt_llm_version(), "gpu": options.gpu, "image": options.image},
        "built": datetime.now(UTC).isoformat(timespec="seconds"),
        "draft": draft_manifest(options, done),
        "smoke": smoked,
        "speed": {"msPerToken": smoked["msPerToken"]},
        "quality": None,
        "hashes": tree_hashes(done["repository"]),
    }


def draft_manifest(options: argparse.Namespace, done: dict[str, Path]) -> dict | None:
    """What the draft model of a release is, or None. Its engine's hashes are among those of the repository."""
    if options.draft is None:
        return None
    serve = options.draft["serve"]
    return {
        "model": options.draft["name"],
        "source": options.draft["source"],
        "quantization": {"weights": serve["weights"], "kv": serve["kv"], "samples": options.calibration},
        "tokens": options.draft_tokens,
        "tokenizer": json.loads((done["draft-check"] / "tokenizer.json").read_text("utf8"))["sha256"],
        "hashes": tree_hashes(done["draft-fetch"]),
    }


def assemble_command(options: argparse.Namespace) -> None:
    """Everything of the repository that needs no GPU."""
    fields = repository_fields(read_config(options.model), options.checkpoint, str(options.out.resolve()))
    assemble(options.out, options.checkpoint, fields, None)
    print(options.out)


def rollback_command(options: argparse.Namespace) -> None:
    """Makes an earlier release current."""
    print(f"current: {rollback(options.publish, options.to)}")


def job_command(options: argparse.Namespace) -> None:
    """Fills job.yaml. An image by tag is refused: the engine must be built by what will run it."""
    read_config(options.model)
    if options.draft:
        read_draft(options.draft)
    if not re.fullmatch(r"[\w./:-]+@sha256:[0-9a-f]{64}", options.image):
        raise BuildFailure(f"--image {options.image} is no image by digest (NAME@sha256: and 64 hex digits)")
    for name, value in (("--gpu", options.gpu), ("--claim", options.claim)):
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", value):
            raise BuildFailure(f"{name} {value!r} is no name that Kubernetes takes")
    fields = {name: getattr(options, name) for name in ("model", "image", "gpu", "claim", "draft")}
    fields["name"] = re.sub(r"[^a-z0-9-]", "-", options.model)
    print(Template((HERE / "job.yaml").read_text("utf8")).substitute(fields), end="")


def read_config(model: str) -> dict:
    """The configuration of training/models (checked there in full by parley_training.configs)."""
    file = MODELS / f"{model}.yaml"
    if not file.is_file():
        raise BuildFailure(f"there is no model {model}; there are {', '.join(sorted(f.stem for f in MODELS.glob('*.yaml')))}")
    return yaml.safe_load(file.read_text("utf8"))


COMMANDS = {
    "build": build_command,
    "assemble": assemble_command,
    "rollback": rollback_command,
    "job": job_command,
}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
