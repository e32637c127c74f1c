"""Where a run goes on after it was stopped: its last whole checkpoint, if it was made with the same options. For sft, srl, rlvr."""

import json
import shutil
from pathlib import Path

from .failure import TrainingFailure


def find_checkpoint(name: str, out: Path, settings: dict, resume: bool) -> Path | None:
    """The checkpoint to go on from, or None for a new run, which forgets those of the one before it. Throws a
    TrainingFailure when it was made with other settings."""
    folder = out / "checkpoints"
    said = json.loads(json.dumps(settings))
    file = folder / "settings.json"
    found = sorted(folder.glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]))
    whole = [path for path in found if (path / "trainer_state.json").is_file()]
    if resume and whole:
        made = json.loads(file.read_text("utf8"))
        other = [key for key in said if made.get(key) != said[key]]
        if other:
            raise TrainingFailure(
                f"the run in {out} was made with another {', '.join(other)}. Give the same options and data, "
                "or leave --resume out to begin anew"
            )
        return whole[-1]
    if resume:
        print(f"{name}: no checkpoint in {folder}, so it begins at the beginning", flush=True)
    for path in found:
        shutil.rmtree(path)
    folder.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(said, indent=2) + "\n", "utf8")
    return None
