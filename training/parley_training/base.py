"""The model that is trained: its weights, tokenizer and chat template, all out of the GGUF file that the engine runs.

Weights are dequantized. Downloads nothing.
"""

import hashlib
import logging
import os
from dataclasses import dataclass
from pathlib import Path

import gguf
import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    GgufConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from . import attention
from .failure import TrainingFailure

DEFAULT_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"


@dataclass(frozen=True)
class Base:
    """What is known of a base model without its weights. `sha256` is of the whole file."""

    file: Path
    sha256: str
    architecture: str
    name: str
    shapes: dict[str, tuple[int, int]]
    """Of each matrix (outputs, inputs), by its name in GGUF without `.weight`."""


def home() -> Path:
    """PARLEY_HOME, as the rest of Parley reads it."""
    return Path(os.environ.get("PARLEY_HOME") or Path.home() / ".parley").resolve()


def default_base() -> Path:
    """The file that set-up fetched."""
    return home() / "cache" / "models" / DEFAULT_FILE


def inspect(file: Path) -> Base:
    """Reads names and shapes of a GGUF file and its hash. Throws a TrainingFailure for a file that is no whole model."""
    remedy = "Delete it and run `npm start` once, which fetches the default model, or name another with --base"
    if not file.is_file():
        raise TrainingFailure(f"the base model {file} is not there. {remedy}")
    try:
        reader = gguf.GGUFReader(file)
        ends = [tensor.data_offset + int(tensor.n_bytes) for tensor in reader.tensors]
    except Exception as error:  # the reader fails in as many ways as a file can be cut
        raise TrainingFailure(f"the base model {file} is damaged or cut off ({error}). {remedy}") from error
    if not ends or max(ends) > file.stat().st_size:
        raise TrainingFailure(f"the base model {file} is cut off. {remedy}")
    shapes = {
        tensor.name.removesuffix(".weight"): (int(tensor.shape[1]), int(tensor.shape[0]))
        for tensor in reader.tensors
        if len(tensor.shape) == 2
    }
    return Base(
        file=file,
        sha256=sha256(file),
        architecture=_text(reader, "general.architecture"),
        name=_text(reader, "general.name"),
        shapes=shapes,
    )


def load_tokenizer(base: Base) -> PreTrainedTokenizerBase:
    """The tokenizer and chat template of the file."""
    _quiet()
    return AutoTokenizer.from_pretrained(str(base.file.parent), gguf_file=base.file.name)


def load_model(base: Base, *, device: str = "cpu", fast: bool = True) -> PreTrainedModel:
    """The weights, dequantized, frozen. `fast` keeps the matrices of the layers in bfloat16 (norms, embeddings and what
    runs between the layers stay in float32), which the caller's autocast has to match."""
    _quiet()
    model = AutoModelForCausalLM.from_pretrained(
        str(base.file.parent),
        gguf_file=base.file.name,
        quantization_config=GgufConfig(dequantize=True),
        dtype=torch.float32,
        attn_implementation=attention.NAME,
    )
    model.requires_grad_(False)
    model.config.use_cache = False
    if fast:
        to_bfloat16(model)
    return model.to(device)


def to_bfloat16(model: PreTrainedModel) -> None:
    """Keeps the matrices of the layers in bfloat16: autocast would convert them anew at every step."""
    for module in model.get_decoder().layers.modules():
        if isinstance(module, torch.nn.Linear):
            module.weight.data = module.weight.data.to(torch.bfloat16)


def sha256(file: Path) -> str:
    """The hash of a file, in hex."""
    with file.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _text(reader: gguf.GGUFReader, key: str) -> str:
    field = reader.get_field(key)
    return "" if field is None else str(field.contents())


def _quiet() -> None:
    logging.getLogger("transformers").setLevel(logging.ERROR)
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()
