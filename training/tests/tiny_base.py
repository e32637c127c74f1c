"""A base model for tests: random weights, two small layers, in a real GGUF file with the beginning of the real vocabulary
(reading all of it takes seconds) and the real chat template.

Takes the tokenizer out of the default model's file, so it needs that one (set-up fetches it).
"""

import functools
from pathlib import Path

import gguf
import numpy as np

WIDTH, HEADS, KV_HEADS, INNER, LAYERS = 64, 4, 2, 128, 2
VOCABULARY = 2048
SHAPES = {
    "attn_q": (WIDTH, WIDTH),
    "attn_k": (WIDTH * KV_HEADS // HEADS, WIDTH),
    "attn_v": (WIDTH * KV_HEADS // HEADS, WIDTH),
    "attn_output": (WIDTH, WIDTH),
    "ffn_gate": (INNER, WIDTH),
    "ffn_up": (INNER, WIDTH),
    "ffn_down": (WIDTH, INNER),
}


def write_tiny_base(file: Path, like: Path, seed: int = 0, layers: int = LAYERS) -> None:
    """Writes the model to `file`, with the tokenizer of the GGUF file `like`."""
    dice = np.random.default_rng(seed)
    writer = gguf.GGUFWriter(str(file), "llama")
    writer.add_name("tiny")
    writer.add_block_count(layers)
    writer.add_context_length(2048)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_rope_freq_base(10000.0)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    for field in tokenizer_of(like):
        writer.add_key_value(*field)
    writer.add_vocab_size(VOCABULARY)

    def add(name: str, *shape: int) -> None:
        writer.add_tensor(name, dice.normal(0, 0.15, shape).astype(np.float32))

    add("token_embd.weight", VOCABULARY, WIDTH)
    writer.add_tensor("output_norm.weight", np.ones(WIDTH, np.float32))
    for layer in range(layers):
        for name, shape in SHAPES.items():
            add(f"blk.{layer}.{name}.weight", *shape)
        for name in ("attn_norm", "ffn_norm"):
            writer.add_tensor(f"blk.{layer}.{name}.weight", np.ones(WIDTH, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@functools.cache
def tokenizer_of(like: Path) -> list[tuple]:
    """The fields (key, value, type, type of elements) of a byte-level tokenizer, cut to its first tokens. Each merge made
    the next token, so the beginning of one is a tokenizer as well."""
    found = {key: field for key, field in gguf.GGUFReader(like).fields.items() if key.startswith("tokenizer.")}
    tokens = set(found["tokenizer.ggml.tokens"].contents(slice(0, VOCABULARY)))
    fields = []
    for key, field in found.items():
        if field.types[0] != gguf.GGUFValueType.ARRAY:
            fields.append((key, field.contents(), field.types[0], None))
            continue
        value = field.contents(slice(0, VOCABULARY))
        if key == "tokenizer.ggml.merges":
            value = [merge for merge in value if {*merge.split(" "), merge.replace(" ", "")} <= tokens]
        fields.append((key, value, *field.types))
    return fields
