"""A small graph of build steps with a cache by content: a step whose inputs are unchanged is not run again.

Knows nothing of models. Each step writes into a folder of its own, named by the hash of all that went into it; the folder
gets its name when the step is done, so that a killed build goes on behind the last step that was finished.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path


class BuildFailure(Exception):
    """Something that a person can mend. Its words say what."""


@dataclass(frozen=True)
class Step:
    """One step. `settings` and `files` are its inputs beside the steps it `needs`; `run(folder, results)` writes into a new
    folder and finds the folders of the steps before it in `results`. `keeps` leaves half-done work for the next try."""

    name: str
    run: Callable[[Path, dict[str, Path]], None]
    settings: dict = field(default_factory=dict)
    files: tuple[Path, ...] = ()
    needs: tuple[str, ...] = ()
    gpu: bool = False
    keeps: bool = False


def run_steps(
    steps: list[Step], work: Path, until: str | None = None, say: Callable[[str], None] = print
) -> dict[str, Path]:
    """Runs the steps in their order, as far as `until`; returns their folders. Throws a BuildFailure with the step's name."""
    names = [step.name for step in steps]
    if until is not None and until not in names:
        raise BuildFailure(f"there is no step {until}; there are {', '.join(names)}")
    results: dict[str, Path] = {}
    keys: dict[str, str] = {}
    work.mkdir(parents=True, exist_ok=True)
    for number, step in enumerate(steps, 1):
        missing = [need for need in step.needs if need not in results]
        if missing:
            raise BuildFailure(f"{step.name} stands before {missing[0]}, which it needs")
        keys[step.name] = key = step_key(step, keys)
        folder = work / f"{step.name}-{key[:16]}"
        place = f"step {number} of {len(steps)}, {step.name}"
        if intact(folder):
            say(f"{place}: unchanged ({folder.name})")
        else:
            started = time.monotonic()
            say(f"{place}: begins{' (needs the GPU)' if step.gpu else ''}")
            _run(step, folder, results, key)
            say(f"{place}: done in {time.monotonic() - started:.1f} s")
        results[step.name] = folder
        if step.name == until:
            break
    return results


def step_key(step: Step, keys: dict[str, str]) -> str:
    """The hash of all that goes into a step: its settings, its files and the keys of the steps that it needs."""
    about = {
        "step": step.name,
        "settings": step.settings,
        "files": {file.name: file_hash(file) for file in step.files},
        "needs": {need: keys[need] for need in step.needs},
    }
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()


def intact(folder: Path) -> bool:
    """Whether a step's folder is whole: finished, and every file of the size that it had then."""
    try:
        done = json.loads((folder / "done.json").read_text("utf8"))
    except (OSError, ValueError):
        return False
    return all(
        (folder / name).is_file() and (folder / name).stat().st_size == size for name, size in done["files"].items()
    )


def _run(step: Step, folder: Path, results: dict[str, Path], key: str) -> None:
    part = folder.with_name(f"{folder.name}.part")
    if not step.keeps:
        shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True, exist_ok=True)
    try:
        step.run(part, results)
    except BuildFailure as failure:
        raise BuildFailure(f"{step.name}: {failure}") from failure
    files = {str(file.relative_to(part)): file.stat().st_size for file in sorted(part.rglob("*")) if file.is_file()}
    files.pop("done.json", None)
    (part / "done.json").write_text(json.dumps({"key": key, "files": files}, indent=1) + "\n", "utf8")
    shutil.rmtree(folder, ignore_errors=True)
    part.rename(folder)


def file_hash(file: Path) -> str:
    """SHA-256 of a file, in hex."""
    with file.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def tree_hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below a folder, by its path in it."""
    files = sorted(file for file in folder.rglob("*") if file.is_file() and file.name != "done.json")
    return {str(file.relative_to(folder)): file_hash(file) for file in files}
