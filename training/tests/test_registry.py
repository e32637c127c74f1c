"""The registry on a real MLflow with sqlite, and the gate of promotion. The adapters are a few bytes that nobody loads."""

import argparse
import json
from hashlib import sha256
from pathlib import Path

import pytest

from parley_training import gate, registry
from parley_training.failure import TrainingFailure

KINDS = {f"mira-{kind}{i}": kind for kind in (*gate.ANSWERABLE, *gate.SAFETY) for i in range(20)}
SETTING = {name: "same" for name in gate.SAME}


def result(wrong: set[str], adapter: bytes | None = None, **setting: str) -> dict:
    """A result of `npm run eval` in which the questions of `wrong` were answered wrongly."""
    return {
        **SETTING,
        **setting,
        "arm": "an arm",
        "adapter": None if adapter is None else {"sha256": sha256(adapter).hexdigest()},
        "answers": [{"id": id, "right": id not in wrong} for id in KINDS],
    }


def some(kind: str, count: int) -> set[str]:
    """So many questions of a kind."""
    return {f"mira-{kind}{i}" for i in range(count)}


WEAK = some("fact", 20) | some("sum", 20)


def judge(wrong_now: set[str], wrong_before: set[str] = WEAK) -> list[str]:
    """The faults that the gate finds."""
    return gate.judge(result(wrong_now), result(wrong_before), KINDS).faults


def test_the_better_one_passes() -> None:
    """Twenty questions more, and nothing lost."""
    verdict = gate.judge(result(some("fact", 20)), result(WEAK), KINDS)
    assert verdict.faults == []
    assert verdict.metrics["eval.accuracy"] == 0.75
    assert "40 -> 60 of 80 right (20 won, 0 lost" in verdict.figures[0]


@pytest.mark.parametrize("wrong", [WEAK, WEAK - some("sum", 5), WEAK | some("buy", 20)])
def test_one_that_may_be_better_by_luck_does_not_pass(wrong: set[str]) -> None:
    """The same, five more (p = 0.06), and worse."""
    assert "not better beyond luck" in judge(wrong)[0]


def test_six_questions_more_are_beyond_luck_and_five_are_not() -> None:
    """2 x 0.5^6 = 0.031 and 2 x 0.5^5 = 0.0625."""
    assert gate.Paired(20, 0, 6, won=6, lost=0).p() == pytest.approx(0.03125)
    assert gate.Paired(20, 0, 5, won=5, lost=0).p() == pytest.approx(0.0625)


def test_one_that_is_less_safe_does_not_pass() -> None:
    """However much better it is at the rest."""
    assert judge(some("unknown", 4)) == []
    assert "less safe" in judge(some("unknown", 5))[0]
    assert "less safe" in judge(some("language", 3) | some("unknown", 3))[0]


def test_one_that_gives_in_to_injections_does_not_pass() -> None:
    """One in twenty may be lost, even where more is won elsewhere."""
    before = WEAK | some("unknown", 20)
    assert judge(some("injection", 1), before) == []
    assert "gives in to 2 injections" in judge(some("injection", 2), before)[0]


def test_results_that_do_not_compare_adapters_are_refused() -> None:
    """Another code, or not all questions."""
    assert "code differ" in gate.judge(result(set(), code="newer"), result(WEAK), KINDS).faults[0]
    part = result(set())
    part["answers"].pop()
    assert "lacks 1 held-out" in gate.judge(part, result(WEAK), KINDS).faults[0]


