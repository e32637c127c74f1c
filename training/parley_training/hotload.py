"""`hotload`: puts an adapter into a running vLLM, or takes it out, without a restart.

The server must run with --enable-lora and VLLM_ALLOW_RUNTIME_LORA_UPDATING=True. The folder is read by the server itself, so
it has to lie where the server can see it. For TensorRT-LLM see `trtllm`.
"""

import argparse
import json
import urllib.error
import urllib.request
from pathlib import Path

from . import trtllm
from .failure import TrainingFailure


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("--url", default="http://127.0.0.1:8000", help="of the vLLM server")
    parser.add_argument("--name", required=True, help="what requests call the adapter (their `model`)")
    parser.add_argument("--peft", type=Path, help="PEFT folder to load; without it the adapter is unloaded")
    parser.add_argument("--at", help="the same folder as the server sees it (default: --peft)")
    parser.add_argument("--max-lora-rank", type=int, default=16, help="what the server was started with")


def run(options: argparse.Namespace) -> None:
    """Loads or unloads, and says what the server said."""
    if options.peft is None:
        said = post(options.url, "/v1/unload_lora_adapter", {"lora_name": options.name})
    else:
        check(options.peft, options.max_lora_rank)
        at = options.at or str(options.peft.resolve())
        said = post(options.url, "/v1/load_lora_adapter", {"lora_name": options.name, "lora_path": at})
    print(said, flush=True)


def check(folder: Path, max_rank: int) -> None:
    """Throws a TrainingFailure for an adapter that the server would refuse or serve wrong."""
    try:
        about = json.loads((folder / "adapter_config.json").read_text("utf8"))
    except (OSError, ValueError) as error:
        raise TrainingFailure(f"{folder} is no PEFT folder: {error}") from error
    trtllm.check(about, folder)
    if about["r"] > max_rank:
        raise TrainingFailure(
            f"the adapter has rank {about['r']} and the server takes {max_rank}: start it with --max-lora-rank {about['r']}"
        )


def post(url: str, path: str, body: dict) -> str:
    """Sends JSON; returns the text of the answer. Throws a TrainingFailure that says what to do."""
    request = urllib.request.Request(
        url.rstrip("/") + path, json.dumps(body).encode(), {"content-type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return response.read().decode()
    except urllib.error.HTTPError as error:
        words = error.read(500).decode(errors="replace")
        hint = (
            "start it with VLLM_ALLOW_RUNTIME_LORA_UPDATING=True and --enable-lora"
            if error.code in (404, 405)
            else "see the server's log"
        )
        raise TrainingFailure(f"{url} answered {error.code} to {path} ({words}): {hint}") from error
    except (urllib.error.URLError, OSError, ValueError) as error:
        raise TrainingFailure(f"no vLLM answers at {url} ({error}). Name it with --url") from error
