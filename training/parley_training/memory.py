"""What a model needs of a GPU's memory, worked out before one is rented: to train its adapter, and to serve with it.

Arithmetic alone, from training/models/*.yaml; measures nothing. The allowances that no figure of a model gives are
named below. 1 GiB is 2**30 bytes.
"""

import argparse
from dataclasses import dataclass

from .configs import ModelConfig, load, names
from .failure import TrainingFailure

GIB = 2**30


@dataclass(frozen=True)
class Gpu:
    """A GPU: the memory that its driver reports, in MiB, and whether its tensor cores know 8-bit floats."""

    title: str
    mib: int
    fp8: bool

    @property
    def bytes(self) -> int:
        """All of its memory."""
        return self.mib * 2**20


GPUS = {
    "L4": Gpu("L4 24 GB", 23_034, True),
    "A10G": Gpu("A10G 24 GB", 23_028, False),
    "L40S": Gpu("L40S 48 GB", 46_068, True),
    "A100": Gpu("A100 80 GB", 81_920, False),
    "H100": Gpu("H100 80 GB", 81_559, True),
}

NF4_BITS = 4.127
"""Bits a weight takes in 4-bit NormalFloat with its constants quantized again (QLoRA, arXiv 2305.14314)."""
AWQ_GROUP = 128
"""Weights that share a 16-bit scale and a 4-bit zero point."""
ADAPTER_TRAIN_BYTES = 16
"""Of each trained weight: itself, its gradient and Adam's two moments, all in float32."""
ANSWER_SHARE = 0.25
"""Tokens of a pack whose logits are worked out: answers alone, about a quarter of what follows and precedes them."""
LOGIT_COPIES = 3
"""Logits in float32, their softmax, their gradient."""
TRAIN_OVERHEAD = 1.5 * GIB
"""CUDA's context, library workspaces and what the allocator leaves unused."""
SERVE_SHARE = 0.9
"""Of the GPU that an engine may take (vLLM's --gpu-memory-utilization, the backend's free fraction)."""
SERVE_OVERHEAD = 1.5 * GIB
"""Activations of one batch, CUDA graphs and workspaces of an engine."""


@dataclass(frozen=True)
class Training:
    """Bytes that training takes, part by part; `base` is the form of the frozen weights."""

    base: str
    weights: float
    adapter: float
    activations: float
    logits: float

    @property
    def total(self) -> float:
        """All of it, with the overhead."""
        return self.weights + self.adapter + self.activations + self.logits + TRAIN_OVERHEAD


@dataclass(frozen=True)
class Serving:
    """Bytes that serving takes. `kv_token` is of one token, `free` is left for KV; `characters` stay pinned in it beside the
    streams that run at once (0: they do not fit)."""

    weights_form: str
    kv_form: str
    weights: float
    adapters: float
    kv_token: int
    free: float
    characters: int


def weight_bytes(config: ModelConfig, form: str) -> float:
    """Bytes of all weights as bf16, nf4, awq, fp8 or int8. Only the matrices of the layers are quantized; embedding, head,
    norms and biases stay in 16 bits."""
    linear = config.architecture.linear_parameters()
    rest = 2 * (config.architecture.parameters() - linear)
    rows = config.architecture.layers * sum(rows for rows, _ in config.architecture.matrices().values())
    by_form = {
        "bf16": 2 * linear,
        "nf4": linear * NF4_BITS / 8,
        "awq": linear * (4 + (16 + 4) / AWQ_GROUP) / 8,
        "fp8": linear + 2 * rows,  # a 16-bit scale for each row
        "int8": linear + 2 * rows,
    }
    return by_form[form] + rest


