"""What the local Triton is told by whoever starts it (scripts/stack/triton.ts), as environment variables."""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """The model and its size."""

    model: str
    adapter: str
    #: Where llama.cpp's own HTTP server listens on 127.0.0.1, for the two models that only need its tokenizer or text.
    port: int
    slots: int
    #: Prompt and answer of one stream together.
    context_tokens: int
    threads: int


def read_settings() -> Settings:
    """Reads them. Raises KeyError that names the missing variable."""
    env = os.environ
    return Settings(
        model=env["LOCAL_MODEL_FILE"],
        adapter=env.get("LOCAL_MODEL_ADAPTER", ""),
        port=int(env["LOCAL_MODEL_PORT"]),
        slots=int(env.get("LOCAL_MODEL_SLOTS", "4")),
        context_tokens=int(env.get("LOCAL_MODEL_CONTEXT", "2048")),
        threads=int(env.get("LOCAL_MODEL_THREADS", "1")),
    )
