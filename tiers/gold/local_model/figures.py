"""The figures of the local model on Triton's own metrics page: TensorRT-LLM's names where it has one, else ours."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import triton_python_backend_utils as pb_utils
from local_model.settings import Settings
from local_model.streams import triton_call

class Figures:
    """Counted by the threads that serve; Triton writes them out when somebody scrapes."""

    def __init__(self, settings: Settings, model: str) -> None:
        labels = {"model": model, "version": "1"}
        self._capacity = settings.slots * settings.context_tokens
        self._slots = settings.slots
        self._running = 0
        gauge, counter = pb_utils.MetricFamily.GAUGE, pb_utils.MetricFamily.COUNTER
        self._families = [
            pb_utils.MetricFamily("nv_trt_llm_kv_cache_block_metrics", "KV cache blocks (of one token here)", gauge),
            pb_utils.MetricFamily("nv_trt_llm_request_metrics", "Requests by their state", gauge),
            pb_utils.MetricFamily("parley_local_model_tokens_total", "Tokens computed", counter),
            pb_utils.MetricFamily("parley_local_model_requests_total", "Requests by their end", counter),
        ]
        blocks, requests, tokens, ends = self._families

        def metrics(family: Any, label: str, *kinds: str) -> dict[str, Any]:
            return {kind: family.Metric(labels=labels | {label: kind}) for kind in kinds}

        self._blocks = metrics(blocks, "kv_cache_block_type", "max", "tokens_per", "used", "free", "fraction")
        self._requests = metrics(requests, "request_type", "max", "active", "scheduled")
        self._tokens = metrics(tokens, "kind", "prompt", "generated")
        self._ends = metrics(ends, "outcome", "finished", "cancelled", "refused", "failed")
        self._blocks["max"].set(self._capacity)
        self._blocks["tokens_per"].set(1)
        self._requests["max"].set(settings.slots)
        self._show()

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Counts a request as running while the block runs."""
        self._change(1)
        try:
            yield
        finally:
            self._change(-1)

    def computed(self, prompt: int, generated: int) -> None:
        """Counts the tokens of one request, at its end: each call is a message between two processes."""
        with triton_call:
            self._tokens["prompt"].increment(max(0, prompt))
            self._tokens["generated"].increment(max(0, generated))

    def ended(self, outcome: str) -> None:
        with triton_call:
            self._ends[outcome].increment(1)

    def _change(self, by: int) -> None:
        with triton_call:
            self._running += by
            self._show()

    def _show(self) -> None:
        # A running request holds its slot's share, whatever part of it is filled.
        used = self._running * self._capacity // self._slots
        self._blocks["used"].set(used)
        self._blocks["free"].set(self._capacity - used)
        self._blocks["fraction"].set(used / self._capacity)
        self._requests["active"].set(self._running)
        self._requests["scheduled"].set(self._running)
