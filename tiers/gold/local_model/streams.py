"""Runs decoupled requests in threads of their own: each is answered until it ends, fails or is cancelled."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Generic, TypeVar

import triton_python_backend_utils as pb_utils
from local_model.request import Refused, scalar

Job = TypeVar("Job")

#: Around every call into Triton: of two threads that call at the same moment one may bring the server down.
triton_call = threading.Lock()

#: How often a request that waits for a free slot looks whether it is still wanted.
_LOOK_S = 0.01


class Cancelled(Exception):
    """Nobody listens any more."""


class Sender:
    """The answers to one request."""

    def __init__(self, request: Any) -> None:
        self.request_id: str = request.request_id()
        self._sender = request.get_response_sender()
        self._stopped = False
        self._ended = False

    def stop(self) -> None:
        """As if nobody listened any more."""
        self._stopped = True

    def send(self, outputs: list[Any]) -> None:
        with triton_call:
            self._sender.send(pb_utils.InferenceResponse(outputs))

    def fail(self, message: str) -> None:
        """The last answer is an error. In one with the end: a model of Triton's that asks this one (BLS) may hang otherwise."""
        failed = pb_utils.InferenceResponse(error=pb_utils.TritonError(message))
        self._end(failed, flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)

    def close(self) -> None:
        """Nothing more comes. Does nothing behind an error."""
        self._end(flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)

    def _end(self, *response: Any, flags: int) -> None:
        with triton_call:
            if not self._ended:
                self._ended = True
                self._sender.send(*response, flags=flags)

    @property
    def cancelled(self) -> bool:
        with triton_call:
            return self._stopped or self._sender.is_cancelled()


class Streams(Generic[Job]):
    """Serves at most `slots` requests at once; the others wait their turn, and may be cancelled meanwhile.

    `read` makes of a request what `serve` needs, and may refuse it. It runs before `execute` returns: afterwards the
    memory of the request's tensors is Triton's again, and reading it then brings the whole server down. A request that says
    `stop` ends the one of the same id, as TensorRT-LLM's backend has it.
    """

    def __init__(
        self,
        slots: int,
        read: Callable[[Any], Job],
        serve: Callable[[Job, Sender], None],
        outcome: Callable[[str], None],
    ) -> None:
        self._read = read
        self._free = threading.Semaphore(slots)
        self._pool = ThreadPoolExecutor(max_workers=256)
        self._serve = serve
        self._outcome = outcome
        self._accepted: dict[str, Sender] = {}

    def accept(self, request: Any) -> None:
        sender = Sender(request)
        try:
            if scalar(request, "stop"):
                self._stop(sender)
                return
            job = self._read(request)
        except Refused as refusal:
            sender.fail(str(refusal))
            self._outcome("refused")
            sender.close()
            return
        self._accepted[sender.request_id] = sender
        self._pool.submit(self._run, job, sender)

    def _stop(self, sender: Sender) -> None:
        running = self._accepted.get(sender.request_id)
        if running is not None and sender.request_id != "":
            running.stop()
        sender.close()

    def close(self) -> None:
        self._pool.shutdown(wait=True)

    def _run(self, job: Job, sender: Sender) -> None:
        outcome = "failed"
        try:
            while not self._free.acquire(timeout=_LOOK_S):
                if sender.cancelled:
                    raise Cancelled
            try:
                self._serve(job, sender)
            finally:
                self._free.release()
            outcome = "finished"
        except Cancelled:
            outcome = "cancelled"
        except Refused as refusal:
            outcome = "refused"
            sender.fail(str(refusal))
        except Exception as error:  # noqa: BLE001  The thread must not die without an answer.
            sender.fail(f"the local model failed: {error!r}")
        finally:
            self._accepted.pop(sender.request_id, None)
            self._outcome(outcome)
            sender.close()
