"""4 and 8 bits on a tiny random model: written, read back, and the error of its layers within the bound."""

from pathlib import Path

import pytest
from parley_training import big, configs, quantize, tiny
from parley_training.data import tokenize
from test_big import LLAMA, examples


def test_awq_takes_groups_with_a_zero_point() -> None:
    weights = quantize.awq_groups(64)["config_groups"]["group_0"]["weights"]
    assert (weights["num_bits"], weights["group_size"], weights["symmetric"]) == (4, 64, False)


@pytest.mark.parametrize("form", sorted(quantize.SCHEMES))
def test_a_quantized_model_is_near_the_one_it_was_made_of(form: str, tmp_path: Path) -> None:
    pytest.importorskip("llmcompressor", reason=f"llm-compressor is not installed: {quantize.INSTALL}")
    arch = configs.load(LLAMA).architecture
    texts = [text for one in examples() for text in (one.system, one.player, one.answer)]
    tokenizer = big.pin_date(tiny.tiny_tokenizer(arch, texts))
    tiny.tiny_model(arch, len(tokenizer)).save_pretrained(tmp_path / "base")
    tokenizer.save_pretrained(tmp_path / "base")
    tokens = tokenize(examples(), tokenizer)
    quantize.quantize(tmp_path / "base", form, tokens[:4], tokenizer, tmp_path / form, 32)
    errors = quantize.measure(tmp_path / "base", tmp_path / form, tokens[4:])
    assert 0 < errors.worst <= quantize.BOUND[form]
    assert errors.kl < 0.1
