"""The manifest beside an adapter: what it was made from and how, so that anybody can make it again or refuse it."""

import platform
from collections import Counter
from importlib.metadata import version

from .base import Base
from .data import Example, data_hash

PACKAGES = ("torch", "transformers", "trl", "peft", "gguf")


def make(*, kind: str, base: Base, settings: dict, examples: list[Example], results: dict) -> dict:
    """`kind` is the stage (sft, srl, rlvr); `settings` are the options of the run, `results` what came of it. Export adds the
    adapter's own hash."""
    return {
        "kind": kind,
        "base": {"name": base.name, "file": base.file.name, "sha256": base.sha256},
        "data": {
            "sha256": data_hash(examples),
            "examples": len(examples),
            "byCharacter": dict(sorted(Counter(example.npc for example in examples).items())),
            "byKind": dict(sorted(Counter(example.kind for example in examples).items())),
        },
        "settings": {name: value for name, value in settings.items() if name not in ("base", "data")},
        "results": results,
        "versions": {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
    }
