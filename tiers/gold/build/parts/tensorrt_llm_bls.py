"""Triton's model `tensorrt_llm_bls`: text in, text out, over `tensorrt_llm`. Each answer has the whole text so far, so that a
character that is cut between tokens is mended. Where the repository has a draft model and the request names
`num_draft_tokens`, that one guesses and `tensorrt_llm` verifies. One sequence a request; no beams, no guided decoding."""

from __future__ import annotations

import json
import os
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Triton runs its models with an isolated Python, which does not read PYTHONPATH. In TensorRT-LLM's image nothing is added.
sys.path += [path for path in os.environ.get("LOCAL_MODEL_PATH", "").split(os.pathsep) if path]
sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.dont_write_bytecode = True

import numpy as np  # noqa: E402
import triton_python_backend_utils as pb_utils  # noqa: E402
from text import Text, whole  # noqa: E402

#: Inputs that are handed on, by their name here and in `tensorrt_llm`. The draft model gets those that choose tokens.
_CHOOSING = {
    "temperature": "temperature",
    "top_k": "runtime_top_k",
    "top_p": "runtime_top_p",
    "repetition_penalty": "repetition_penalty",
    "seed": "seed",
}
#: These look at the answer alone, and a target that verifies is given the answer so far as a part of its prompt.
_PENALTIES = {"presence_penalty": "presence_penalty", "frequency_penalty": "frequency_penalty"}
_ADAPTER = {"lora_task_id": "lora_task_id", "lora_weights": "lora_weights", "lora_config": "lora_config"}

Tensors = dict[str, np.ndarray]


@dataclass(frozen=True)
class _Asked:
    """One request, read from its tensors."""

    prompt: list[int]
    most: int
    stop_words: list[str]
    streaming: bool
    #: Tokens to guess at once; 0 where nothing is guessed.
    guessed: int
    choosing: Tensors
    others: Tensors


