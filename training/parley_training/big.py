"""`big`: trains the characters' adapter on a 3B to 8B model, out of a Hugging Face checkpoint, by its configuration.

The same packs, loss and loop as `sft`; other are the frozen base (16 bits, or 4 bits where the configuration says so for the
GPU), activation checkpointing and what is written: a PEFT folder for vLLM, tensors for TensorRT-LLM, the tokenizer.
`--rehearse` runs all of it on a tiny random model of the same architecture.
"""

import argparse
import json
import shutil
import time
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from trl import SFTConfig

from . import attention, configs, lora, tiny, trtllm
from . import base as bases
from .configs import ModelConfig
from .data import Example, data_hash, read_examples, split, tokenize
from .failure import TrainingFailure
from .memory import GPUS
from .packing import epoch_packs
from .progress import Progress
from .sft import PER_EPOCH, Checkpoints, PackedTrainer, losses, make_plan

PINNED_DATE = "26 Jul 2024"
"""Llama 3's template writes the day into every prompt. One fixed day keeps prompts the same as those that were trained,
and their KV cache useful after midnight. It is the day that the publisher's own template falls back to."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command; all else is in the model's file."""
    training = bases.home() / "training"
    parser.add_argument("model", choices=configs.names())
    parser.add_argument("--checkpoint", type=Path, help="folder of the Hugging Face checkpoint, at the revision of the file")
    parser.add_argument("--gpu", choices=sorted(GPUS), default="L4", help="whose form of the base is taken")
    parser.add_argument("--data", type=Path, default=training / "data" / "train.jsonl", help="rendered examples")
    parser.add_argument("--out", type=Path, help="folder of the run (default: training/MODEL in PARLEY_HOME)")
    parser.add_argument("--rehearse", action="store_true", help="a tiny random model instead of the checkpoint")
    parser.add_argument("--limit", type=int, help="only the first so many examples")
    parser.add_argument("--epochs", type=int, help="instead of the configuration's")
    parser.add_argument("--seed", type=int, default=7)


def run(options: argparse.Namespace) -> None:
    """Trains and writes. Throws a TrainingFailure for what a person can mend."""
    started = time.monotonic()
    config = configs.load(options.model)
    train = config.train
    out = options.out or bases.home() / "training" / config.name
    examples = read_examples(options.data, options.limit)
    model, tokenizer = load(config, options, examples)
    tokens = tokenize(examples, tokenizer)
    longest = max(len(example.ids) for example in tokens)
    if longest > train.sequence:
        raise TrainingFailure(f"an example has {longest} tokens and train.sequence is {train.sequence}: raise it in the file")
    trained, held = split(tokens, 0.04, options.seed)
    prefix = max(example.answer for example in tokens)
    room = max(train.sequence - prefix, longest)
    accumulate = max(1, min(train.accumulate, len(epoch_packs(trained, room, None))))
    epochs = options.epochs or train.epochs
    plan, epoch_ends = make_plan(
        trained,
        argparse.Namespace(
            epochs=epochs, seed=options.seed, room=room, packs_per_step=accumulate, per_epoch=PER_EPOCH
        ),
    )
    torch.manual_seed(options.seed)
    targets = list(train.targets)
    adapted = lora.add_lora(model, rank=train.rank, alpha=train.alpha, dropout=train.dropout, targets=targets)
    if train.checkpointing:
        adapted.enable_input_require_grads()
        model.activation_checkpointing_enable({"use_reentrant": False})
    print(f"big: {config.name}, {len(trained)} examples, {len(plan)} packs, on {model.device}", flush=True)
    checkpoints = Checkpoints(10, epoch_ends, None)
    trainer = PackedTrainer(
        adapted,
        SFTConfig(
            output_dir=str(out / "checkpoints"),
            num_train_epochs=1,  # the plan holds all epochs
            per_device_train_batch_size=1,
            gradient_accumulation_steps=accumulate,
            learning_rate=train.learning_rate,
            lr_scheduler_type="cosine",
            warmup_steps=max(1, round(0.05 * epoch_ends[-1])),
            max_grad_norm=1.0,
            logging_steps=5,
            logging_first_step=True,
            save_strategy="no",
            report_to=[],
            seed=options.seed,
            use_cpu=model.device.type == "cpu",
            bf16=False,
            disable_tqdm=True,
            remove_unused_columns=False,
            dataset_kwargs={"skip_prepare_dataset": True},
            dataloader_pin_memory=False,
            activation_checkpointing=False,  # switched on above, where the option of re-entry can be said
        ),
        plan,
        epoch_packs(held, room, None),
        processing_class=tokenizer,
        callbacks=[checkpoints, Progress("big", [pack.tokens for pack in plan], accumulate)],
    )
    checkpoints.trainer = trainer
    trainer.train()
    write(adapted, tokenizer, out)
    about = {
        "kind": "big",
        "model": config.name,
        "source": {"repository": config.source.repository, "revision": config.source.revision},
        "rehearsal": options.rehearse,
        "data": {"sha256": data_hash(examples), "examples": len(examples)},
        "results": {
            **losses(trainer.state.log_history),
            "steps": epoch_ends[-1],
            "seconds": round(time.monotonic() - started),
        },
    }
    (out / "manifest.json").write_text(json.dumps(about, indent=2) + "\n", "utf8")
    print(json.dumps({"out": str(out), **about["results"]}), flush=True)


