"""`quantize`: a Hugging Face checkpoint in 4 or 8 bits, for vLLM: AWQ (4-bit weights), FP8, INT8.

By llm-compressor, calibrated on the characters' own prompts and answers. TensorRT-LLM's engines are built from its own kind
of checkpoint, which only its own tool writes (on a GPU): tiers/gold/build does that. Adapters stay apart, in 16 bits.
"""

import argparse
import contextlib
import json
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer, CompressedTensorsConfig, PreTrainedTokenizerBase

from . import base as bases
from .big import pin_date
from .data import Tokens, read_examples, tokenize
from .failure import TrainingFailure

SCHEMES = {"awq": "W4A16_ASYM", "fp8": "FP8_DYNAMIC", "int8": "W8A8"}
"""Names of the forms in llm-compressor. FP8 needs no calibration; its activations are scaled as they come."""
BOUND = {"awq": 0.25, "fp8": 0.08, "int8": 0.04}
"""Greatest error of a layer, relative to what it adds. Evenly spread steps over a normal distribution cost a matrix about
0.1 at 4 bits in groups of 128, 0.027 at FP8 (three bits of mantissa), 0.012 at 8 bits a row; three matrices stand behind
each other in a layer. The rest is slack."""
INSTALL = "uv pip install --no-deps --require-hashes -r training/quantize.lock (into training's environment)"


@dataclass(frozen=True)
class Errors:
    """What quantization cost: the worst relative error of a layer and its number; of held prompts' answers the mean KL
    divergence (nats a token) from the 16-bit model and the share of tokens whose most likely one is the same."""

    worst: float
    layer: int
    kl: float
    same: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("--checkpoint", type=Path, required=True, help="folder of a 16-bit Hugging Face checkpoint")
    parser.add_argument("--form", choices=sorted(SCHEMES), required=True)
    parser.add_argument("--out", type=Path, required=True, help="folder for the quantized checkpoint")
    parser.add_argument("--data", type=Path, default=bases.home() / "training" / "data" / "train.jsonl")
    parser.add_argument("--samples", type=int, default=256, help="examples for calibration")
    parser.add_argument("--held", type=int, default=32, help="further examples to measure the error on")
    parser.add_argument("--group", type=int, default=128, help="weights that share a scale (awq)")
    parser.add_argument("--bound", type=float, help="greatest relative error of a layer (default: of the form)")
    parser.add_argument("--seed", type=int, default=7)


