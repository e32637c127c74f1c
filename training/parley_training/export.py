"""`export`: writes an adapter as GGUF for the llama engine and as a PEFT folder for vLLM and TensorRT-LLM.

Only whole matrices in GGUF's own order are written, so that the engine computes what was trained. Does not load the engine.
"""

import argparse
import json
import shutil
from pathlib import Path

import gguf
import numpy as np
import torch
from peft import PeftModel
from peft.tuners.lora import LoraLayer
from safetensors.torch import load_file

from . import base as bases
from .base import Base
from .failure import TrainingFailure
from .lora import TARGETS

GGUF_NAME = "adapter.gguf"
MANIFEST_NAME = "manifest.json"
PEFT_NAME = "peft"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `export`, for an adapter that was trained elsewhere or whose export was lost."""
    parser.add_argument("--base", type=Path, default=bases.default_base(), help="GGUF file of the base model")
    parser.add_argument("--peft", type=Path, required=True, help="PEFT folder, or a checkpoint of a run")
    parser.add_argument("--out", type=Path, required=True, help="folder for the adapter")
    parser.add_argument("--bits", type=int, choices=(16, 32), default=32, help="of a number in the GGUF file")


def run(options: argparse.Namespace) -> None:
    """Exports a PEFT folder. A manifest that lies beside it goes with the adapter, and so does the folder itself."""
    base = bases.inspect(options.base)
    matrices, rank, alpha = from_peft(options.peft)
    options.out.mkdir(parents=True, exist_ok=True)
    about = {"kind": "export", "base": {"name": base.name, "file": base.file.name, "sha256": base.sha256}}
    before = options.peft.resolve().parent / MANIFEST_NAME
    if before.is_file():
        about = json.loads(before.read_text("utf8"))
        if about["base"]["sha256"] != base.sha256:
            raise TrainingFailure(f"{options.peft} was trained on {about['base']['file']}; name that file by --base")
    file = options.out / GGUF_NAME
    write_gguf(file, matrices, rank=rank, alpha=alpha, base=base, about=about, bits=options.bits)
    about["adapter"] = adapter_entry(file)
    target = options.out / PEFT_NAME
    target.mkdir(exist_ok=True)
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        if options.peft.resolve() != target.resolve():
            shutil.copyfile(options.peft / name, target / name)
    write_manifest(options.out, about)
    print(json.dumps(about["adapter"]), flush=True)


def write(model: PeftModel, base: Base, about: dict, out: Path) -> Path:
    """Writes `adapter.gguf`, `manifest.json` and `peft/` into `out`; returns the GGUF file. `about` is the manifest, to
    which the adapter's name, hash and size are added."""
    out.mkdir(parents=True, exist_ok=True)
    config = model.peft_config["default"]
    file = out / GGUF_NAME
    write_gguf(file, matrices_of(model), rank=config.r, alpha=config.lora_alpha, base=base, about=about)
    model.save_pretrained(str(out / PEFT_NAME))
    about["adapter"] = adapter_entry(file)
    write_manifest(out, about)
    return file


def adapter_entry(file: Path) -> dict:
    """What a manifest says of a GGUF adapter."""
    return {"file": file.name, "sha256": bases.sha256(file), "bytes": file.stat().st_size}


def write_manifest(out: Path, about: dict) -> None:
    """Writes `manifest.json` into a folder."""
    (out / MANIFEST_NAME).write_text(json.dumps(about, indent=2) + "\n", "utf8")


def matrices_of(model: PeftModel) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """Of each adapted matrix, by its GGUF name, A (rank, inputs) and B (outputs, rank)."""
    found = {}
    for name, module in model.named_modules():
        if isinstance(module, LoraLayer):
            pair = (module.lora_A["default"].weight, module.lora_B["default"].weight)
            found[gguf_name(name)] = tuple(tensor.detach().float().cpu() for tensor in pair)
    return found


