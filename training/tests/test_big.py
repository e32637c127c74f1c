"""Everything of the big models that needs no weights, on tiny random ones of the same architectures."""

import argparse
import json
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from parley_training import attention, big, configs, export, hotload, lora, tiny, trtllm
from parley_training.base import Base
from parley_training.data import Example, read_examples, tokenize
from parley_training.failure import TrainingFailure
from parley_training.forward import pack_loss
from parley_training.packing import epoch_packs

LLAMA, QWEN = "llama-3.2-3b-instruct", "qwen2.5-7b-instruct"


def examples(count: int = 6) -> list[Example]:
    return [
        Example(
            id=f"mira-f{n}/0",
            npc="mira",
            kind="fact",
            form="speech",
            system="You are Mira, a smith.",
            examples=(("Hello.", "Well met."),),
            turns=(),
            player=f"Price of {n} swords?",
            answer=f"{30 * n} gold.",
        )
        for n in range(1, count + 1)
    ]


def tokenizer_of(name: str):  # noqa: ANN201
    texts = [text for one in examples() for text in (one.system, one.player, one.answer)]
    return big.pin_date(tiny.tiny_tokenizer(configs.load(name).architecture, texts))


def adapted(name: str):  # noqa: ANN201
    tokenizer = tokenizer_of(name)
    model = tiny.tiny_model(configs.load(name).architecture, len(tokenizer), attention=attention.NAME)
    peft = lora.add_lora(model, rank=4, alpha=8, dropout=0.0, targets=list(lora.TARGETS))
    for parameter in peft.parameters():
        if parameter.requires_grad:
            torch.nn.init.normal_(parameter, std=0.05)
    return peft, tokenizer


@pytest.mark.parametrize("name", configs.names())
def test_a_tiny_model_keeps_the_architecture(name: str) -> None:
    arch = configs.load(name).architecture
    made = tiny.tiny_model(arch, 300).config
    assert made.model_type == arch.family
    assert made.num_attention_heads / made.num_key_value_heads == arch.heads / arch.kv_heads
    assert made.tie_word_embeddings == arch.tied_embeddings
    model = tiny.tiny_model(arch, 300)
    assert (model.model.layers[0].self_attn.q_proj.bias is not None) == arch.qkv_bias
    # The formula that counts parameters holds for what transformers builds.
    small = configs.Architecture(
        **{
            **vars(arch),
            "hidden": made.hidden_size,
            "layers": made.num_hidden_layers,
            "heads": made.num_attention_heads,
            "kv_heads": made.num_key_value_heads,
            "head_size": tiny.HEAD_SIZE,
            "intermediate": made.intermediate_size,
            "vocabulary": 300,
        }
    )
    assert sum(parameter.numel() for parameter in model.parameters()) == small.parameters()


@pytest.mark.parametrize("name", [LLAMA, QWEN])
def test_what_is_learnt_is_the_answer_and_the_end_of_its_turn(name: str) -> None:
    tokenizer = tokenizer_of(name)
    for tokens in tokenize(examples(), tokenizer):
        whole = tokenizer.apply_chat_template(
            [*tokens.example.messages(), {"role": "assistant", "content": tokens.example.answer}], tokenize=False
        )
        assert whole.startswith(tokenizer.decode(tokens.ids)), "the ids say what the family's own format says"
        assert tokenizer.decode(tokens.ids[tokens.answer :]) == tokens.example.answer + tokenizer.eos_token
        assert tokens.ids.count(tokenizer.bos_token_id) == (1 if name == LLAMA else 0)


def test_the_day_in_llamas_prompts_is_fixed() -> None:
    tokenizer = tokenizer_of(LLAMA)
    text = tokenizer.apply_chat_template(examples()[0].messages(), tokenize=False)
    assert f"Today Date: {big.PINNED_DATE}" in text
    template = tokenizer.chat_template
    assert big.pin_date(tokenizer).chat_template == template, "once is enough"


@pytest.mark.parametrize("name", [LLAMA, QWEN])
def test_checkpointing_changes_no_gradient(name: str) -> None:
    model, tokenizer = adapted(name)
    pack = epoch_packs(tokenize(examples(), tokenizer), 400, None)[0]
    found = []
    for again in (False, True):
        if again:
            model.enable_input_require_grads()
            model.get_base_model().activation_checkpointing_enable({"use_reentrant": False})
            model.train()
        model.zero_grad()
        pack_loss(model, pack).backward()
        found.append([p.grad.clone() for p in model.parameters() if p.requires_grad])
    assert any(float(grad.abs().max()) > 0 for grad in found[0])
    for plain, checkpointed in zip(*found):
        assert torch.allclose(plain, checkpointed, atol=1e-6)


