"""Configurations of big models: the shipped ones load, and what cannot be is refused by name."""

from pathlib import Path

import pytest
from parley_training import configs
from parley_training.failure import TrainingFailure


def test_the_shipped_ones_load() -> None:
    found = {name: configs.load(name).tier for name in configs.names()}
    assert found == {
        "llama-3.1-8b-instruct": "silver",
        "llama-3.2-3b-instruct": "gold",
        "qwen2.5-3b-instruct": "gold",
        "qwen2.5-7b-instruct": "silver",
    }


def test_an_unknown_model_is_refused() -> None:
    with pytest.raises(TrainingFailure, match="Choose of: llama-3.1"):
        configs.load("gpt-2")


@pytest.mark.parametrize(
    ("line", "instead", "words"),
    [
        ("  revision: aa8e72537993ba99e69dfaafa59ed015b17504d1", "  revision: main", "40 hex digits"),
        ("  kv_heads: 2", "  kv_heads: 3", "multiple of kv_heads"),
        ("  kv_heads: 2", "  kv_heads: two", "must be a whole number"),
        ("  layers: 36", "", "architecture.layers is missing"),
        ("  layers: 36", "  layers: 36\n  depth: 3", "architecture.depth is no field"),
        ("  max_lora_rank: 32", "  max_lora_rank: 8", "must hold train.rank"),
        ("  max_lora_rank: 32", "  max_lora_rank: 48", "vLLM takes no other"),
        ("  weights: awq", "  weights: int3", "serve.weights must be one of"),
        ("  context: 2048", "  context: 512", "must hold prefix and turns"),
        ("tier: gold", "tier: bronze", "tier must be one of"),
        ("name: qwen2.5-3b-instruct", "name: other", "as the file is called"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path: Path, line: str, instead: str, words: str) -> None:
    text = (configs.FOLDER / "qwen2.5-3b-instruct.yaml").read_text("utf8")
    assert line in text
    file = tmp_path / "qwen2.5-3b-instruct.yaml"
    file.write_text(text.replace(line, instead, 1), "utf8")
    with pytest.raises(TrainingFailure, match=words):
        configs.load(file)
