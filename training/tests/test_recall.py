"""The encoder of recall on a tiny model: wordings of one thing come nearer, the file is what llama.cpp reads, and what is
damaged is refused by name."""

import json
import random
import zipfile
from argparse import ArgumentParser
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from transformers import BertConfig, BertModel, BertTokenizerFast

from parley_training import encoder as encoders
from parley_training import recall
from parley_training.failure import TrainingFailure

WORDS = "sword blade price cost mine goblin gate where is the of a how much".split()
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, "##s", "?"]


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An encoder of two small layers as it would be published."""
    folder = tmp_path_factory.mktemp("published")
    (folder / "vocab.txt").write_text("\n".join(PIECES) + "\n", "utf8")
    torch.manual_seed(1)
    size = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    BertModel(BertConfig(vocab_size=len(PIECES), max_position_embeddings=128, **size)).save_pretrained(folder)
    BertTokenizerFast(vocab=str(folder / "vocab.txt")).save_pretrained(folder)
    file = folder.parent / f"{folder.name}.zip"
    with zipfile.ZipFile(file, "w") as packed:
        for member in folder.iterdir():
            packed.write(member, member.name)
    return file


def lines(file: Path) -> Path:
    """Wordings of two characters: prices and places."""
    rows = [
        {"npc": npc, "words": words, "label": label}
        for npc in ("mira", "rosa")
        for label, all_words in {
            "30 gold.": ["how much is a sword", "price of the blade", "cost of a sword?", "how much the blade"],
            "North.": ["where is the mine", "where the gate is?", "the mine is where", "where is a gate"],
        }.items()
        for words in all_words
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf8")
    return file


def options(*words: object):  # noqa: ANN201
    """Options of `recall` as its command line gives them."""
    parser = ArgumentParser()
    recall.add_arguments(parser)
    return parser.parse_args([str(word) for word in words])


def test_wordings_of_one_thing_come_nearer_and_the_file_says_what_it_is(archive: Path, tmp_path: Path) -> None:
    data = lines(tmp_path / "wordings.jsonl")
    out = tmp_path / "out"
    recall.run(options("--archive", archive, "--data", data, "--out", out, "--epochs", 20, "--rate", 1e-3, "--batch", 8))
    about = json.loads((out / "encoder.json").read_text("utf8"))
    assert about["encoder"]["bytes"] == (out / "encoder.gguf").stat().st_size
    assert about["data"]["wordings"] == 16
    reader = gguf.GGUFReader(out / "encoder.gguf")
    names = {tensor.name for tensor in reader.tensors}
    assert {"token_embd.weight", "position_embd.weight", "blk.1.layer_output_norm.bias", "blk.0.attn_q.weight"} <= names
    assert not any("pooler" in name for name in names)
    tokens = reader.get_field("tokenizer.ggml.tokens").contents()
    assert tokens[:5] == PIECES[:5]
    assert "\u2581sword" in tokens and "s" in tokens
    assert reader.get_field("bert.attention.causal").contents() is False


def test_the_loss_falls_and_the_likes_are_nearest(archive: Path, tmp_path: Path) -> None:
    encoder = encoders.load(archive)
    wordings = recall.read_wordings(lines(tmp_path / "wordings.jsonl"))
    chance = random.Random(3)
    batches = [batch for _ in range(30) for batch in recall.make_batches(wordings, 8, chance)]
    recall.tune(encoder, batches, options("--rate", 1e-3))
    texts = ["how much is a sword", "price of the blade", "where is the mine"]
    with torch.no_grad():
        price, other, place = encoder.encode(texts)
    assert float(price @ other) > float(price @ place) + 0.3


def test_a_batch_is_of_one_character_and_every_wording_comes_once(tmp_path: Path) -> None:
    wordings = recall.read_wordings(lines(tmp_path / "wordings.jsonl"))
    batches = recall.make_batches(wordings, 5, random.Random(0))
    assert all(len({wording.npc for wording in batch}) == 1 for batch in batches)
    assert sorted((w.npc, w.words) for batch in batches for w in batch) == sorted((w.npc, w.words) for w in wordings)


def test_the_loss_is_that_of_the_paper() -> None:
    vectors = torch.nn.functional.normalize(torch.tensor(np.random.default_rng(0).normal(size=(4, 3))), dim=-1)
    labels = torch.tensor([0, 0, 1, 2])
    scores = (vectors @ vectors.T / 0.1).exp()
    first = -torch.log(scores[0, 1] / (scores[0].sum() - scores[0, 0]))
    second = -torch.log(scores[1, 0] / (scores[1].sum() - scores[1, 1]))
    assert recall.contrast(vectors, labels, 0.1).item() == pytest.approx(float((first + second) / 2), rel=1e-6)
    assert recall.contrast(vectors, torch.arange(4), 0.1) is None


def test_what_is_damaged_is_named(archive: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.zip"
    broken.write_bytes(archive.read_bytes()[:2000])
    for file in (broken, tmp_path / "missing.zip"):
        with pytest.raises(TrainingFailure, match=file.name):
            encoders.load(file)
    data = tmp_path / "wordings.jsonl"
    for text in ('{"npc": "mira"}\n', "no\n", ""):
        data.write_text(text, "utf8")
        with pytest.raises(TrainingFailure, match="wordings.jsonl"):
            recall.read_wordings(data)