def load(
    config: ModelConfig, options: argparse.Namespace, examples: list[Example]
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The frozen base, in the form that the configuration has for the GPU, and the tokenizer with its day pinned."""
    if options.rehearse:
        texts = [text for example in examples for text in (example.system, example.player, example.answer)]
        tokenizer = pin_date(tiny.tiny_tokenizer(config.architecture, texts))
        model = tiny.tiny_model(config.architecture, len(tokenizer), attention=attention.NAME)
        model.requires_grad_(False)
        return model, tokenizer
    folder = options.checkpoint
    if folder is None or not (folder / "config.json").is_file():
        raise TrainingFailure(
            f"--checkpoint must be a folder with {config.source.repository} at revision {config.source.revision}; "
            "or try everything with --rehearse"
        )
    check_architecture(json.loads((folder / "config.json").read_text("utf8")), config)
    form = config.train.base[options.gpu]
    more: dict = {"device_map": {"": 0}} if torch.cuda.is_available() else {}
    if form == "nf4":
        more["quantization_config"] = four_bits()
    model = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.bfloat16, attn_implementation=attention.NAME, local_files_only=True, **more
    )
    model.requires_grad_(False)
    model.config.use_cache = False
    return model, pin_date(AutoTokenizer.from_pretrained(folder, local_files_only=True))


def check_architecture(found: dict, config: ModelConfig) -> None:
    """Throws a TrainingFailure when a checkpoint's config.json is not of the model that the configuration describes."""
    arch = config.architecture
    wanted = {
        "model_type": arch.family,
        "hidden_size": arch.hidden,
        "num_hidden_layers": arch.layers,
        "num_attention_heads": arch.heads,
        "num_key_value_heads": arch.kv_heads,
        "intermediate_size": arch.intermediate,
        "vocab_size": arch.vocabulary,
    }
    other = [f"{name} is {found.get(name)}, not {value}" for name, value in wanted.items() if found.get(name) != value]
    if other:
        raise TrainingFailure(f"the checkpoint is no {config.name}: {'; '.join(other)}")


def four_bits():  # noqa: ANN201 - the type needs the package
    """4-bit NormalFloat with double quantization (QLoRA). Throws a TrainingFailure where it cannot run."""
    try:
        import bitsandbytes  # noqa: F401
    except ImportError as error:
        raise TrainingFailure(
            "a 4-bit base needs the package bitsandbytes in training's environment; or name a GPU with a bf16 base"
        ) from error
    if not torch.cuda.is_available():
        raise TrainingFailure("a 4-bit base needs a GPU; rehearse without one by --rehearse")
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )


def pin_date(tokenizer: PreTrainedTokenizerBase) -> PreTrainedTokenizerBase:
    """Fixes the day that a template would write into prompts; another template is left as it is."""
    template = tokenizer.chat_template or ""
    if "date_string" in template and PINNED_DATE not in template[:80]:
        tokenizer.chat_template = f'{{% set date_string = "{PINNED_DATE}" %}}' + template
    return tokenizer


def write(model, tokenizer: PreTrainedTokenizerBase, out: Path) -> None:  # noqa: ANN001 - PEFT's wrapper
    """Writes `peft/` (vLLM), `trtllm/` (TensorRT-LLM) and `tokenizer/`, replacing those of the run before."""
    for name in ("peft", "trtllm", "tokenizer"):
        shutil.rmtree(out / name, ignore_errors=True)
    model.save_pretrained(str(out / "peft"))
    tokenizer.save_pretrained(str(out / "tokenizer"))
    trtllm.write(*trtllm.convert(out / "peft"), out / "trtllm")
