"""Triton's model `tensorrt_llm_bls` without a GPU: text in, the whole text so far out, by the llama.cpp of `tensorrt_llm`.

TensorRT-LLM's own BLS calls its three models inside Triton; here the llama.cpp server of the sibling model is asked.
"""

from __future__ import annotations

import os
import sys
from typing import Any

# Triton runs its models with an isolated Python, which does not read PYTHONPATH.
sys.path[:0] = os.environ["LOCAL_MODEL_PATH"].split(os.pathsep)
sys.dont_write_bytecode = True

import numpy as np  # noqa: E402
import triton_python_backend_utils as pb_utils  # noqa: E402
from local_model.llama_http import LlamaHttp  # noqa: E402
from local_model.request import Refused, sampling, scalar  # noqa: E402
from local_model.settings import read_settings  # noqa: E402
from local_model.streams import Cancelled, Sender, Streams  # noqa: E402


class TritonPythonModel:
    """Keeps nothing; llama.cpp keeps the prefixes."""

    def initialize(self, args: dict[str, str]) -> None:
        settings = read_settings()
        self._room = settings.context_tokens - 1
        self._llama = LlamaHttp(settings.port)
        self._streams = Streams(settings.slots, self._read, self._serve, lambda outcome: None)

    def execute(self, requests: list[Any]) -> None:
        for request in requests:
            self._streams.accept(request)

    def finalize(self) -> None:
        self._streams.close()

    def _read(self, request: Any) -> dict[str, Any]:
        return {
            "text": scalar(request, "text_input").decode("utf-8", "replace"),
            "most": int(scalar(request, "max_tokens")),
            "body": sampling(request, "top_k", "top_p"),
        }

    def _serve(self, job: dict[str, Any], sender: Sender) -> None:
        prompt = self._llama.tokenize(job["text"], True)
        most, body = job["most"], job["body"]
        if len(prompt) >= self._room:
            raise Refused(f"Prompt length ({len(prompt)}) exceeds maximum input length ({self._room - 1}).")
        body.update(prompt=prompt, n_predict=min(most, self._room - len(prompt)), return_progress=True)
        body.update(timings_per_token=True)
        whole = ""
        events = self._llama.stream(body)
        try:
            for event in events:
                if sender.cancelled:
                    raise Cancelled
                if "error" in event:
                    raise Refused(str(event["error"]))
                if event.get("content"):
                    whole += event["content"]
                    sender.send(_outputs(whole, len(prompt), event.get("timings", {})))
        finally:
            events.close()


def _outputs(text: str, prompt_tokens: int, timings: dict[str, Any]) -> list[Any]:
    return [
        pb_utils.Tensor("text_output", np.array([[text.encode()]], np.object_)),
        pb_utils.Tensor("kv_cache_reused_blocks", np.array([[timings.get("cache_n", 0)]], np.int32)),
        pb_utils.Tensor("num_input_tokens", np.array([[prompt_tokens]], np.int32)),
        pb_utils.Tensor("num_output_tokens", np.array([[timings.get("predicted_n", 0)]], np.int32)),
    ]