class TritonPythonModel:
    """Asks `tensorrt_llm`, with or without guesses of the draft model, and writes text."""

    def initialize(self, args: dict[str, str]) -> None:
        """Takes the names of the models that it asks from its configuration."""
        parameters = json.loads(args["model_config"])["parameters"]

        def parameter(name: str, fallback: str) -> str:
            return parameters.get(name, {}).get("string_value", fallback)

        self._text = Text(Path(__file__).resolve().parent)
        self._target = parameter("tensorrt_llm_model_name", "tensorrt_llm")
        self._draft = parameter("tensorrt_llm_draft_model_name", "")
        # What the target's engine was built for: it refuses a longer guess.
        self._most_guessed = int(parameter("max_draft_tokens", "0")) if self._draft else 0

    def execute(self, requests: list[Any]) -> None:
        """Answers each request to its end. Whatever fails is told as an error of the request."""
        for request in requests:
            sender = request.get_response_sender()
            final = pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL
            try:
                self._answer(self._read(request), sender)
                sender.send(flags=final)
            except Exception as error:  # whatever it is, the client must not wait for ever
                words = pb_utils.TritonError(f"tensorrt_llm_bls failed: {error}")
                sender.send(pb_utils.InferenceResponse(error=words), flags=final)

    def _read(self, request: Any) -> _Asked:
        def given(name: str) -> np.ndarray | None:
            tensor = pb_utils.get_input_tensor_by_name(request, name)
            return None if tensor is None else tensor.as_numpy()

        def handed_on(names: dict[str, str]) -> Tensors:
            values = {there: given(here) for here, there in names.items()}
            return {there: value for there, value in values.items() if value is not None}

        prompt = self._text.encode(given("text_input").reshape(-1)[0].decode("utf-8", "replace"), True)
        if not prompt:
            raise ValueError("the prompt is empty")
        most = int(given("max_tokens").reshape(-1)[0])
        if most < 1:
            raise ValueError("max_tokens must be at least 1")
        streaming, words, guessed = given("stream"), given("stop_words"), given("num_draft_tokens")
        penalties = handed_on(_PENALTIES)
        penalised = any(value.any() for value in penalties.values())
        wanted = 0 if guessed is None or penalised else int(guessed.reshape(-1)[0])
        return _Asked(
            prompt=prompt,
            most=most,
            stop_words=[] if words is None else [word.decode("utf-8", "replace") for word in words.reshape(-1) if word],
            streaming=streaming is not None and bool(streaming.reshape(-1)[0]),
            guessed=max(0, min(wanted, self._most_guessed)),
            choosing=handed_on(_CHOOSING),
            others=penalties | handed_on(_ADAPTER),
        )

    def _answer(self, asked: _Asked, sender: Any) -> None:
        answer = _Answer(self._text, asked)
        steps = self._with_guesses(asked, answer, sender) if asked.guessed > 0 else self._without(asked, answer, sender)
        sent = 0
        for _ in steps:
            if asked.streaming and len(answer.said) > sent:
                sent = len(answer.said)
                sender.send(answer.response())
        if not asked.streaming and not sender.is_cancelled():
            sender.send(answer.response())

    def _without(self, asked: _Asked, answer: _Answer, sender: Any) -> Iterator[None]:
        """Lets the target say the rest by itself. Who does not listen any more, or has a stop word, frees it."""
        call_id = uuid.uuid4().hex
        stopped = False
        inputs = self._inputs(asked, answer, asked.most - len(answer.said)) | asked.others
        try:
            for tokens in self._ask(self._target, inputs | {"streaming": np.array([[True]])}, call_id):
                if stopped:
                    continue
                if sender.is_cancelled():
                    stopped = True
                    self._stop(call_id)
                    continue
                answer.take(tokens)
                yield
                # The target ends by itself at its length and at the token that it was told to end at.
                if answer.over and len(answer.said) < asked.most and tokens[-1:] != self._text.ends[:1]:
                    stopped = True
                    self._stop(call_id)
        except RuntimeError:
            # What a call that was stopped has to say is of no interest.
            if not stopped:
                raise

    def _with_guesses(self, asked: _Asked, answer: _Answer, sender: Any) -> Iterator[None]:
        """Guess, verify, take what is right and one token more. The first token is not guessed: somebody waits for it."""
        while not answer.over and not sender.is_cancelled():
            room = min(asked.guessed, asked.most - len(answer.said) - 1) if answer.said else 0
            guess = self._guess(asked, answer, room) if room > 0 else []
            if guess is None:
                yield from self._without(asked, answer, sender)
                return
            inputs = self._inputs(asked, answer, len(guess) + 1) | asked.others
            if guess:
                inputs["draft_input_ids"] = np.array([guess], np.int32)
            tokens = self._whole(self._target, inputs)
            right = _alike(guess, tokens)
            answer.guessed += len(guess)
            answer.right += right
            answer.take(tokens)
            # A target that says nothing of its own behind the guess has come to its end.
            answer.over = answer.over or right == len(tokens)
            yield

    def _guess(self, asked: _Asked, answer: _Answer, count: int) -> list[int] | None:
        """At most so many tokens; None when the draft model fails: an answer without guesses is as good, only slower."""
        try:
            tokens = self._whole(self._draft, self._inputs(asked, answer, count))
        except Exception as error:
            pb_utils.Logger.log_warn(f"tensorrt_llm_bls goes on without {self._draft}, which failed: {error}")
            return None
        ends = [place for place, token in enumerate(tokens) if token in self._text.ends]
        return tokens[: min([*ends, count])]

    def _inputs(self, asked: _Asked, answer: _Answer, most: int) -> Tensors:
        ids = asked.prompt + answer.said
        end = np.array([[self._text.ends[0]]], np.int32)
        inputs = asked.choosing | {
            "input_ids": np.array([ids], np.int32),
            "input_lengths": np.array([[len(ids)]], np.int32),
            "request_output_len": np.array([[most]], np.int32),
            "end_id": end,
            "pad_id": end,
        }
        if "seed" in inputs:
            # Else each call would begin with the same luck.
            inputs["seed"] = inputs["seed"] + np.uint64(len(answer.said))
        return inputs

    def _whole(self, model: str, inputs: Tensors) -> list[int]:
        """All tokens of an answer that comes in one piece."""
        return [token for tokens in self._ask(model, inputs | {"streaming": np.array([[False]])}) for token in tokens]

    def _ask(self, model: str, inputs: Tensors, call_id: str = "") -> Iterator[list[int]]:
        call = pb_utils.InferenceRequest(
            model_name=model,
            request_id=call_id,
            requested_output_names=["output_ids"],
            inputs=[pb_utils.Tensor(name, value) for name, value in inputs.items()],
        )
        for response in call.exec(decoupled=True):
            if response.has_error():
                raise RuntimeError(response.error().message())
            tokens = pb_utils.get_output_tensor_by_name(response, "output_ids")
            if tokens is not None:
                yield tokens.as_numpy().reshape(-1).tolist()

    def _stop(self, call_id: str) -> None:
        """Ends a call of the target, as TensorRT-LLM's backend does it: a request of the same id that says `stop`."""
        one = np.array([[1]], np.int32)
        inputs = {"input_ids": one, "input_lengths": one, "request_output_len": one, "stop": np.array([[True]])}
        try:
            for _ in self._ask(self._target, inputs, call_id):
                pass
        except Exception as error:  # it may have ended by itself
            pb_utils.Logger.log_info(f"tensorrt_llm_bls could not stop a call: {error}")


class _Answer:
    """The tokens said so far, and where they end."""

    def __init__(self, text: Text, asked: _Asked) -> None:
        self._text = text
        self._asked = asked
        self._written = ""
        self.said: list[int] = []
        self.over = False
        self.guessed = 0
        self.right = 0

    def take(self, tokens: list[int]) -> None:
        """Adds tokens as far as the answer goes: to a token that ends it, a stop word (which stays), or its length."""
        for token in tokens:
            if self.over:
                return
            if token in self._text.ends:
                self.over = True
                return
            self.said.append(token)
            self._written = whole(self._text.decode(self.said))
            stops = [self._written.find(word) + len(word) for word in self._asked.stop_words if word in self._written]
            if stops:
                self._written = self._written[: min(stops)]
            self.over = bool(stops) or len(self.said) >= self._asked.most

    def response(self) -> Any:
        """The whole of it so far, as tensors."""
        counts = {"num_output_tokens": len(self.said)}
        if self._asked.guessed > 0:
            counts |= {"total_draft_tokens": self.guessed, "total_accepted_draft_tokens": self.right}
        text = pb_utils.Tensor("text_output", np.array([[self._written.encode()]], np.object_))
        return pb_utils.InferenceResponse(
            [text, *(pb_utils.Tensor(name, np.array([[count]], np.int32)) for name, count in counts.items())]
        )


def _alike(guess: list[int], tokens: list[int]) -> int:
    """How many tokens two lists have in common from their beginning on."""
    pairs = enumerate(zip(guess, tokens))
    return next((place for place, (one, other) in pairs if one != other), min(len(guess), len(tokens)))