def run(options: argparse.Namespace) -> None:
    """Quantizes, measures what it cost and writes the manifest. Throws a TrainingFailure above the bound."""
    started = time.monotonic()
    if not (options.checkpoint / "config.json").is_file():
        raise TrainingFailure(f"--checkpoint {options.checkpoint} is no checkpoint: it has no config.json")
    tokenizer = pin_date(AutoTokenizer.from_pretrained(options.checkpoint, local_files_only=True))
    tokens = tokenize(read_examples(options.data), tokenizer)
    order = torch.randperm(len(tokens), generator=torch.Generator().manual_seed(options.seed)).tolist()
    if len(tokens) < 2:
        raise TrainingFailure(f"{options.data} has too few examples to calibrate on and to measure with")
    held_number = max(1, min(options.held, len(tokens) // 4))
    held = [tokens[i] for i in order[:held_number]]
    calibration = [tokens[i] for i in order[held_number : held_number + options.samples]]
    quantize(options.checkpoint, options.form, calibration, tokenizer, options.out, options.group)
    errors = measure(options.checkpoint, options.out, held)
    about = {
        "form": options.form,
        "scheme": SCHEMES[options.form],
        "calibration": len(calibration),
        "held": len(held),
        "worstLayer": errors.layer,
        "worstError": round(errors.worst, 5),
        "kl": round(errors.kl, 5),
        "sameToken": round(errors.same, 4),
        "seconds": round(time.monotonic() - started),
    }
    (options.out / "quantization.json").write_text(json.dumps(about, indent=2) + "\n", "utf8")
    print(json.dumps(about), flush=True)
    bound = BOUND[options.form] if options.bound is None else options.bound
    if errors.worst > bound:
        raise TrainingFailure(
            f"layer {errors.layer} is off by {errors.worst:.3f} of what it adds, more than the {bound} that {options.form} may "
            "cost: try --group 64, another --form, or say --bound if the evaluation is content with it"
        )


def quantize(
    checkpoint: Path, form: str, calibration: list[Tokens], tokenizer: PreTrainedTokenizerBase, out: Path, group: int
) -> None:
    """Writes the quantized checkpoint into `out`. Embedding and output head stay in 16 bits. Throws a TrainingFailure
    without llm-compressor."""
    try:
        from llmcompressor import oneshot
        from llmcompressor.modifiers.quantization import QuantizationModifier
        from llmcompressor.modifiers.transform.awq import AWQModifier
    except ImportError as error:
        raise TrainingFailure(f"llm-compressor is not installed ({error}). Install it: {INSTALL}") from error
    model = AutoModelForCausalLM.from_pretrained(checkpoint, dtype="auto", local_files_only=True)
    if torch.cuda.is_available():
        model = model.to("cuda")
    if form == "awq":
        recipe = [AWQModifier(duo_scaling=False), QuantizationModifier(ignore=["lm_head"], **awq_groups(group))]
    else:
        recipe = [QuantizationModifier(targets=["Linear"], scheme=SCHEMES[form], ignore=["lm_head"])]
    rows = {"input_ids": [list(tokens.ids) for tokens in calibration]}
    rows["attention_mask"] = [[1] * len(ids) for ids in rows["input_ids"]]
    data = {} if form == "fp8" else {"dataset": Dataset.from_dict(rows), "num_calibration_samples": len(calibration)}
    longest = max(len(ids) for ids in rows["input_ids"])
    with unpinned():
        oneshot(model=model, processor=tokenizer, recipe=recipe, max_seq_length=longest, **data)
    model.save_pretrained(out, save_compressed=True)
    tokenizer.save_pretrained(out)


def awq_groups(group: int) -> dict:
    """4-bit weights in groups, each with a scale and a zero point: what AWQ kernels of vLLM take."""
    weights = {"num_bits": 4, "type": "int", "symmetric": False, "strategy": "group", "group_size": group}
    return {"config_groups": {"group_0": {"targets": ["Linear"], "weights": weights}}}


@contextlib.contextmanager
def unpinned() -> Iterator[None]:
    """Without a GPU: keeps llm-compressor's AWQ from page-locking memory, which torch built for CUDA cannot do then."""
    from llmcompressor.pipelines.cache import IntermediatesCache

    pin = IntermediatesCache.pin_memory
    if not torch.cuda.is_available():
        IntermediatesCache.pin_memory = lambda *_, **__: None
    try:
        yield
    finally:
        IntermediatesCache.pin_memory = pin


@torch.no_grad()
def measure(checkpoint: Path, quantized: Path, held: list[Tokens]) -> Errors:
    """Compares a quantized checkpoint, as it comes back from disk, with the one that it was made of."""
    before = AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.float32, local_files_only=True)
    after = AutoModelForCausalLM.from_pretrained(
        quantized,
        local_files_only=True,
        # Back to 32 bits, so that it runs anywhere: what is compared are the weights, not an engine's rounding on its way.
        quantization_config=CompressedTensorsConfig(dequantize=True),
    ).float()
    off = [0.0] * len(before.model.layers)
    added = [0.0] * len(off)

    def compare(number: int) -> object:
        # Each layer of both models gets the same input, so that errors do not add up over layers. A whole layer is
        # compared: inside it AWQ moves scales from one matrix to the next.
        def hook(_: torch.nn.Module, args: tuple, kwargs: dict, out: object) -> None:
            wanted, got = _hidden(out), _hidden(after.model.layers[number](*args, **kwargs))
            before_it = args[0] if args else kwargs["hidden_states"]
            off[number] += float((got - wanted).pow(2).sum())
            added[number] += float((wanted - before_it).pow(2).sum())

        return hook

    hooks = [
        layer.register_forward_hook(compare(number), with_kwargs=True) for number, layer in enumerate(before.model.layers)
    ]
    kl, same, count = 0.0, 0, 0
    for tokens in held:
        ids = torch.tensor(tokens.ids)[None]
        places = slice(tokens.answer - 1, len(tokens.ids) - 1)
        wanted, got = (model(ids, use_cache=False).logits[0, places] for model in (before, after))
        logs = torch.log_softmax(wanted, -1), torch.log_softmax(got, -1)
        kl += float(torch.nn.functional.kl_div(logs[1], logs[0], reduction="sum", log_target=True))
        same += int((wanted.argmax(-1) == got.argmax(-1)).sum())
        count += len(wanted)
    for hook in hooks:
        hook.remove()
    errors = [math.sqrt(square / whole) for square, whole in zip(off, added)]
    worst = max(range(len(errors)), key=errors.__getitem__)
    return Errors(errors[worst], worst, kl / count, same / count)


def _hidden(out: object) -> torch.Tensor:
    return out[0] if isinstance(out, tuple) else out
