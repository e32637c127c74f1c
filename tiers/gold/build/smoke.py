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


def run(out: Path, repository: Path, tritonserver: str) -> None:
    """Writes `smoke.json`. Throws a BuildFailure when Triton does not come up, or answers wrong, or twice not the same."""
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
        config = trial / "tensorrt_llm" / "config.pbtxt"
        lines = config.read_text("utf8").splitlines()
        engine = trial / "tensorrt_llm" / "1"
        config.unlink()
        config.write_text("\n".join(_at(line, engine) for line in lines) + "\n", "utf8")
        ports = [f"--http-port={PORT}", f"--grpc-port={PORT + 1}", f"--metrics-port={PORT + 2}"]
        with subprocess.Popen([program, f"--model-repository={trial}", *ports]) as server:
            try:
                _until_ready(server)
                result = ask_twice(f"http://127.0.0.1:{PORT}", PROMPTS[template].format(system=SYSTEM, player=QUESTION))
            finally:
                server.terminate()
    (out / "smoke.json").write_text(json.dumps(result, indent=2) + "\n", "utf8")


def ask_twice(url: str, prompt: str) -> dict:
    """Asks the same at temperature 0 twice: both must say the fact, and the same."""
    (first, _), (second, took) = ask(url, prompt), ask(url, prompt)
    if FACT not in first:
        raise BuildFailure(f"asked what a sword costs, the model says {first!r} and not {FACT}")
    if first != second:
        raise BuildFailure(f"asked the same twice at temperature 0, the model says {first!r} and {second!r}")
    return {"passed": True, "answer": first, "msPerToken": round(1000 * took, 2)}


def ask(url: str, prompt: str) -> tuple[str, float]:
    """The whole answer, and seconds between its tokens on average."""
    body = {"text_input": prompt, "max_tokens": 48, "stream": True, "temperature": 0.0, "top_k": 1}
    request = urllib.request.Request(
        f"{url}/v2/models/tensorrt_llm_bls/generate_stream", json.dumps(body).encode(), {"content-type": "application/json"}
    )
    times, text = [], ""
    with urllib.request.urlopen(request, timeout=120) as stream:
        for line in stream:
            if line.startswith(b"data:"):
                event = json.loads(line[5:])
                if "error" in event:
                    raise BuildFailure(f"Triton answers: {event['error']}")
                text = event["text_output"]
                times.append(time.monotonic())
    if len(times) < 2:
        raise BuildFailure(f"the answer did not stream: {text!r} came in {len(times)} pieces")
    return text.strip(), (times[-1] - times[0]) / (len(times) - 1)


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
