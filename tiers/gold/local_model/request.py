"""One request to the local model, read from tensors: what TensorRT-LLM's executor would check is checked here too."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import Any

import triton_python_backend_utils as pb_utils


class Refused(Exception):
    """The request cannot be served; the words go to whoever asked."""


def scalar(request: Any, name: str) -> Any:
    """The one value of an optional tensor, or None. Strings come as bytes."""
    tensor = pb_utils.get_input_tensor_by_name(request, name)
    if tensor is None:
        return None
    values = tensor.as_numpy().reshape(-1)
    if values.size != 1:
        raise Refused(f"Invalid size for tensor {name}")
    return values[0]


def vector(request: Any, name: str) -> list[int] | None:
    """All values of an optional tensor, or None."""
    tensor = pb_utils.get_input_tensor_by_name(request, name)
    return None if tensor is None else tensor.as_numpy().reshape(-1).tolist()


@dataclass
class Retention:
    """Ranges of prompt tokens with the priority and time that their KV is to be kept for (-1 ms: for ever)."""

    starts: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    priorities: list[int] = field(default_factory=list)
    durations_ms: list[int] = field(default_factory=list)


def read_retention(request: Any) -> Retention:
    """Raises Refused, as TensorRT-LLM does, for lengths that differ, ranges that overlap, priorities outside 0 to 100."""
    names = ("starts", "ends", "priorities", "durations_ms")
    starts, ends, priorities, durations = (vector(request, f"retention_token_range_{name}") for name in names)
    if starts is None:
        return Retention()
    lists = {"ends": ends, "priorities": priorities, "durations_ms": durations}
    for name, values in lists.items():
        if values is not None and len(values) != len(starts):
            raise Refused(f"retention_token_range_{name} must have the same length as retention_token_range_starts")
    if ends is None or priorities is None:
        raise Refused("retention_token_range_ends and retention_token_range_priorities must be given")
    if any(not 0 <= priority <= 100 for priority in priorities):
        raise Refused("retention priorities must be from 0 to 100")
    before = 0
    for i, (start, end) in enumerate(zip(starts, ends)):
        last = i == len(starts) - 1
        if start < before or (end == -1 and not last) or (end != -1 and end <= start):
            raise Refused("retention token ranges must be ordered, must not overlap, and only the last may be open")
        before = end
    return Retention(starts, ends, priorities, durations or [-1] * len(starts))


def sampling(request: Any, top_k: str, top_p: str) -> dict[str, Any]:
    """The parts of a completion request of llama.cpp that say how to choose tokens."""
    temperature = scalar(request, "temperature")
    k = scalar(request, top_k)
    seed = scalar(request, "seed")
    body: dict[str, Any] = {
        "top_k": int(k or 0),
        "top_p": float(_or(scalar(request, top_p), 1.0)),
        "min_p": 0.0,
        "temperature": 0.0 if k == 1 else float(_or(temperature, 1.0)),
        "repeat_penalty": float(_or(scalar(request, "repetition_penalty"), 1.0)),
        "presence_penalty": float(_or(scalar(request, "presence_penalty"), 0.0)),
        "frequency_penalty": float(_or(scalar(request, "frequency_penalty"), 0.0)),
        "cache_prompt": True,
    }
    if seed is not None:
        body["seed"] = int(seed) % 2**31
    guide_type = scalar(request, "guided_decoding_guide_type")
    if guide_type is not None:
        if guide_type != b"json_schema":
            raise Refused(f"guided_decoding_guide_type {guide_type.decode()} is not supported here")
        schema = json.loads(scalar(request, "guided_decoding_guide"))
        # Without blanks that nobody asked for; each would be a token.
        body["json_schema"] = schema | {"x-guidance": {"whitespace_flexible": False}}
    return body


def _or(value: Any, fallback: float) -> float:
    return fallback if value is None or not math.isfinite(value) else float(value)
