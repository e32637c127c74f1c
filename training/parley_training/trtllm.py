"""`trtllm`: a PEFT folder as the two tensors that TensorRT-LLM takes with `lora_task_id`: lora_weights and lora_config.

Writes NumPy files; sends nothing. Layout and module numbers: TensorRT-LLM's documentation of LoRA and its lora_manager.
"""

import argparse
import json
import math
import re
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

from .failure import TrainingFailure

MODULES = {
    "q_proj": 1,
    "k_proj": 2,
    "v_proj": 3,
    "o_proj": 4,
    # The gated MLP: what the activation runs over is h_to_4h there, and what it is multiplied with is called gate.
    "gate_proj": 5,
    "down_proj": 6,
    "up_proj": 7,
}
"""TensorRT-LLM's module numbers: attn_q, attn_k, attn_v, attn_dense, mlp_h_to_4h, mlp_4h_to_h, mlp_gate."""

WEIGHTS_NAME = "model.lora_weights.npy"
CONFIG_NAME = "model.lora_config.npy"
_PLACE = re.compile(r"\.layers\.(\d+)\.(?:self_attn|mlp)\.(\w+)\.lora_([AB])\.(?:default\.)?weight$")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("--peft", type=Path, required=True, help="PEFT folder of an adapter")
    parser.add_argument("--out", type=Path, required=True, help="folder for the two files")


def run(options: argparse.Namespace) -> None:
    """Converts and writes."""
    weights, config = convert(options.peft)
    write(weights, config, options.out)
    print(json.dumps({"out": str(options.out), "rows": len(config), "bytes": weights.nbytes}), flush=True)


def convert(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """`lora_weights` (1, rows, widest) in float16 and `lora_config` (1, rows, 3) in int32, the 1 being the batch.

    One row for each adapted matrix of each layer: A (rank, inputs) flattened, then B (outputs, rank) flattened, then
    zeros. B is multiplied with PEFT's scale, since TensorRT-LLM applies none. A row of the config is module, layer, rank.
    Throws a TrainingFailure for an adapter that TensorRT-LLM cannot take.
    """
    try:
        about = json.loads((folder / "adapter_config.json").read_text("utf8"))
        tensors = load_file(folder / "adapter_model.safetensors")
    except (OSError, ValueError) as error:
        raise TrainingFailure(f"{folder} is no PEFT folder: {error}") from error
    check(about, folder)
    scale = about["lora_alpha"] / (math.sqrt(about["r"]) if about.get("use_rslora") else about["r"])
    pairs: dict[tuple[int, int], dict[str, torch.Tensor]] = {}
    for name, tensor in tensors.items():
        place = _PLACE.search(name)
        if place is None or place[2] not in MODULES:
            raise TrainingFailure(f"{name} has no module in TensorRT-LLM; adapt {', '.join(MODULES)} alone")
        pairs.setdefault((int(place[1]), MODULES[place[2]]), {})[place[3]] = tensor.float()
    if not pairs:
        raise TrainingFailure(f"{folder} holds no matrix")
    rows, config = [], []
    for (layer, module), pair in sorted(pairs.items()):
        if set(pair) != {"A", "B"} or pair["A"].shape[0] != pair["B"].shape[1]:
            raise TrainingFailure(f"layer {layer}, module {module}: A and B of one rank are needed")
        row = torch.cat([pair["A"].flatten(), (pair["B"] * scale).flatten()])
        if row.abs().max() > np.finfo(np.float16).max:
            raise TrainingFailure(f"layer {layer}, module {module} holds weights that 16 bits cannot")
        rows.append(row.to(torch.float16))
        config.append([module, layer, pair["A"].shape[0]])
    widest = max(len(row) for row in rows)
    weights = torch.stack([torch.nn.functional.pad(row, (0, widest - len(row))) for row in rows])
    return weights.numpy()[None], np.array(config, np.int32)[None]


def check(about: dict, folder: Path) -> None:
    """Throws a TrainingFailure for a kind of adapter that would be served wrong: DoRA, biases, trained heads, own ranks."""
    extras = [
        name
        for name in ("use_dora", "modules_to_save", "rank_pattern", "alpha_pattern", "fan_in_fan_out")
        if about.get(name)
    ]
    if about.get("bias", "none") != "none":
        extras.append("bias")
    if about.get("peft_type") != "LORA" or extras:
        what = ", ".join(extras) or about.get("peft_type")
        raise TrainingFailure(f"{folder} uses {what}, which is not exported. Train a plain LoRA")


def product(weights: np.ndarray, config: np.ndarray, row: int, inputs: int, outputs: int) -> np.ndarray:
    """What row `row` adds to its matrix: B A (outputs, inputs) in float32, read back as TensorRT-LLM reads it."""
    rank = int(config[0, row, 2])
    flat = weights[0, row].astype(np.float32)
    a = flat[: rank * inputs].reshape(rank, inputs)
    b = flat[rank * inputs : rank * (inputs + outputs)].reshape(outputs, rank)
    return b @ a


def write(weights: np.ndarray, config: np.ndarray, out: Path) -> None:
    """Writes both files, each whole or not at all."""
    out.mkdir(parents=True, exist_ok=True)
    for name, array in ((WEIGHTS_NAME, weights), (CONFIG_NAME, config)):
        part = out / f".{name}.part"
        with part.open("wb") as handle:
            np.save(handle, array)
        part.replace(out / name)
