"""Asks llama.cpp's own HTTP server, which the model `tensorrt_llm` runs on 127.0.0.1, to tokenize and to write text."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from typing import Any


class LlamaHttp:
    """One instance for each thread that asks. Raises OSError when nothing listens, RuntimeError on a refusal."""

    def __init__(self, port: int) -> None:
        self._port = port

    def tokenize(self, text: str, control: bool) -> list[int]:
        """Tokens of a text; control tokens are read out of it only when `control` says so."""
        body = {"content": text, "add_special": False, "parse_special": control}
        return self._post("/tokenize", body)["tokens"]

    def complete(self, body: dict[str, Any]) -> dict[str, Any]:
        """A completion in one piece. It is not heard when nobody waits for it any more."""
        return self._post("/completion", {**body, "stream": False}, _COMPLETION_S)

    def stream(self, body: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Events of one completion. Closing the iterator ends the completion at the server."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port)
        try:
            connection.request("POST", "/completion", json.dumps({**body, "stream": True}), _JSON)
            response = connection.getresponse()
            if response.status != 200:
                raise RuntimeError(response.read().decode("utf-8", "replace"))
            for line in response:
                if line.startswith(b"data: ") and not line.startswith(b"data: [DONE]"):
                    yield json.loads(line[6:])
        finally:
            connection.close()

    def _post(self, path: str, body: dict[str, Any], timeout: float = 30) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=timeout)
        try:
            connection.request("POST", path, json.dumps(body), _JSON)
            response = connection.getresponse()
            text = response.read()
            if response.status != 200:
                raise RuntimeError(text.decode("utf-8", "replace"))
            return json.loads(text)
        finally:
            connection.close()


#: A whole answer, on a busy machine.
_COMPLETION_S = 600
_JSON = {"content-type": "application/json"}
