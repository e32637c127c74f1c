"""Triton's model `tensorrt_llm_bls`: text in, text out, over `tensorrt_llm`. Each answer has the whole text so far, so that a
character that is cut between tokens is mended. One sequence a request; no beams."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

# Triton runs its models with an isolated Python, which does not read PYTHONPATH. In TensorRT-LLM's image nothing is added.
sys.path += [path for path in os.environ.get("LOCAL_MODEL_PATH", "").split(os.pathsep) if path]
sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.dont_write_bytecode = True

import numpy as np  # noqa: E402
import triton_python_backend_utils as pb_utils  # noqa: E402
from text import Text, whole  # noqa: E402

#: Inputs that are handed on, by their name here and in `tensorrt_llm`.
_SAMPLING = {
    "temperature": "temperature",
    "top_k": "runtime_top_k",
    "top_p": "runtime_top_p",
    "repetition_penalty": "repetition_penalty",
    "presence_penalty": "presence_penalty",
    "frequency_penalty": "frequency_penalty",
    "seed": "seed",
    "lora_task_id": "lora_task_id",
    "lora_weights": "lora_weights",
    "lora_config": "lora_config",
}


class TritonPythonModel:
    """Asks `tensorrt_llm` and writes text."""

    def initialize(self, args: dict[str, str]) -> None:
        self._text = Text(Path(__file__).resolve().parent)

    def execute(self, requests: list[Any]) -> None:
        for request in requests:
            sender = request.get_response_sender()
            final = pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL
            try:
                self._answer(request, sender)
                sender.send(flags=final)
            except Exception as error:  # whatever it is, the client must not wait for ever
                words = pb_utils.TritonError(f"tensorrt_llm_bls failed: {error}")
                sender.send(pb_utils.InferenceResponse(error=words), flags=final)

    def _answer(self, request: Any, sender: Any) -> None:
        prompt = pb_utils.get_input_tensor_by_name(request, "text_input").as_numpy().reshape(-1)[0]
        most = pb_utils.get_input_tensor_by_name(request, "max_tokens").as_numpy().reshape(1, 1)
        ids = self._text.encode(prompt.decode("utf-8", "replace"), True)
        if not ids:
            raise ValueError("the prompt is empty")
        stream = pb_utils.get_input_tensor_by_name(request, "stream")
        streaming = stream is not None and bool(stream.as_numpy().reshape(-1)[0])
        inputs = {
            "input_ids": np.array([ids], np.int32),
            "input_lengths": np.array([[len(ids)]], np.int32),
            "request_output_len": most.astype(np.int32),
            "end_id": np.array([[self._text.ends[0]]], np.int32),
            "pad_id": np.array([[self._text.ends[0]]], np.int32),
            "streaming": np.array([[True]]),
        }
        for here, there in _SAMPLING.items():
            given = pb_utils.get_input_tensor_by_name(request, here)
            if given is not None:
                inputs[there] = given.as_numpy()
        call = pb_utils.InferenceRequest(
            model_name="tensorrt_llm",
            requested_output_names=["output_ids", "sequence_length"],
            inputs=[pb_utils.Tensor(name, value) for name, value in inputs.items()],
        )
        said: list[int] = []
        for response in call.exec(decoupled=True):
            if response.has_error():
                raise RuntimeError(response.error().message())
            if sender.is_cancelled():
                break
            tokens = pb_utils.get_output_tensor_by_name(response, "output_ids")
            if tokens is None:
                continue
            said += tokens.as_numpy().reshape(-1).tolist()
            if streaming:
                sender.send(self._response(said))
        if not streaming:
            sender.send(self._response(said))

    def _response(self, said: list[int]) -> Any:
        text = np.array([[whole(self._text.decode(said)).encode()]], np.object_)
        count = np.array([[len(said)]], np.int32)
        return pb_utils.InferenceResponse(
            [pb_utils.Tensor("text_output", text), pb_utils.Tensor("num_output_tokens", count)]
        )
