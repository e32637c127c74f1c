"""Triton's model `preprocessing`: the text of a whole prompt to token ids. It reads control tokens out of the text, as a prompt
needs them, so it is not for the words of players by themselves: workers use `tokenize`."""

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
    """Tokenizes prompts of requests that send text."""

    def initialize(self, args: dict[str, str]) -> None:
        self._text = Text(Path(__file__).resolve().parent)

    def execute(self, requests: list[Any]) -> list[Any]:
        return [self._answer(request) for request in requests]

    def _answer(self, request: Any) -> Any:
        prompts = pb_utils.get_input_tensor_by_name(request, "QUERY").as_numpy().reshape(-1)
        most = pb_utils.get_input_tensor_by_name(request, "REQUEST_OUTPUT_LEN").as_numpy()
        rows = [self._text.encode(prompt.decode("utf-8", "replace"), True) for prompt in prompts]
        if not all(rows):
            return pb_utils.InferenceResponse(error=pb_utils.TritonError("the prompt is empty"))
        end = self._text.ends[0]
        ids = np.full((len(rows), max(map(len, rows))), end, np.int32)
        for row, tokens in zip(ids, rows):
            row[: len(tokens)] = tokens
        column = np.ones((len(rows), 1), np.int32)
        lengths = np.array([[len(tokens)] for tokens in rows], np.int32)
        outputs = {
            "INPUT_ID": ids,
            "REQUEST_INPUT_LEN": lengths,
            "REQUEST_OUTPUT_LEN": most.astype(np.int32),
            "OUT_END_ID": column * end,
            "OUT_PAD_ID": column * end,
        }
        return pb_utils.InferenceResponse([pb_utils.Tensor(name, value) for name, value in outputs.items()])
