"""Triton's model `tokenize` over the checkpoint's tokenizer: texts to token ids, and what each token writes. The tensors are those
of tiers/gold/repository/tokenize. Keeps nothing between requests."""

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
from text import Text  # noqa: E402


class TritonPythonModel:
    """Tokenizes for workers."""

    def initialize(self, args: dict[str, str]) -> None:
        self._text = Text(Path(__file__).resolve().parent)

    def execute(self, requests: list[Any]) -> list[Any]:
        return [self._answer(request) for request in requests]

    def _answer(self, request: Any) -> Any:
        wanted = pb_utils.get_input_tensor_by_name(request, "want_vocabulary")
        if wanted is not None and bool(wanted.as_numpy()[0]):
            return pb_utils.InferenceResponse(self._vocabulary())
        texts = pb_utils.get_input_tensor_by_name(request, "text")
        control = pb_utils.get_input_tensor_by_name(request, "control")
        if texts is None or control is None or texts.as_numpy().size != control.as_numpy().size:
            words = "`text` and `control` must be given, with one entry each for a text"
            return pb_utils.InferenceResponse(error=pb_utils.TritonError(words))
        pieces = [
            self._text.encode(text.decode("utf-8", "replace"), bool(allowed))
            for text, allowed in zip(texts.as_numpy(), control.as_numpy())
        ]
        ids = np.array([token for piece in pieces for token in piece], np.int32)
        counts = np.array([len(piece) for piece in pieces], np.int32)
        return pb_utils.InferenceResponse([pb_utils.Tensor("token_ids", ids), pb_utils.Tensor("token_counts", counts)])

    def _vocabulary(self) -> list[Any]:
        pieces = np.empty(len(self._text.pieces), np.object_)
        pieces[:] = self._text.pieces
        return [
            pb_utils.Tensor("token_bytes", pieces),
            pb_utils.Tensor("control_ids", np.array(self._text.control, np.int32)),
            pb_utils.Tensor("end_ids", np.array(self._text.ends, np.int32)),
        ]
