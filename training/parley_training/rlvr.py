"""`rlvr`: reinforcement learning with verifiable rewards over the rendered training prompts, by GRPO.

What an answer is worth is found out by a program (rewards.py). `--rewards random` is the control: the same
prompts, answers, groups and steps, and rewards by chance, so that a gain means something. Never reads the
held-out questions.
"""

import argparse
import random

from . import base as bases
from . import rlvr_run
from .data import Tokens, read_examples, split, tokenize
from .rewards import WEIGHTS, Judge, verifiable
from .rlvr_trainer import Problems

STEPS = 90
HELD_BACK = 0.04
"""The share of the exchanges that SFT holds back (sft.py); by the same seed they are the same."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `rlvr`."""
    rlvr_run.add_arguments(parser, "rlvr", STEPS)


def run(options: argparse.Namespace) -> None:
    """Trains on what SFT learns, measures on what it holds back."""
    base = bases.inspect(options.base)
    tokenizer = bases.load_tokenizer(base)
    trained, held = split(tokenize(read_examples(options.data), tokenizer), HELD_BACK, options.seed)
    random.Random(options.seed).shuffle(held)
    with Judge() as judge:
        rlvr_run.run(
            "rlvr",
            options,
            base,
            tokenizer,
            problems_of(trained, judge),
            problems_of(held[: options.measure], judge),
            {},
        )


def problems_of(prompts: list[Tokens], judge: Judge) -> Problems:
    """Rendered examples as problems."""
    parts = verifiable(judge)

    def score(number: int, text: str) -> dict[str, float | None]:
        return {name: part(prompts[number].example, text) for name, part in parts.items()}

    return Problems(prompts, score, WEIGHTS)
