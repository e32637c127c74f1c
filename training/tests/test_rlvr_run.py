"""Whole runs of `srl` and `rlvr` as a person starts them, on a tiny base model: stopped, resumed, exported, refused."""

import argparse
import json
from pathlib import Path

import pytest
from parley_training import base as bases
from parley_training import export, lora, rlvr, srl
from parley_training.failure import TrainingFailure

from tiny_base import write_tiny_base

NPCS = ("bram", "edda", "mira", "rosa", "tobin", "yorick")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a base model, an adapter to start from, and rendered examples."""
    if not bases.default_base().is_file():
        pytest.skip("the default model is not there; `npm start` fetches it")
    folder = tmp_path_factory.mktemp("run")
    write_tiny_base(folder / "tiny.gguf", bases.default_base())
    base = bases.inspect(folder / "tiny.gguf")
    model = lora.add_lora(
        bases.load_model(base), rank=4, alpha=8, dropout=0.0, targets=list(lora.TARGETS)
    )
    export.write(model, base, {"kind": "test", "base": {"sha256": base.sha256}}, folder / "sft")
    lines = [
        {
            "id": f"{npc}-f{number:02}/0",
            "npc": npc,
            "kind": "fact",
            "form": "speech",
            "system": f"You are {npc}.",
            "examples": [{"player": "Hi.", "npc": "Hello."}],
            "turns": [],
            "player": f"What is {number}?",
            "answer": "I do not know.",
        }
        for npc in NPCS
        for number in range(13)
    ]
    (folder / "train.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), "utf8")
    return folder


def run(stage, place: Path, out: str, *more: str) -> Path:
    parser = argparse.ArgumentParser()
    stage.add_arguments(parser)
    given = ["--base", place / "tiny.gguf", "--from", place / "sft" / "peft", "--data", place / "train.jsonl"]
    small = "--steps 3 --prompts 2 --answers 3 --tokens 6 --tries 1 --measure 6 --threads 1".split()
    stage.run(parser.parse_args([*map(str, given), "--out", str(place / out), *small, *more]))
    return place / out


def manifest(out: Path) -> dict:
    return json.loads((out / "manifest.json").read_text("utf8"))


def is_changed(place: Path, out: Path) -> bool:
    """Whether a run's adapter differs from the one that it started from."""
    trained, rank, _ = export.from_peft(out / "peft")
    started, _, _ = export.from_peft(place / "sft" / "peft")
    assert rank == 4 and trained.keys() == started.keys()
    return any(not trained[name][1].equal(started[name][1]) for name in trained)


def test_srl_is_stopped_goes_on_and_ends_with_an_adapter(place: Path) -> None:
    out = run(srl, place, "srl", "--stop-after", "1")
    assert not (out / "adapter.gguf").exists()
    run(srl, place, "srl", "--resume")
    made = manifest(out)
    assert made["kind"] == "srl"
    assert made["results"]["trajectories"] == 60
    assert set(made["results"]["worthBefore"]) == {"total", "similarity", "same"}
    base = bases.inspect(place / "tiny.gguf")
    export.check_base(out / "adapter.gguf", base)
    # The copy that the distance is measured to is no part of what is handed on.
    assert not (out / "peft" / "ref").exists()
    # An untrained model never writes JSON: all of its groups are worth the same, and nothing is learnt from them.
    assert made["results"]["reward"] == {"first": -1, "last": -1}
    assert not is_changed(place, out)
    with pytest.raises(TrainingFailure, match="another seed"):
        run(srl, place, "srl", "--resume", "--seed", "8")


def test_rlvr_and_its_control_have_their_own_names(place: Path) -> None:
    assert manifest(run(rlvr, place, "rlvr"))["kind"] == "rlvr"
    made = manifest(run(rlvr, place, "control", "--rewards", "random"))
    assert made["kind"] == "rlvr-random"
    assert made["settings"]["rewards"] == "random"
    assert is_changed(place, place / "control")


def test_an_adapter_that_is_missing_or_of_another_base_is_refused(place: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingFailure, match="there is no adapter"):
        run(rlvr, place, "none", "--from", str(tmp_path))
    write_tiny_base(tmp_path / "other.gguf", bases.default_base(), seed=9)
    with pytest.raises(TrainingFailure, match="was made for the base"):
        run(rlvr, place, "none", "--base", str(tmp_path / "other.gguf"))
