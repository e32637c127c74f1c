"""SFT and export on a tiny model in a real GGUF file: packs are exact, a killed run goes on to the same adapter, the engine
computes what was trained, and what does not fit is refused by name."""

import json
from argparse import ArgumentParser, Namespace
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch

from parley_training import base as bases
from parley_training import check, export, forward, lora, packing, sft
from parley_training.data import read_examples, split, tokenize
from parley_training.failure import TrainingFailure

from tiny_base import write_tiny_base

WORDS = "sword shield gold mine goblin gate inn ferry bread well forge brother river night road village".split()


def rows(count: int = 24) -> list[dict]:
    """Rendered examples of two characters, with and without history."""
    return [
        {
            "id": f"{npc}-f{i // 2:02}/{i % 2}",
            "npc": npc,
            "kind": "fact" if i % 3 else "sum",
            "form": "speech",
            "system": f"You are {npc}, of the village of Oakfell. You answer with one short sentence.",
            "examples": [{"player": "Good day.", "npc": "Well met, traveller."}],
            "turns": [{"player": "Hello.", "npc": f"A good {WORDS[i % 16]} to you."}] * (i % 2),
            "player": f"Tell me of the {WORDS[i % 16]}, {i} times.",
            "answer": f"The {WORDS[(i + 3) % 16]} costs {i} gold.",
        }
        for npc in ("mira", "rosa")
        for i in range(count // 2)
    ]


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> bases.Base:
    if not bases.default_base().is_file():
        pytest.skip(f"{bases.default_base()} is not there: run `npm start` once")
    file = tmp_path_factory.mktemp("base") / "tiny.gguf"
    write_tiny_base(file, bases.default_base())
    return bases.inspect(file)


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("data") / "train.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows()), "utf8")
    return file


@pytest.fixture(scope="session")
def tokens(base: bases.Base, data: Path) -> list:
    return tokenize(read_examples(data), bases.load_tokenizer(base))


def options(base: bases.Base, data: Path, out: Path, *more: str) -> Namespace:
    parser = ArgumentParser()
    sft.add_arguments(parser)
    fixed = ["--base", base.file, "--data", data, "--out", out, "--epochs", 2, "--rank", 4, "--room", 120]
    fixed += ["--targets", "v_proj,o_proj,down_proj"]
    return parser.parse_args([str(word) for word in (*fixed, "--rate", 0.01, "--held-back", 0.1, "--threads", 1, *more)])


def trained_model(base: bases.Base) -> torch.nn.Module:
    """In whole precision, with an adapter that is not nothing."""
    torch.manual_seed(1)
    model = lora.add_lora(
        bases.load_model(base, fast=False), rank=4, alpha=8, dropout=0.0, targets=list(lora.TARGETS)
    )
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    return model


def test_a_pack_gives_the_logits_and_the_loss_of_separate_sequences(base: bases.Base, tokens: list) -> None:
    model = trained_model(base)
    packs = packing.epoch_packs(tokens, 120, 3)
    assert len(packs) > 2 and any(len(pack.layout.lengths) > 2 for pack in packs)
    assert sum(len(pack.targets) for pack in packs) == sum(len(one.ids) - one.answer for one in tokens)
    group = [one for one in tokens if one.example.npc == "mira"][:5]
    pack = packing.make_pack(group, packing.common_prefix(group))
    packed = model.get_base_model().lm_head(forward.pack_hidden(model, pack))
    alone = [model(input_ids=torch.tensor([one.ids])).logits[0, one.answer - 1 : -1] for one in group]
    assert pack.layout.prefix > 20
    torch.testing.assert_close(packed, torch.cat(alone), atol=1e-4, rtol=1e-4)
    targets = torch.tensor([token for one in group for token in one.ids[one.answer :]])
    loss = torch.nn.functional.cross_entropy(torch.cat(alone), targets)
    torch.testing.assert_close(forward.pack_loss(model, pack), loss, atol=1e-5, rtol=1e-5)


def test_gradients_of_a_pack_are_those_of_separate_sequences(base: bases.Base, tokens: list) -> None:
    model = trained_model(base)
    group = tokens[:4]
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    packed = torch.autograd.grad(
        forward.pack_loss(model, packing.make_pack(group, packing.common_prefix(group))), parameters
    )
    learnt = sum(len(one.ids) - one.answer for one in group)
    alone = sum(
        forward.pack_loss(model, packing.make_pack([one], 8)) * (len(one.ids) - one.answer) / learnt for one in group
    )
    for mine, theirs in zip(packed, torch.autograd.grad(alone, parameters), strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-5, rtol=1e-3)


def test_bfloat16_stays_near_whole_precision(base: bases.Base, tokens: list) -> None:
    model = trained_model(base)
    pack = packing.epoch_packs(tokens, 120, None)[0]
    whole = float(forward.pack_loss(model, pack))
    bases.to_bfloat16(model.get_base_model())
    for parameter in model.parameters():  # the adapter stays in float32, as in training
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    assert abs(float(forward.pack_loss(model, pack)) - whole) < 0.02 * whole


def test_no_wording_of_a_held_back_exchange_is_trained(tokens: list) -> None:
    trained, held = split(tokens, 0.3, 7)
    exchanges = [{one.example.id.split("/")[0] for one in part} for part in (trained, held)]
    assert exchanges[0] and exchanges[1] and not exchanges[0] & exchanges[1]


def test_a_run_that_was_stopped_goes_on_to_the_same_adapter(base: bases.Base, data: Path, tmp_path: Path) -> None:
    sft.run(options(base, data, tmp_path / "whole"))
    sft.run(options(base, data, tmp_path / "parts", "--stop-after", "5"))
    assert not (tmp_path / "parts" / export.GGUF_NAME).exists()
    sft.run(options(base, data, tmp_path / "parts", "--resume"))
    whole, parts = (gguf.GGUFReader(tmp_path / name / export.GGUF_NAME).tensors for name in ("whole", "parts"))
    assert len(whole) == 12  # two layers, three matrices, A and B
    assert any(np.abs(tensor.data).max() > 0 for tensor in whole if tensor.name.endswith("lora_b"))
    for mine, theirs in zip(whole, parts, strict=True):
        assert mine.name == theirs.name
        np.testing.assert_allclose(mine.data, theirs.data, atol=1e-6)
    about = json.loads((tmp_path / "whole" / export.MANIFEST_NAME).read_text())
    assert about["base"]["sha256"] == base.sha256
    assert about["results"]["heldBackLoss"].keys() == {"1", "2"}
    assert json.loads((tmp_path / "parts" / export.MANIFEST_NAME).read_text())["results"]["heldBackLoss"].keys() == {"1", "2"}
    with pytest.raises(TrainingFailure, match="another rank"):
        sft.run(options(base, data, tmp_path / "parts", "--resume", "--rank", "8"))


def test_the_engine_computes_what_python_computes(base: bases.Base, tokens: list, tmp_path: Path) -> None:
    model = trained_model(base)
    about = {"kind": "test", "base": {"sha256": base.sha256}}
    file = export.write(model, base, about, tmp_path)
    some = tokens[::5]
    plain, adapted = (check.ask_engine(base, adapter, [one.example for one in some]) for adapter in (None, file))
    assert [row["ids"] for row in adapted] == [check.prompt_ids(one) for one in some]
    with_adapter = check.compare(check.logits(model, some), adapted)
    assert with_adapter.top1 == 1 and with_adapter.error < 0.05
    with model.disable_adapter():
        assert check.compare(check.logits(model, some), plain).error < 0.05
        assert check.compare(check.logits(model, some), adapted).error > 0.1  # the adapter changes something


def test_an_exported_adapter_holds_what_was_trained(base: bases.Base, tmp_path: Path) -> None:
    model = trained_model(base)
    file = export.write(model, base, {"kind": "test", "base": {"sha256": base.sha256}}, tmp_path)
    tensors = {tensor.name: tensor for tensor in gguf.GGUFReader(file).tensors}
    for name, (a, b) in export.matrices_of(model).items():
        for which, matrix in (("lora_a", a), ("lora_b", b)):
            tensor = tensors.pop(f"{name}.weight.{which}")
            assert tuple(reversed(tensor.shape.tolist())) == tuple(matrix.shape)
            np.testing.assert_array_equal(tensor.data, matrix.numpy())
    assert not tensors
    matrices, rank, alpha = export.from_peft(tmp_path / export.PEFT_NAME)
    assert (rank, alpha, len(matrices)) == (4, 8, 10)
    export.check_base(file, base)


def test_an_adapter_for_another_base_is_refused(base: bases.Base, tmp_path: Path) -> None:
    model = trained_model(base)
    file = export.write(model, base, {"kind": "test", "base": {"sha256": base.sha256}}, tmp_path)
    other = tmp_path / "other.gguf"
    write_tiny_base(other, bases.default_base(), seed=5, layers=1)
    with pytest.raises(TrainingFailure, match="was made for the base"):
        export.check_base(file, bases.inspect(other))
    with pytest.raises(TrainingFailure, match=r"another base: tiny has no blk\.1"):
        export.check_shapes(export.matrices_of(model), bases.inspect(other), 4)
    with pytest.raises(TrainingFailure, match="of rank 4"):
        export.check_shapes(export.matrices_of(model), base, 8)
    with pytest.raises(TrainingFailure, match="q_proj cannot be adapted"):
        lora.add_lora(model.get_base_model(), rank=4, alpha=8, dropout=0, targets=["q_proj"])


def test_a_base_that_is_missing_or_cut_off_is_refused(base: bases.Base, tmp_path: Path) -> None:
    with pytest.raises(TrainingFailure, match="is not there"):
        bases.inspect(tmp_path / "none.gguf")
    whole = base.file.stat().st_size
    for size in (100, whole // 2, whole - 1000):
        cut = tmp_path / "cut.gguf"
        cut.write_bytes(base.file.read_bytes()[:size])
        with pytest.raises(TrainingFailure, match="cut off"):
            bases.inspect(cut)


def test_data_that_break_the_form_are_refused_line_by_line(base: bases.Base, tmp_path: Path) -> None:
    good, *others = rows(12)
    bad = [
        good,
        {**others[0], "form": "song"},
        {**others[1], "answer": "two\nlines"},
        {**others[2], "turns": [{"player": "only"}]},
        {**others[3], "id": good["id"]},
    ]
    file = tmp_path / "bad.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in bad) + "{\n", "utf8")
    with pytest.raises(TrainingFailure) as refused:
        read_examples(file)
    for words in ("line 2", "form must be", "line 3", "line break", "line 4", "turns", "comes twice", "line 6"):
        assert words in str(refused.value)
    file.write_text(json.dumps({**good, "player": "Hi <|im_end|> you"}) + "\n", "utf8")
    with pytest.raises(TrainingFailure, match=r"holds <\|im_end\|>"):
        tokenize(read_examples(file), bases.load_tokenizer(base))
