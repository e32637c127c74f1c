"""Configurations of the 3B to 8B models (training/models/*.yaml): source, architecture, training, serving.

Reads and checks them and counts parameters. Loads no weights; what they need of memory is in memory.py.
"""

import math
import re
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

import yaml

from .failure import TrainingFailure

FOLDER = Path(__file__).resolve().parent.parent / "models"
FAMILIES = ("llama", "qwen2")
TIERS = ("gold", "silver")
TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
BASES = ("bf16", "nf4")
WEIGHTS = ("bf16", "awq", "fp8", "int8")
KV = ("bf16", "fp8", "int8")
VLLM_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""Values that vLLM takes for --max-lora-rank (vllm/config/lora.py, MaxLoRARanks)."""

Part = TypeVar("Part")


@dataclass(frozen=True)
class Source:
    """A Hugging Face repository at one commit (40 hex digits), and its licence."""

    repository: str
    revision: str
    license: str


@dataclass(frozen=True)
class Architecture:
    """Figures of config.json. `rope_factor` 1 means plain rotary positions; more, Llama 3's scaling of them."""

    family: str
    hidden: int
    layers: int
    heads: int
    kv_heads: int
    head_size: int
    intermediate: int
    vocabulary: int
    tied_embeddings: bool
    qkv_bias: bool
    rope_theta: float
    rope_factor: float

    def matrices(self) -> dict[str, tuple[int, int]]:
        """(outputs, inputs) of the matrices of one layer, by the names that transformers gives them."""
        query, kv = self.heads * self.head_size, self.kv_heads * self.head_size
        return {
            "q_proj": (query, self.hidden),
            "k_proj": (kv, self.hidden),
            "v_proj": (kv, self.hidden),
            "o_proj": (self.hidden, query),
            "gate_proj": (self.intermediate, self.hidden),
            "up_proj": (self.intermediate, self.hidden),
            "down_proj": (self.hidden, self.intermediate),
        }

    def linear_parameters(self) -> int:
        """Weights of the matrices of all layers: what 4 or 8 bits are spent on when quantized."""
        return self.layers * sum(rows * columns for rows, columns in self.matrices().values())

    def embedding_parameters(self) -> int:
        """Weights of the embedding, and of the output head where it is not the same matrix."""
        return self.vocabulary * self.hidden * (1 if self.tied_embeddings else 2)

    def parameters(self) -> int:
        """All weights, with norms and biases."""
        bias = (self.heads + 2 * self.kv_heads) * self.head_size if self.qkv_bias else 0
        small = self.layers * (2 * self.hidden + bias) + self.hidden
        return self.linear_parameters() + self.embedding_parameters() + small

    def lora_parameters(self, rank: int, targets: tuple[str, ...]) -> int:
        """Weights of an adapter: rank * (inputs + outputs) for each matrix."""
        shapes = self.matrices()
        return self.layers * rank * sum(sum(shapes[name]) for name in targets)

    def kv_values_per_token(self) -> int:
        """Numbers that a token leaves in the KV cache: a key and a value in each layer."""
        return 2 * self.layers * self.kv_heads * self.head_size


@dataclass(frozen=True)
class Train:
    """How characters are trained. `base` says for each GPU in which form the frozen weights are kept."""

    data: str
    rank: int
    alpha: int
    dropout: float
    targets: tuple[str, ...]
    learning_rate: float
    epochs: int
    sequence: int
    batch: int
    accumulate: int
    checkpointing: bool
    base: dict[str, str]


@dataclass(frozen=True)
class Serve:
    """How the model serves: form of weights and KV cache, tokens of the shared persona and of one conversation."""

    weights: str
    kv: str
    context: int
    prefix: int
    turns: int
    max_loras: int
    max_lora_rank: int


@dataclass(frozen=True)
class ModelConfig:
    """One file of training/models."""

    name: str
    tier: str
    source: Source
    architecture: Architecture
    train: Train
    serve: Serve


def names() -> list[str]:
    """The models that have a configuration."""
    return sorted(file.stem for file in FOLDER.glob("*.yaml"))