@pytest.mark.parametrize("name", [LLAMA, QWEN])
def test_an_adapter_becomes_peft_gguf_and_tensors_of_tensorrt_llm(name: str, tmp_path: Path) -> None:
    model, tokenizer = adapted(name)
    big.write(model, tokenizer, tmp_path)
    matrices, rank, alpha = export.from_peft(tmp_path / "peft")
    assert (rank, alpha, len(matrices)) == (4, 8, 2 * len(lora.TARGETS))

    shapes = {key: (b.shape[0], a.shape[1]) for key, (a, b) in matrices.items()}
    base = Base(tmp_path / "base.gguf", "0" * 64, configs.load(name).architecture.family, name, shapes)
    export.write_gguf(tmp_path / "a.gguf", matrices, rank=rank, alpha=alpha, base=base, about={"kind": "big"})
    written = {t.name: t.data for t in gguf.GGUFReader(tmp_path / "a.gguf").tensors}
    for key, (a, b) in matrices.items():
        product = written[f"{key}.weight.lora_b"].astype(np.float32) @ written[f"{key}.weight.lora_a"].astype(np.float32)
        assert np.allclose(product, (b @ a).numpy(), atol=2e-3)

    weights = np.load(tmp_path / "trtllm" / trtllm.WEIGHTS_NAME)
    config = np.load(tmp_path / "trtllm" / trtllm.CONFIG_NAME)
    assert (weights.dtype, config.dtype, config.shape) == (np.float16, np.int32, (1, len(matrices), 3))
    names = {value: lora.TARGETS[key] for key, value in trtllm.MODULES.items() if key in lora.TARGETS}
    for row, (module, layer, size) in enumerate(config[0]):
        a, b = matrices[f"blk.{layer}.{names[module]}"]
        assert size == rank
        got = trtllm.product(weights, config, row, a.shape[1], b.shape[0])
        # TensorRT-LLM applies no scale of its own: alpha / rank is in B.
        assert np.allclose(got, (alpha / rank) * (b @ a).numpy(), atol=2e-3)
        assert not weights[0, row, rank * (a.shape[1] + b.shape[0]) :].any()


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [("use_dora", True, "use_dora"), ("bias", "all", "bias"), ("modules_to_save", ["lm_head"], "modules_to_save")],
)
def test_what_engines_would_serve_wrong_is_refused(tmp_path: Path, field: str, value: object, words: str) -> None:
    model, _ = adapted(QWEN)
    model.save_pretrained(str(tmp_path))
    file = tmp_path / "adapter_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), field: value}))
    for refused in (lambda: trtllm.convert(tmp_path), lambda: hotload.check(tmp_path, 16)):
        with pytest.raises(TrainingFailure, match=words):
            refused()


def test_hot_loading_says_what_is_wrong(tmp_path: Path) -> None:
    model, _ = adapted(QWEN)
    model.save_pretrained(str(tmp_path))
    with pytest.raises(TrainingFailure, match="--max-lora-rank 4"):
        hotload.check(tmp_path, 1)
    with pytest.raises(TrainingFailure, match="Name it with --url"):
        hotload.post("http://127.0.0.1:9", "/v1/load_lora_adapter", {})


def test_a_checkpoint_of_another_model_is_refused() -> None:
    with pytest.raises(TrainingFailure, match="hidden_size is 2048, not 3584"):
        big.check_architecture({"model_type": "qwen2", "hidden_size": 2048}, configs.load(QWEN))


def test_a_rehearsal_goes_from_data_to_tensors(tmp_path: Path) -> None:
    data = tmp_path / "train.jsonl"
    rows = []
    for one in examples():
        pairs = [{"player": player, "npc": npc} for player, npc in one.examples]
        rows.append(json.dumps({**vars(one), "examples": pairs, "turns": []}))
    data.write_text("\n".join(rows))
    assert read_examples(data) == examples()
    parser = argparse.ArgumentParser()
    big.add_arguments(parser)
    said = [QWEN, "--rehearse", "--epochs", "1", "--data", str(data), "--out", str(tmp_path / "out")]
    big.run(parser.parse_args(said))
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["rehearsal"] is True
    assert np.load(tmp_path / "out" / "trtllm" / trtllm.WEIGHTS_NAME).shape[1] == 2 * len(lora.TARGETS)
