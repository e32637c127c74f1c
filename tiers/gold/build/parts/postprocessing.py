"""Triton's model `postprocessing`: token ids to text, without a character that is cut at the end. Control tokens write nothing."""

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


class TritonPythonModel:
    """Writes what tokens say."""

    def initialize(self, args: dict[str, str]) -> None:
        self._text = Text(Path(__file__).resolve().parent)

    def execute(self, requests: list[Any]) -> list[Any]:
        return [self._answer(request) for request in requests]

    def _answer(self, request: Any) -> Any:
        ids = pb_utils.get_input_tensor_by_name(request, "TOKENS_BATCH").as_numpy()
        lengths = pb_utils.get_input_tensor_by_name(request, "SEQUENCE_LENGTH").as_numpy()
        rows = ids.reshape(-1, ids.shape[-1])
        counts = lengths.reshape(-1)
        texts = [whole(self._text.decode(row[:count].tolist())).encode() for row, count in zip(rows, counts)]
        return pb_utils.InferenceResponse([pb_utils.Tensor("OUTPUT", np.array(texts, np.object_).reshape(len(texts), 1))])
