"""Triton's model `tensorrt_llm` without a GPU: llama.cpp (xllamacpp) decodes, several requests at once.

Token ids in, token ids out, one answer a token; cancellation is heard at every token and every chunk of the prompt. An answer
that is not to stream comes in one piece, and so does one with `draft_input_ids`: of these come those that the model says by
itself, and one token more. Retention ranges are checked as TensorRT-LLM checks them and otherwise ignored: llama.cpp keeps
what was used last. Under another name than `tensorrt_llm` (a draft model) it is the same, with a llama.cpp of its own.
"""

from __future__ import annotations

import os
import socket
import sys
from dataclasses import replace
from typing import Any

# Triton runs its models with an isolated Python, which does not read PYTHONPATH.
sys.path[:0] = os.environ["LOCAL_MODEL_PATH"].split(os.pathsep)
sys.dont_write_bytecode = True

import numpy as np  # noqa: E402
import triton_python_backend_utils as pb_utils  # noqa: E402
import xllamacpp  # noqa: E402
from local_model.figures import Figures  # noqa: E402
from local_model.llama_http import LlamaHttp  # noqa: E402
from local_model.request import Refused, read_retention, sampling, scalar, vector  # noqa: E402
from local_model.settings import read_settings  # noqa: E402
from local_model.streams import Cancelled, Sender, Streams  # noqa: E402

#: Tokens of a prompt that are computed in one go; others decode in between.
_CHUNK = 32


class TritonPythonModel:
    """One llama.cpp with so many slots."""

    def initialize(self, args: dict[str, str]) -> None:
        self._settings = read_settings()
        name = args["model_name"]
        if name != "tensorrt_llm":
            # The port in the settings is for those who ask `tensorrt_llm`.
            self._settings = replace(self._settings, port=_free_port())
        self._server = xllamacpp.Server(self._params())
        self._llama = LlamaHttp(self._settings.port)
        self._figures = Figures(self._settings, name)
        self._streams = Streams(self._settings.slots, self._read, self._serve, self._figures.ended)

    def execute(self, requests: list[Any]) -> None:
        for request in requests:
            self._streams.accept(request)

    def finalize(self) -> None:
        self._streams.close()

    def _params(self) -> Any:
        settings = self._settings
        params = xllamacpp.CommonParams()
        params.model.path = settings.model
        if settings.adapter:
            adapter = xllamacpp.CommonAdapterLoraInfo()
            adapter.path, adapter.scale = settings.adapter, 1.0
            params.lora_adapters = [adapter]
        params.n_parallel = settings.slots
        params.n_ctx = settings.context_tokens * settings.slots
        params.n_batch = params.n_ubatch = _CHUNK
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = settings.threads
        params.hostnames, params.port = ["127.0.0.1"], settings.port
        params.warmup = False
        return params

    def _read(self, request: Any) -> dict[str, Any]:
        prompt = vector(request, "input_ids") or []
        most = int(scalar(request, "request_output_len"))
        room = self._settings.context_tokens - 1
        if not prompt or most < 1:
            raise Refused("input_ids must not be empty and request_output_len must be at least 1")
        if len(prompt) >= room:
            raise Refused(f"Prompt length ({len(prompt)}) exceeds maximum input length ({room - 1}).")
        read_retention(request)
        body = sampling(request, "runtime_top_k", "runtime_top_p")
        body.update(prompt=prompt, n_predict=min(most, room - len(prompt)), stream=True, return_progress=True)
        # The probability of the chosen token comes with its id, and the id is what is wanted here.
        body.update(n_probs=1, timings_per_token=True)
        return {
            "body": body,
            "wants_perf": bool(scalar(request, "return_perf_metrics")),
            "streaming": bool(scalar(request, "streaming")),
            "drafts": vector(request, "draft_input_ids") or [],
        }

    def _serve(self, job: dict[str, Any], sender: Sender) -> None:
        if job["drafts"] or not job["streaming"]:
            self._serve_whole(job, sender)
            return
        answer = _Answer(self, sender, job["body"]["prompt"], job["wants_perf"])
        with self._figures.running():
            self._server.handle_completions(job["body"], answer.take)
        answer.end()

    def _serve_whole(self, job: dict[str, Any], sender: Sender) -> None:
        drafts = job["drafts"]
        body = job["body"] | {"n_probs": 0, "return_progress": False, "return_tokens": True}
        if drafts:
            body["n_predict"] = min(body["n_predict"], len(drafts) + 1)
        with self._figures.running():
            answer = self._llama.complete(body)
        # A token that ends the answer is none of it.
        tokens = answer["tokens"][: -1 if answer["stop_type"] == "eos" else None]
        self._figures.computed(answer["timings"]["prompt_n"], answer["timings"]["predicted_n"])
        if drafts:
            wrong = (place for place, (draft, token) in enumerate(zip(drafts, tokens)) if draft != token)
            tokens = tokens[: next(wrong, len(drafts)) + 1]
        sender.send(
            [
                pb_utils.Tensor("output_ids", np.array([[tokens]], np.int32)),
                pb_utils.Tensor("sequence_length", np.array([[len(tokens)]], np.int32)),
            ]
        )

    def tokens_of(self, text: str) -> list[int]:
        return self._llama.tokenize(text, False)

    @property
    def figures(self) -> Figures:
        return self._figures


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class _Answer:
    """The events of one completion, turned into tensors."""

    def __init__(self, model: TritonPythonModel, sender: Sender, prompt: list[int], wants_perf: bool) -> None:
        self._model = model
        self._sender = sender
        self._prompt = prompt
        self._wants_perf = wants_perf
        self._said = 0
        self._log_probability = 0.0
        self._prefilled = 0
        self._cancelled = False
        self._error: str | None = None

    def take(self, event: dict[str, Any]) -> bool:
        """Called by llama.cpp for each event; True stops it."""
        if self._sender.cancelled:
            self._cancelled = True
            return True
        if "choices" not in event:
            self._error = str(event.get("message") or event.get("error") or event)
            return True
        timings = event.get("timings", {})
        self._prefilled = timings.get("prompt_n", self._prefilled)
        choice = event["choices"][0]
        chosen = (choice.get("logprobs") or {}).get("content") or []
        if chosen:
            self._tell(choice["text"], chosen[-1], timings)
        return False

    def _tell(self, text: str, chosen: dict[str, Any], timings: dict[str, Any]) -> None:
        count = timings["predicted_n"] - self._said
        # llama.cpp keeps back tokens that end within a character; they are found again in the text that follows.
        ids = [chosen["id"]] if count <= 1 else self._model.tokens_of(text)
        self._said = timings["predicted_n"]
        self._log_probability += chosen["logprob"] or 0.0
        for token in ids:
            outputs = [
                pb_utils.Tensor("output_ids", np.array([[[token]]], np.int32)),
                pb_utils.Tensor("sequence_length", np.array([[1]], np.int32)),
                pb_utils.Tensor("cum_log_probs", np.array([[self._log_probability]], np.float32)),
            ]
            if self._wants_perf:
                # A block has one token here (nv_trt_llm_kv_cache_block_metrics, tokens_per).
                reused = timings.get("cache_n", 0)
                outputs += [
                    pb_utils.Tensor("kv_cache_reused_blocks", np.array([[reused]], np.int32)),
                    pb_utils.Tensor("kv_cache_alloc_new_blocks", np.array([[len(self._prompt) - reused]], np.int32)),
                ]
            self._sender.send(outputs)

    def end(self) -> None:
        self._model.figures.computed(self._prefilled, self._said)
        if self._error is not None:
            raise Refused(self._error)
        if self._cancelled:
            raise Cancelled