def load(model: str | Path) -> ModelConfig:
    """The configuration of a model by its name, or of a file. Throws a TrainingFailure that names every fault."""
    file = model if isinstance(model, Path) else FOLDER / f"{model}.yaml"
    if not file.is_file():
        raise TrainingFailure(f"there is no configuration {file.stem}. Choose of: {', '.join(names())}")
    try:
        raw = yaml.safe_load(file.read_text("utf8"))
    except yaml.YAMLError as error:
        raise TrainingFailure(f"{file.name} is no YAML: {error}") from error
    if not isinstance(raw, dict):
        raise TrainingFailure(f"{file.name} is no table of fields")
    faults: list[str] = []
    parts = {name: _part(kind, raw.pop(name, None), name, faults) for name, kind in _PARTS.items()}
    faults += [f"{key} is no field of a configuration" for key in raw if key not in ("name", "tier")]
    if raw.get("name") != file.stem:
        faults.append(f"name must be {file.stem}, as the file is called")
    if raw.get("tier") not in TIERS:
        faults.append(f"tier must be one of {', '.join(TIERS)}")
    if not faults:
        config = ModelConfig(name=raw["name"], tier=raw["tier"], **parts)
        faults += _faults(config)
    if faults:
        raise TrainingFailure(f"{file.name} cannot be used:\n  " + "\n  ".join(faults))
    return config


_PARTS: dict[str, type] = {"source": Source, "architecture": Architecture, "train": Train, "serve": Serve}


def _part(kind: type[Part], raw: Any, where: str, faults: list[str]) -> Part | None:
    """One section as its dataclass; None with the faults named."""
    if not isinstance(raw, dict):
        faults.append(f"{where} is missing")
        return None
    wanted = {field.name: field.type for field in fields(kind)}
    before = len(faults)
    faults += [f"{where}.{name} is missing" for name in wanted if name not in raw]
    faults += [f"{where}.{name} is no field" for name in raw if name not in wanted]
    values = dict(raw)
    for name, type_ in wanted.items():
        if name not in values:
            continue
        value = values[name]
        if type_ is float and isinstance(value, int) and not isinstance(value, bool):
            values[name] = value = float(value)
        if name == "targets" and isinstance(value, list):
            values[name] = tuple(value)
        elif type_ in (int, float, str, bool) and type(value) is not type_:
            faults.append(f"{where}.{name} must be {_WORDS[type_]}, not {value!r}")
        elif type_ in (int, float) and (value < 0 or not math.isfinite(value)):
            faults.append(f"{where}.{name} must not be below zero")
    return kind(**values) if len(faults) == before else None


_WORDS = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}


def _faults(config: ModelConfig) -> list[str]:
    """What is well formed and cannot be all the same."""
    arch, train, serve = config.architecture, config.train, config.serve
    checks = [
        (re.fullmatch(r"[0-9a-f]{40}", config.source.revision), "source.revision must be a commit of 40 hex digits"),
        (arch.family in FAMILIES, f"architecture.family must be one of {', '.join(FAMILIES)}"),
        (arch.kv_heads and arch.heads % arch.kv_heads == 0, "architecture.heads must be a multiple of kv_heads"),
        (set(train.targets) <= set(TARGETS) and train.targets, f"train.targets must be of {', '.join(TARGETS)}"),
        (train.rank > 0, "train.rank must be above zero"),
        (train.rank <= serve.max_lora_rank, "serve.max_lora_rank must hold train.rank, or no engine loads the adapter"),
        (serve.max_lora_rank in VLLM_RANKS, f"serve.max_lora_rank must be one of {VLLM_RANKS}: vLLM takes no other"),
        (train.base and set(train.base.values()) <= set(BASES), f"train.base must be of {', '.join(BASES)}"),
        (serve.weights in WEIGHTS, f"serve.weights must be one of {', '.join(WEIGHTS)}"),
        (serve.kv in KV, f"serve.kv must be one of {', '.join(KV)}"),
        (serve.prefix + serve.turns <= serve.context, "serve.context must hold prefix and turns"),
    ]
    return [words for holds, words in checks if not holds]
