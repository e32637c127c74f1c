"""Triton's model `tokenize` over llama.cpp's tokenizer; see config.pbtxt for what goes in and out."""

from __future__ import annotations

import os
import sys
from typing import Any

# Triton runs its models with an isolated Python, which does not read PYTHONPATH.
sys.path[:0] = os.environ["LOCAL_MODEL_PATH"].split(os.pathsep)
sys.dont_write_bytecode = True

import numpy as np  # noqa: E402
import triton_python_backend_utils as pb_utils  # noqa: E402
from local_model.gguf import read_vocabulary  # noqa: E402
from local_model.llama_http import LlamaHttp  # noqa: E402
from local_model.settings import read_settings  # noqa: E402


class TritonPythonModel:
    """Tokenizes for workers. Keeps nothing between requests but the vocabulary."""

    def initialize(self, args: dict[str, str]) -> None:
        settings = read_settings()
        self._llama = LlamaHttp(settings.port)
        self._vocabulary = read_vocabulary(settings.model)

    def execute(self, requests: list[Any]) -> list[Any]:
        return [self._answer(request) for request in requests]

    def _answer(self, request: Any) -> Any:
        try:
            outputs = self._vocabulary_tensors() if self._wants_vocabulary(request) else self._tokens(request)
            return pb_utils.InferenceResponse(outputs)
        except (OSError, RuntimeError, ValueError) as error:
            return pb_utils.InferenceResponse(error=pb_utils.TritonError(f"tokenize failed: {error}"))

    @staticmethod
    def _wants_vocabulary(request: Any) -> bool:
        wanted = pb_utils.get_input_tensor_by_name(request, "want_vocabulary")
        return wanted is not None and bool(wanted.as_numpy()[0])

    def _tokens(self, request: Any) -> list[Any]:
        texts = pb_utils.get_input_tensor_by_name(request, "text")
        control = pb_utils.get_input_tensor_by_name(request, "control")
        if texts is None or control is None or texts.as_numpy().size != control.as_numpy().size:
            raise ValueError("`text` and `control` must be given, with one entry each for a text")
        pieces = [
            self._llama.tokenize(text.decode("utf-8", "replace"), bool(allowed))
            for text, allowed in zip(texts.as_numpy(), control.as_numpy())
        ]
        return [
            pb_utils.Tensor("token_ids", np.array([token for piece in pieces for token in piece], np.int32)),
            pb_utils.Tensor("token_counts", np.array([len(piece) for piece in pieces], np.int32)),
        ]

    def _vocabulary_tensors(self) -> list[Any]:
        vocabulary = self._vocabulary
        pieces = np.empty(len(vocabulary.pieces), np.object_)
        pieces[:] = vocabulary.pieces
        return [
            pb_utils.Tensor("token_bytes", pieces),
            pb_utils.Tensor("control_ids", np.array(vocabulary.control, np.int32)),
            pb_utils.Tensor("end_ids", np.array(vocabulary.ends, np.int32)),
        ]
