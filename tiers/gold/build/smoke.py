"""The smoke test of a model repository: starts the real Triton on it and asks. Nothing is published that has not passed.

Needs the GPU and the image of the engine. Measures speed roughly; quality is the business of `npm run eval`.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from graph import BuildFailure

PROMPTS = {
    "chatml": "<|im_start|>system\n{system}<|im_end|>\n<|im_start|>user\n{player}<|im_end|>\n<|im_start|>assistant\n",
    "llama3": (
        "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\n{system}<|eot_id|><|start_header_id|>user"
        "<|end_header_id|>\n\n{player}<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"
    ),
}
SYSTEM = "You are Mira, a blacksmith. A sword costs 30 gold. Answer in one short sentence."
QUESTION = "What does a sword cost?"
FACT = "30"
PORT = 18000
MODEL = "tensorrt_llm_bls"


@dataclass(frozen=True)
class Said:
    """One answer: its text and tokens, seconds between tokens on average, tokens that were guessed and that came true."""

    text: str
    tokens: int
    seconds: float
    guessed: int
    right: int


def run(out: Path, repository: Path, tritonserver: str, guessed: int = 0) -> None:
    """Writes `smoke.json`. `guessed` is how many tokens the draft model guesses at once, 0 where there is none. Throws a
    BuildFailure when Triton does not come up, or answers wrong, or twice not the same, or with guesses not the same."""
    text = (repository / "tokenize" / "config.pbtxt").read_text("utf8")
    template = next((name for name in PROMPTS if f'"{name}"' in text), None)
    if template is None:
        raise BuildFailure("tokenize/config.pbtxt names no chat template that the smoke test knows")
    program = shutil.which(tritonserver)
    if program is None:
        raise BuildFailure(f"{tritonserver} is not here: run this step in the image with Triton (README.md)")
    with tempfile.TemporaryDirectory() as scratch:
        # The engine's path in the configuration is that of the published release; here it is this repository's.
        trial = Path(scratch) / "repository"
        shutil.copytree(repository, trial, copy_function=_link)
        for model in trial.glob("tensorrt_llm*"):
            config = model / "config.pbtxt"
            lines = config.read_text("utf8").splitlines()
            config.unlink()
            config.write_text("\n".join(_at(line, model / "1") for line in lines) + "\n", "utf8")
        ports = [f"--http-port={PORT}", f"--grpc-port={PORT + 1}", f"--metrics-port={PORT + 2}"]
        with subprocess.Popen([program, f"--model-repository={trial}", *ports]) as server:
            try:
                _until_ready(server)
                prompt = PROMPTS[template].format(system=SYSTEM, player=QUESTION)
                result = ask_twice(f"http://127.0.0.1:{PORT}", prompt, guessed)
            finally:
                server.terminate()
    (out / "smoke.json").write_text(json.dumps(result, indent=2) + "\n", "utf8")


def ask_twice(url: str, prompt: str, guessed: int = 0, model: str = MODEL) -> dict:
    """Asks the same twice, always for the most probable token: both must say the fact, and the same; so must a third time
    with guesses, where a draft model guesses."""
    first, second = ask(url, prompt, 0, model), ask(url, prompt, 0, model)
    if FACT not in first.text:
        raise BuildFailure(f"asked what a sword costs, the model says {first.text!r} and not {FACT}")
    if first.text != second.text:
        raise BuildFailure(f"asked the same twice at temperature 0, the model says {first.text!r} and {second.text!r}")
    result = {"passed": True, "answer": first.text, "msPerToken": round(1000 * second.seconds, 2)}
    if guessed == 0:
        return result
    third = ask(url, prompt, guessed, model)
    if third.guessed == 0:
        raise BuildFailure("the draft model guesses nothing; Triton's own words above say why")
    if (third.text, third.tokens) != (first.text, first.tokens):
        raise BuildFailure(
            f"with {guessed} tokens guessed at once the model says {third.text!r} ({third.tokens} tokens), "
            f"without {first.text!r} ({first.tokens})"
        )
    ms = round(1000 * third.seconds, 2)
    return result | {"draft": {"tokens": guessed, "guessed": third.guessed, "right": third.right, "msPerToken": ms}}


def ask(url: str, prompt: str, guessed: int = 0, model: str = MODEL) -> Said:
    """The whole answer. Throws a BuildFailure for an error, or when it did not stream."""
    # The most probable token alone: in TensorRT-LLM that is top-k 1, and a temperature of 0 is refused.
    body = {"text_input": prompt, "max_tokens": 48, "stream": True, "top_k": 1}
    if guessed:
        body["num_draft_tokens"] = guessed
    request = urllib.request.Request(
        f"{url}/v2/models/{model}/generate_stream", json.dumps(body).encode(), {"content-type": "application/json"}
    )
    times: list[float] = []
    counts: list[int] = []
    event: dict = {"text_output": ""}
    with urllib.request.urlopen(request, timeout=120) as stream:
        for line in stream:
            if line.startswith(b"data:"):
                event = json.loads(line[5:])
                if "error" in event:
                    raise BuildFailure(f"Triton answers: {event['error']}")
                counts.append(event["num_output_tokens"])
                times.append(time.monotonic())
    text = event["text_output"].strip()
    if len(times) < 2 or counts[-1] <= counts[0]:
        raise BuildFailure(f"the answer did not stream: {text!r} came in {len(times)} pieces")
    seconds = (times[-1] - times[0]) / (counts[-1] - counts[0])
    return Said(text, counts[-1], seconds, event.get("total_draft_tokens", 0), event.get("total_accepted_draft_tokens", 0))


def _until_ready(server: subprocess.Popen, seconds: float = 600) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if server.poll() is not None:
            raise BuildFailure(f"tritonserver ended with {server.returncode}; its own words are above")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/v2/health/ready", timeout=2):
                return
        except OSError:
            time.sleep(1)
    raise BuildFailure(f"tritonserver was not ready after {seconds:.0f} s")


def _link(source: str, target: str) -> None:
    Path(target).symlink_to(Path(source).resolve())


def _at(line: str, engine: Path) -> str:
    if '"gpt_model_path"' not in line:
        return line
    head, _, _ = line.partition("string_value:")
    return f'{head}string_value: "{engine}" }} }}'
