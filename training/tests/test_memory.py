"""The memory arithmetic, against figures worked out by hand from the models' published sizes."""

import pytest
from parley_training import configs, memory
from parley_training.failure import TrainingFailure

PUBLISHED = {
    "qwen2.5-3b-instruct": 3_085_938_688,
    "llama-3.2-3b-instruct": 3_212_749_824,
    "llama-3.1-8b-instruct": 8_030_261_248,
    "qwen2.5-7b-instruct": 7_615_616_512,
}


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_parameters_are_those_that_the_publisher_states(name: str) -> None:
    assert configs.load(name).architecture.parameters() == PUBLISHED[name]


def test_a_token_of_llama_8b_takes_128_kib_of_kv_in_16_bits() -> None:
    # 2 (key, value) x 32 layers x 8 heads x 128 x 2 bytes
    served = memory.serving(configs.load("llama-3.1-8b-instruct"), "A100", streams=0)
    assert (served.kv_form, served.kv_token) == ("bf16", 131_072)
    # The L4 knows 8-bit floats: half of it.
    assert memory.serving(configs.load("llama-3.1-8b-instruct"), "L4", streams=0).kv_token == 65_536


def test_weights_by_form() -> None:
    config = configs.load("llama-3.1-8b-instruct")
    # 6,979,321,856 weights in matrices; 1,050,939,392 others (embedding, head, norms), at 2 bytes each.
    assert memory.weight_bytes(config, "bf16") == 2 * 8_030_261_248
    assert memory.weight_bytes(config, "awq") == 6_979_321_856 * 4.15625 / 8 + 2 * 1_050_939_392
    # A published AWQ checkpoint of this model has 5.73 GB.
    assert memory.weight_bytes(config, "awq") / 1e9 == pytest.approx(5.73, abs=0.01)
    assert memory.weight_bytes(config, "nf4") < memory.weight_bytes(config, "awq") < memory.weight_bytes(config, "int8")


def test_training_llama_8b_on_an_l4_by_hand() -> None:
    need = memory.training(configs.load("llama-3.1-8b-instruct"), "L4")
    assert need.base == "nf4"
    # Rank 16 on v (4096+1024), o (4096+4096), gate and up (4096+14336 each), down (14336+4096); 32 layers; 16 bytes.
    assert need.adapter == 16 * 32 * 16 * (5_120 + 8_192 + 3 * 18_432) == 562_036_736
    # 2048 tokens: the input of 32 layers, and twice the inside of one (4 x 4096 + 2 x 6144 + 4096 + 4 x 14336), 2 bytes.
    assert need.activations == 2048 * 2 * (32 * 4096 + 2 * (16_384 + 12_288 + 4_096 + 57_344))
    assert need.logits == 512 * 128_256 * 12
    assert need.total < memory.GPUS["L4"].bytes


def test_16_bits_of_8b_do_not_fit_where_the_configuration_says_4() -> None:
    config = configs.load("llama-3.1-8b-instruct")
    four = memory.training(config, "L4")
    in_16_bits = four.total - four.weights + memory.weight_bytes(config, "bf16")
    assert in_16_bits > 0.8 * memory.GPUS["L4"].bytes, "then QLoRA would not be needed"


def test_characters_that_stay_pinned() -> None:
    config = configs.load("qwen2.5-3b-instruct")
    served = memory.serving(config, "L4", streams=32)
    # 2 x 36 x 2 x 128 x 2 bytes a token; 500 tokens a character, 400 a stream.
    assert served.kv_token == 36_864
    assert served.characters == int((served.free - 32 * 400 * 36_864) // (500 * 36_864))
    assert memory.serving(config, "L4", streams=0).characters - served.characters in (25, 26)
    assert memory.serving(config, "L4", streams=10**7).characters == 0


def test_the_table_names_every_model_and_gpu() -> None:
    text = memory.table([configs.load(name) for name in configs.names()], list(memory.GPUS), 32)
    for word in (*configs.names(), *memory.GPUS):
        assert word in text


def test_a_gpu_without_a_base_is_refused() -> None:
    config = configs.load("qwen2.5-3b-instruct")
    config.train.base.pop("L4")
    with pytest.raises(TrainingFailure, match="names no base for L4"):
        memory.training(config, "L4")