def from_peft(folder: Path) -> tuple[dict[str, tuple[torch.Tensor, torch.Tensor]], int, int]:
    """Matrices, rank and alpha of a PEFT folder."""
    try:
        config = json.loads((folder / "adapter_config.json").read_text("utf8"))
        weights = load_file(folder / "adapter_model.safetensors")
    except OSError as error:
        raise TrainingFailure(f"{folder} is no PEFT folder: {error}") from error
    pairs: dict[str, dict[str, torch.Tensor]] = {}
    for name, tensor in weights.items():
        module, _, which = name.removesuffix(".weight").rpartition(".")
        pairs.setdefault(gguf_name(module), {})[which] = tensor.float()
    return (
        {name: (pair["lora_A"], pair["lora_B"]) for name, pair in pairs.items()},
        config["r"],
        config["lora_alpha"],
    )


def gguf_name(module: str) -> str:
    """`blk.3.attn_v` for a module `….layers.3.self_attn.v_proj`. Throws a TrainingFailure for one that GGUF reorders."""
    parts = module.split(".")
    if "layers" not in parts or parts[-1] not in TARGETS:
        raise TrainingFailure(f"{module} has no exact place in a GGUF adapter; adapt {', '.join(TARGETS)} alone")
    return f"blk.{parts[parts.index('layers') + 1]}.{TARGETS[parts[-1]]}"


def write_gguf(
    file: Path,
    matrices: dict[str, tuple[torch.Tensor, torch.Tensor]],
    *,
    rank: int,
    alpha: int,
    base: Base,
    about: dict,
    bits: int = 32,
) -> None:
    """Writes a GGUF adapter of 32 bits, or of 16: half as large, but the engine then converts what it multiplies, and keeps
    0.92 of its tokens a second instead of 0.96 (v, o and down at rank 16, one thread). Throws a TrainingFailure, before anything is written, for an adapter of another base:
    a matrix that the base does not have, or of another shape."""
    check_shapes(matrices, base, rank)
    number = np.float16 if bits == 16 else np.float32
    part = file.with_suffix(".part")
    writer = gguf.GGUFWriter(str(part), base.architecture)
    writer.add_type(gguf.GGUFType.ADAPTER)
    writer.add_name(f"parley-{about['kind']}")
    writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
    writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, float(alpha))
    writer.add_string("parley.base.sha256", base.sha256)
    writer.add_string("parley.kind", about["kind"])
    if "data" in about:
        writer.add_string("parley.data.sha256", about["data"]["sha256"])
        writer.add_uint32("parley.seed", about["settings"]["seed"])
    for name, (a, b) in sorted(matrices.items(), key=lambda item: _order(item[0])):
        for which, tensor in (("lora_a", a), ("lora_b", b)):
            writer.add_tensor(f"{name}.weight.{which}", tensor.numpy().astype(number))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    part.replace(file)


def check_shapes(matrices: dict[str, tuple[torch.Tensor, torch.Tensor]], base: Base, rank: int) -> None:
    """Throws a TrainingFailure that names the first matrix that does not fit the base."""
    if not matrices:
        raise TrainingFailure("the adapter holds no matrix")
    for name, (a, b) in matrices.items():
        wanted = base.shapes.get(name)
        if wanted is None:
            raise TrainingFailure(f"the adapter is for another base: {base.name} has no {name}")
        if (b.shape[0], a.shape[1]) != wanted or a.shape[0] != rank or b.shape[1] != rank:
            raise TrainingFailure(
                f"the adapter is for another base: {name} is {wanted[0]} x {wanted[1]} in {base.name}, and the adapter's is "
                f"{b.shape[0]} x {a.shape[1]} of rank {a.shape[0]}"
            )


def check_base(adapter: Path, base: Base) -> None:
    """Throws a TrainingFailure when a GGUF adapter was made for another base than this file."""
    try:
        reader = gguf.GGUFReader(adapter)
    except Exception as error:  # the reader fails in as many ways as a file can be cut
        raise TrainingFailure(f"the adapter {adapter} is damaged or missing ({error}). Export it again") from error
    field = reader.get_field("parley.base.sha256")
    if field is None or field.contents() != base.sha256:
        made = "an unknown base" if field is None else f"the base {str(field.contents())[:12]}"
        raise TrainingFailure(
            f"the adapter {adapter} was made for {made}, and {base.file.name} is {base.sha256[:12]}. Train it on this base, "
            "or give its own by --base"
        )


def _order(name: str) -> tuple[int, str]:
    _, layer, rest = name.split(".", 2)
    return int(layer), rest
