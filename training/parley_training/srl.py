"""`srl`: supervised reinforcement learning, as published in arXiv 2510.25992 ("Supervised Reinforcement
Learning: From Expert Trajectories to Step-wise Reasoning"), over the villagers' trajectories.

Each step of an expert's trajectory is a problem: the prompt holds the goal, what is seen and the expert's
steps before; the model thinks as it likes and names its act; the act is worth its similarity to the expert's
(rewards.similarity), -1 where the form is wrong; groups of answers that do not differ in worth are left out.
What differs from the paper: a missing thought is no fault of form, since the engine's grammar leaves no room
for one.
"""

import argparse

from . import base as bases
from . import rlvr_run
from .data import read_examples, tokenize
from .rewards import act_in, similarity
from .rlvr_trainer import Problems
from .trajectories import Step, read_steps

STEPS = 60


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `srl`."""
    rlvr_run.add_arguments(parser, "srl", STEPS)


def run(options: argparse.Namespace) -> None:
    """Trains on the steps of the trajectories, measures on the steps of those that are held out."""
    base = bases.inspect(options.base)
    tokenizer = bases.load_tokenizer(base)
    steps = read_steps(rlvr_run.beginnings(read_examples(options.data)))
    trained = [step for step in steps if not step.held_out]
    held = [step for step in steps if step.held_out][: options.measure]
    about = {"trajectories": len({step.example.id.split("/")[0] for step in trained})}
    rlvr_run.run(
        "srl", options, base, tokenizer, problems_of(trained, tokenizer), problems_of(held, tokenizer), about
    )


def problems_of(steps: list[Step], tokenizer) -> Problems:  # noqa: ANN001
    """Steps as problems. `same` only counts how often the act is the expert's; its weight is 0."""

    def score(number: int, text: str) -> dict[str, float | None]:
        expert = steps[number].act
        return {"similarity": similarity(text, expert), "same": float(act_in(text) == expert)}

    return Problems(
        tokenize([step.example for step in steps], tokenizer), score, {"similarity": 1.0, "same": 0.0}
    )