def training(config: ModelConfig, gpu: str) -> Training:
    """What training its adapter takes on a GPU, in the form of base that the configuration names for it.

    Activations in 16 bits. With checkpointing the input of each layer is kept and one layer at a time is worked out
    again: its norms, projections, attention and the four products of the gated MLP, once more for their gradients.
    """
    arch, train = config.architecture, config.train
    if gpu not in train.base:
        raise TrainingFailure(f"{config.name} names no base for {gpu}: add it under train.base in its file")
    tokens = train.sequence * train.batch
    attention = (arch.heads + 2 * arch.kv_heads) * arch.head_size
    # In and out of both norms and residuals; projections before and after rotation; what attention gives; gate, up,
    # activation and product.
    layer = tokens * 2 * (4 * arch.hidden + 2 * attention + arch.heads * arch.head_size + 4 * arch.intermediate)
    kept = tokens * 2 * arch.hidden * arch.layers
    activations = kept + 2 * layer if train.checkpointing else kept + (arch.layers + 1) * layer
    return Training(
        base=train.base[gpu],
        weights=weight_bytes(config, train.base[gpu]),
        adapter=ADAPTER_TRAIN_BYTES * arch.lora_parameters(train.rank, train.targets),
        activations=activations,
        logits=tokens * ANSWER_SHARE * arch.vocabulary * 4 * LOGIT_COPIES,
    )


def serving(config: ModelConfig, gpu: str, streams: int) -> Serving:
    """What serving takes, and how many characters stay in the KV cache with `streams` answers at once.

    A GPU without 8-bit floats keeps an fp8 cache in 16 bits and runs fp8 weights as int8.
    """
    arch, serve, card = config.architecture, config.serve, GPUS[gpu]
    kv_form = "bf16" if serve.kv == "fp8" and not card.fp8 else serve.kv
    form = "int8" if serve.weights == "fp8" and not card.fp8 else serve.weights
    weights = weight_bytes(config, form)
    kv_token = arch.kv_values_per_token() * (2 if kv_form == "bf16" else 1)
    # Engines lay out each adapter at the greatest rank that they were told.
    adapters = serve.max_loras * 2 * arch.lora_parameters(serve.max_lora_rank, config.train.targets)
    free = max(0.0, SERVE_SHARE * card.bytes - weights - adapters - SERVE_OVERHEAD)
    room = free - streams * serve.turns * kv_token
    return Serving(form, kv_form, weights, adapters, kv_token, free, max(0, int(room // (serve.prefix * kv_token))))


def table(configs: list[ModelConfig], gpus: list[str], streams: int) -> str:
    """Both tables as text, one row for each model and GPU."""
    train_rows = [["training", "GPU", "base", "weights", "adapter", "activations", "logits", "total", "of", "fits"]]
    serve_rows = [["serving", "GPU", "weights", "", "adapters", "KV a token", "KV free", f"characters at {streams}"]]
    for config in configs:
        for name in gpus:
            gpu, need, served = GPUS[name], training(config, name), serving(config, name, streams)
            parts = (need.weights, need.adapter, need.activations, need.logits, need.total, gpu.bytes)
            fits = "yes" if need.total <= gpu.bytes else "no"
            train_rows.append([config.name, name, need.base, *(_gib(part) for part in parts), fits])
            kv = f"{served.kv_token / 1024:.0f} KiB {served.kv_form}"
            sizes = (served.weights_form, _gib(served.weights), _gib(served.adapters), kv, _gib(served.free))
            serve_rows.append([config.name, name, *sizes, str(served.characters) if served.characters else "no room"])
    return f"{_aligned(train_rows)}\n\n{_aligned(serve_rows)}\n\nSizes in GiB; characters that stay pinned beside {streams} answers."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("model", nargs="*", help="models of training/models (all of them if none is named)")
    parser.add_argument("--gpu", choices=sorted(GPUS), action="append", help="one GPU, or several times (default: all)")
    parser.add_argument("--streams", type=int, default=32, help="answers that run at once")


def run(options: argparse.Namespace) -> None:
    """Prints the tables."""
    if options.streams < 0:
        raise TrainingFailure("--streams must not be below zero")
    configs = [load(name) for name in options.model or names()]
    print(table(configs, options.gpu or list(GPUS), options.streams))


def _gib(size: float) -> str:
    return f"{size / GIB:.2f}"


def _aligned(rows: list[list[str]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows)