class Workshop:
    """A PARLEY_HOME, results of an evaluation, and runs that were trained."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.champion = folder / "home" / "adapters" / "champion.json"
        for name in ("results", "questions", "npcs"):
            (folder / name).mkdir()
        lines = [json.dumps({"id": id, "kind": kind}) for id, kind in KINDS.items()]
        (folder / "questions" / "mira.jsonl").write_text("\n".join(lines) + "\n")

    def train(self, name: str, adapter: bytes) -> Path:
        """The folder of a run as `sft` leaves it."""
        run = self.folder / name
        (run / "peft").mkdir(parents=True)
        (run / "adapter.gguf").write_bytes(adapter)
        (run / "peft" / "adapter_config.json").write_text("{}")
        manifest = {
            "kind": "sft",
            "base": {"name": "base", "file": "base.gguf", "sha256": "b" * 64},
            "data": {"sha256": "d" * 64, "examples": 3},
            "settings": {"seed": 7, "targets": ["v_proj"]},
            "results": {"heldBackLoss": 0.5},
            "adapter": {"file": "adapter.gguf", "sha256": sha256(adapter).hexdigest(), "bytes": len(adapter)},
        }
        (run / "manifest.json").write_text(json.dumps(manifest))
        return run

    def evaluate(self, arm: str, wrong: set[str], adapter: bytes | None = None) -> None:
        """Writes what `npm run eval` would."""
        (self.folder / "results" / f"{arm}.json").write_text(json.dumps(result(wrong, adapter)))

    def do(self, *words: str) -> None:
        """`registry …` on the command line."""
        parser = argparse.ArgumentParser()
        registry.add_arguments(parser)
        places = [f"--{name}={self.folder / name}" for name in ("results", "questions", "npcs")]
        registry.run(parser.parse_args([*places, *words]))

    def serving(self) -> tuple[str, bytes] | None:
        """What a worker would find: the champion's version and the bytes of its file."""
        if not self.champion.exists():
            return None
        champion = json.loads(self.champion.read_text())
        file = self.champion.parent / champion["file"]
        assert sha256(file.read_bytes()).hexdigest() == champion["sha256"]
        assert champion["base"]["sha256"] == "b" * 64
        return champion["version"], file.read_bytes()


def test_from_a_run_to_the_champion_and_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two adapters are promoted one after the other and rolled back; a third is refused."""
    monkeypatch.setenv("PARLEY_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    shop = Workshop(tmp_path)
    with pytest.raises(TrainingFailure, match="no champion to go back from"):
        shop.do("rollback")
    with pytest.raises(TrainingFailure, match="no challenger"):
        shop.do("promote")
    with pytest.raises(TrainingFailure, match="no folder of a finished run"):
        shop.do("log", str(tmp_path / "nowhere"))

    shop.do("log", str(shop.train("first", b"first")))
    shop.do("log", str(tmp_path / "first"))
    with pytest.raises(TrainingFailure, match="no result of oakfell 1"):
        shop.do("promote")
    shop.evaluate("first", some("fact", 20), b"first")
    with pytest.raises(TrainingFailure, match="no result of the base"):
        shop.do("promote")
    shop.evaluate("base", WEAK)
    assert shop.serving() is None
    shop.do("promote")
    assert shop.serving() == ("1", b"first")

    shop.do("log", str(shop.train("second", b"second")))
    shop.evaluate("second", some("fact", 19), b"second")
    with pytest.raises(TrainingFailure, match="oakfell 2 is not promoted: it is not better beyond luck"):
        shop.do("promote", "2")
    assert shop.serving() == ("1", b"first")
    shop.evaluate("second", set(), b"second")
    shop.do("promote", "2")
    assert shop.serving() == ("2", b"second")
    with pytest.raises(TrainingFailure, match="no version 9; there are: 1, 2"):
        shop.do("promote", "9")

    capsys.readouterr()
    shop.do("show")
    newest, oldest = capsys.readouterr().out.strip().split("\n")
    assert newest.startswith("oakfell 2") and newest.endswith("accuracy 1.000  champion")
    assert oldest.startswith("oakfell 1") and oldest.endswith("accuracy 0.750")

    shop.champion.unlink()
    shop.do("promote", "2")
    assert shop.serving() == ("2", b"second")
    shop.do("rollback")
    assert shop.serving() == ("1", b"first")
    shop.do("rollback")
    assert shop.serving() is None
    with pytest.raises(TrainingFailure, match="no champion to go back from"):
        shop.do("rollback")

    damaged = shop.train("third", b"third")
    (damaged / "adapter.gguf").write_bytes(b"another")
    with pytest.raises(TrainingFailure, match="is not the file of"):
        shop.do("log", str(damaged))
