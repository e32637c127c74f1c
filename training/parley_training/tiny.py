"""A randomly initialised model of the same architecture as a big one, a few thousand times smaller, with a tokenizer to match.

For rehearsing training, export and quantization before a GPU is rented, and for tests. It says nothing of quality.
"""

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from .configs import Architecture

HEAD_SIZE = 16
KV_HEADS = 2

# What a conversation looks like in each family, as its publisher documents it. A real run takes the template out of the
# checkpoint; these are for models that have none.
QWEN_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
LLAMA_TEMPLATE = (
    "{% if date_string is not defined %}{% set date_string = strftime_now('%d %b %Y') %}{% endif %}"
    "{{ bos_token }}{% for message in messages %}<|start_header_id|>{{ message.role }}<|end_header_id|>\n\n"
    "{% if message.role == 'system' %}Today Date: {{ date_string }}\n\n{% endif %}{{ message.content | trim }}<|eot_id|>"
    "{% endfor %}{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
SPECIAL = {
    "qwen2": {"bos": None, "eos": "<|im_end|>", "others": ["<|endoftext|>", "<|im_start|>"]},
    "llama": {
        "bos": "<|begin_of_text|>",
        "eos": "<|eot_id|>",
        "others": ["<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>"],
    },
}


def tiny_tokenizer(arch: Architecture, texts: list[str], vocabulary: int = 512) -> PreTrainedTokenizerFast:
    """A byte-level tokenizer with the family's control tokens and chat format, trained on `texts`."""
    special = SPECIAL[arch.family]
    control = [token for token in (special["bos"], special["eos"], *special["others"]) if token]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=control,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=special["bos"],
        eos_token=special["eos"],
        pad_token=special["others"][0],
        additional_special_tokens=special["others"][1:],
    )
    fast.chat_template = QWEN_TEMPLATE if arch.family == "qwen2" else LLAMA_TEMPLATE
    return fast


def tiny_model(
    arch: Architecture, vocabulary: int, *, layers: int = 2, seed: int = 7, attention: str = "eager"
) -> PreTrainedModel:
    """A model with the family's layers, its ratio of query to key heads, its ratio of MLP to hidden width (to a multiple of
    32), its tied or untied head, its biases and its rotary scaling."""
    heads = KV_HEADS * arch.heads // arch.kv_heads
    hidden = heads * HEAD_SIZE
    common = {
        "vocab_size": vocabulary,
        "hidden_size": hidden,
        "intermediate_size": max(32, round(hidden * arch.intermediate / arch.hidden / 32) * 32),
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": KV_HEADS,
        "max_position_embeddings": 131_072,
        "tie_word_embeddings": arch.tied_embeddings,
        "attn_implementation": attention,
    }
    torch.manual_seed(seed)
    if arch.family == "qwen2":
        return Qwen2ForCausalLM(Qwen2Config(**common, rope_parameters=rope(arch)))
    return LlamaForCausalLM(LlamaConfig(**common, head_dim=HEAD_SIZE, rope_parameters=rope(arch)))


def rope(arch: Architecture) -> dict:
    """Rotary positions as transformers writes them: plain, or Llama 3's with its published bounds."""
    if arch.rope_factor == 1:
        return {"rope_type": "default", "rope_theta": arch.rope_theta}
    return {
        "rope_type": "llama3",
        "rope_theta": arch.rope_theta,
        "factor": arch.rope_factor,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    }
