"""`python -m parley_training COMMAND`: one row of the table below for each command, one file for each row.

Says in one line what a person can mend, and exits with 1; a fault of the code shows its stack.
"""

import argparse
import importlib
import sys

from .failure import TrainingFailure

COMMANDS = {
    "recall": "tune the encoder by which characters recall what was written for them",
    "sft": "learn the authored exchanges",
    "srl": "learn to act as the experts of the trajectories do",
    "rlvr": "learn from rewards that a program verifies",
    "export": "write a PEFT folder as GGUF adapter",
    "memory": "what the 3B to 8B models need of a GPU's memory",
    "big": "train an adapter on a 3B to 8B model, or rehearse it",
    "quantize": "write a checkpoint in 4 or 8 bits",
    "trtllm": "write a PEFT folder as TensorRT-LLM's LoRA tensors",
    "hotload": "put an adapter into a running vLLM",
    "check": "compare the logits of Python and of the engine",
    "registry": "log, promote, roll back and show what was trained",
}
"""Each is a module of this package with add_arguments(parser) and run(options)."""


def main(arguments: list[str]) -> int:
    """Runs one command; returns the exit status."""
    parser = argparse.ArgumentParser(prog="parley_training", description="Training of Parley's characters.")
    rows = parser.add_subparsers(dest="command", required=True)
    wanted = next((word for word in arguments if word in COMMANDS), None)
    module = None
    for name, about in COMMANDS.items():
        row = rows.add_parser(name, help=about, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
        if name == wanted:  # importing all of them would take seconds
            module = importlib.import_module(f".{name}", __package__)
            module.add_arguments(row)
    options = parser.parse_args(arguments)
    try:
        module.run(options)
    except TrainingFailure as failure:
        print(f"{options.command}: {failure}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
