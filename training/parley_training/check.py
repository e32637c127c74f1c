"""`check`: does the engine compute with the adapter what Python computed? Compares logits on fixed prompts.

The engine's 4-bit kernels round activations, so the two never agree to the last digit. The same prompts without the adapter
are the yardstick: the adapter must add no more than its share. Also holds the tokens of the prompts against the engine's.
"""

import argparse
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from peft import PeftModel

from . import base as bases
from . import export
from .base import Base
from .data import Example, Tokens, read_examples, tokenize
from .failure import TrainingFailure

SCRIPT = Path(__file__).parents[1] / "engine-logits.ts"
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Agreement:
    """`top1`: share of prompts whose likeliest token is the same (or within `TIE` of it); `error`: root mean square of the
    difference of log probabilities over the engine's 20 likeliest tokens."""

    top1: float
    error: float


TIE = 0.25
"""Two tokens this near in log probability (natural) are a tie, which rounding may decide."""
MOST_ERROR = 0.25
"""Bound on Agreement.error with the adapter, where the yardstick is not greater. Seen with an adapter of rank 12 on v, o, up
and down, over eight prompts: 0.08 with it and 0.16 without."""
MOST_ADDED = 1.5
"""The error with the adapter may be this many times that without it."""
LEAST_TOP1 = 0.9


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `check`."""
    training = bases.home() / "training"
    parser.add_argument("--base", type=Path, default=bases.default_base(), help="GGUF file of the base model")
    parser.add_argument("--out", type=Path, default=training / "sft", help="folder of the run")
    parser.add_argument("--data", type=Path, default=training / "data" / "train.jsonl", help="rendered examples")
    parser.add_argument("--prompts", type=int, default=12, help="number of prompts, spread over the data")


def run(options: argparse.Namespace) -> None:
    """Compares; throws a TrainingFailure when tokens or logits differ by more than the bounds."""
    base = bases.inspect(options.base)
    adapter = options.out / export.GGUF_NAME
    export.check_base(adapter, base)
    every = read_examples(options.data)
    step = max(1, len(every) // options.prompts)
    examples = every[::step][: options.prompts]
    tokens = tokenize(examples, bases.load_tokenizer(base))
    plain = ask_engine(base, None, examples)
    adapted = ask_engine(base, adapter, examples)
    different = [one.example.id for one, theirs in zip(tokens, plain, strict=True) if prompt_ids(one) != theirs["ids"]]
    if different:
        raise TrainingFailure(
            f"the engine makes other tokens of {len(different)} of {len(tokens)} prompts ({', '.join(different[:3])}): "
            "what is trained would not be what is asked"
        )
    model = bases.load_model(base, fast=False)
    without = logits(model, tokens)
    yardstick = compare(without, plain)
    with_adapter = compare(logits(PeftModel.from_pretrained(model, str(options.out / export.PEFT_NAME)), tokens), adapted)
    print(
        json.dumps(
            {
                "prompts": len(tokens),
                "sameTokens": True,
                "without": vars(yardstick),
                "with": vars(with_adapter),
                # What the error would be, had the adapter not been applied.
                "withoutPythonsAdapter": vars(compare(without, adapted)),
            }
        ),
        flush=True,
    )
    if with_adapter.top1 < LEAST_TOP1 or with_adapter.error > max(MOST_ERROR, MOST_ADDED * yardstick.error):
        raise TrainingFailure(
            "the engine does not compute with the adapter what was trained. Export it again; if that does not help, "
            "training/parley_training/export.py writes something else than llama.cpp reads"
        )


def prompt_ids(tokens: Tokens) -> list[int]:
    """The ids before the answer."""
    return list(tokens.ids[: tokens.answer])


def ask_engine(base: Base, adapter: Path | None, examples: list[Example]) -> list[dict]:
    """For each example the engine's `ids` of the prompt and its likeliest next `tokens` with their `logs` (natural log
    probabilities)."""
    prompts = [
        {
            "npc": example.npc,
            "system": example.system,
            "examples": [{"player": player, "npc": npc} for player, npc in example.examples],
            "turns": [{"player": player, "npc": npc} for player, npc in example.turns],
            "player": example.player,
        }
        for example in examples
    ]
    request = {"base": str(base.file), "adapter": str(adapter.resolve()) if adapter else "", "prompts": prompts}
    done = subprocess.run(
        ["node", "--import", "tsx", str(SCRIPT)],
        input=json.dumps(request),
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    if done.returncode != 0:
        raise TrainingFailure(f"the engine could not be asked: {done.stderr.strip()[-800:]}")
    return [json.loads(line) for line in done.stdout.splitlines()]


@torch.no_grad()
def logits(model: torch.nn.Module, tokens: list[Tokens]) -> list[np.ndarray]:
    """Log probabilities (vocabulary,) of the next token after each prompt, in float32."""
    rows = []
    for one in tokens:
        out = model(input_ids=torch.tensor([prompt_ids(one)]), logits_to_keep=1).logits[0, -1]
        rows.append(out.float().log_softmax(-1).numpy())
    return rows


def compare(ours: list[np.ndarray], theirs: list[dict]) -> Agreement:
    """How far Python's rows are from the engine's. What is less likely than one in a thousand is left out: nobody samples
    it, and rounding rules it."""
    same = 0
    squares: list[float] = []
    for mine, row in zip(ours, theirs, strict=True):
        same += float(mine.max() - mine[row["tokens"][0]] if row["tokens"][0] < len(mine) else 99) <= TIE
        for token, log in zip(row["tokens"][:20], row["logs"][:20], strict=True):
            if log > np.log(1e-3) and token < len(mine):
                squares.append(float(mine[token] - log) ** 2)
    return Agreement(same / len(ours), round(float(np.sqrt(np.mean(squares))), 4))
