"""A run of reinforcement learning from beginning to end: options, adapter to start from, checkpoints,
measuring, export.

What srl.py and rlvr.py have in common; they say what is practised and what it is worth.
"""

import argparse
import json
import time
from pathlib import Path

import torch
from peft import PeftModel
from transformers import PreTrainedTokenizerBase
from transformers.trainer_callback import PrinterCallback
from trl import GRPOConfig

from . import base as bases
from . import export, manifest
from .base import Base
from .checkpoints import find_checkpoint
from .data import Example, data_hash
from .failure import TrainingFailure
from .rlvr_rollouts import NAME as ROLLOUTS
from .rlvr_trainer import GroupTrainer, Pace, Problems

SETTINGS = ("seed", "steps", "prompts", "answers", "tokens", "temperature", "rate", "kl", "tries", "rewards")
"""What makes a run the same run: a checkpoint is only taken up by one with the same."""
ENDS = 10
"""So many steps at each end of a run are averaged for the manifest."""


def add_arguments(parser: argparse.ArgumentParser, name: str, steps: int) -> None:
    """Options that SRL and RLVR share. The defaults are those of the check on a CPU."""
    training = bases.home() / "training"
    parser.add_argument("--base", type=Path, default=bases.default_base(), help="GGUF file of the base model")
    start, data = training / "sft" / "peft", training / "data" / "train.jsonl"
    parser.add_argument("--from", dest="start", type=Path, default=start, help="adapter to start from")
    parser.add_argument("--data", type=Path, default=data, help="rendered examples")
    parser.add_argument("--out", type=Path, help=f"folder of the run (default: {training}/{name})")
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint in --out")
    parser.add_argument("--steps", type=int, default=steps)
    parser.add_argument("--prompts", type=int, default=4, help="prompts of a step, all of one character")
    parser.add_argument("--answers", type=int, default=8, help="answers to each prompt: a group")
    parser.add_argument("--tokens", type=int, default=40, help="most tokens of an answer")
    parser.add_argument("--temperature", type=float, default=1.0)
    parser.add_argument("--rate", type=float, default=1e-4, help="learning rate")
    parser.add_argument("--kl", type=float, default=0.04, help="weight of the distance to the start")
    parser.add_argument("--tries", type=int, default=2, help="so many times as many prompts are tried")
    parser.add_argument("--measure", type=int, default=120, help="prompts held back to measure by")
    parser.add_argument("--rewards", choices=["true", "random"], default="true", help="random: the control")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--save-minutes", type=float, default=5, help="time between checkpoints")
    parser.add_argument("--stop-after", type=int, help="stop after so many steps, to try --resume")


def run(
    name: str,
    options: argparse.Namespace,
    base: Base,
    tokenizer: PreTrainedTokenizerBase,
    practised: Problems,
    held: Problems,
    about: dict,
) -> None:
    """Trains, measures before and after on `held`, exports and writes the manifest, with `about` in its
    results. Throws a TrainingFailure for what a person can mend."""
    name = name if options.rewards == "true" else f"{name}-random"
    out = options.out or bases.home() / "training" / name
    examples = [tokens.example for tokens in practised.prompts]
    started = time.monotonic()
    torch.set_num_threads(options.threads)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    settings = {key: getattr(options, key) for key in SETTINGS}
    settings |= {"base": base.sha256, "data": data_hash(examples), "start": start_hash(options.start, base)}
    checkpoint = find_checkpoint(name, out, settings, options.resume)
    if checkpoint is None:
        (out / "checkpoints" / "before.json").unlink(missing_ok=True)
    print(
        f"{name}: {len(examples)} prompts ({len(held.prompts)} to measure by), {options.steps} steps of "
        f"{options.prompts} x {options.answers} answers, on {device}, {options.threads} threads"
        + (f"; goes on from {checkpoint.name}" if checkpoint else ""),
        flush=True,
    )
    torch.manual_seed(options.seed)
    model = load_adapter(base, options.start, device)
    pace = Pace(name, options.save_minutes, options.stop_after)
    trainer = make_trainer(model, tokenizer, practised, options, out, device, pace)
    before = measured(trainer, held, out / "checkpoints" / "before.json", checkpoint)
    print(f"{name}: before, the likeliest answers are worth {before}", flush=True)
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    if trainer.state.global_step < options.steps:
        print(f"{name}: stopped at step {trainer.state.global_step}; go on with --resume", flush=True)
        return
    after = trainer.worth(held)
    print(f"{name}: after, the likeliest answers are worth {after}", flush=True)
    results = {
        **about,
        "practised": len(examples),
        "measuredBy": len(held.prompts),
        "steps": options.steps,
        "worthBefore": before,
        "worthAfter": after,
        "reward": ends(pace.history, "worth"),
        "klAtTheEnd": ends(pace.history, "kl")["last"],
        "seconds": round(time.monotonic() - started),
        "device": device,
    }
    about = manifest.make(kind=name, base=base, settings=settings, examples=examples, results=results)
    if "ref" in model.peft_config:
        model.delete_adapter("ref")
    export.write(model, base, about, out)
    print(json.dumps({"adapter": str(out / export.GGUF_NAME), **results}), flush=True)


def make_trainer(
    model: PeftModel,
    tokenizer: PreTrainedTokenizerBase,
    problems: Problems,
    options: argparse.Namespace,
    out: Path,
    device: str,
    pace: Pace,
) -> GroupTrainer:
    """The trainer of these options, which has to be given `train()`."""
    rows = options.prompts * options.answers
    trainer = GroupTrainer(
        model,
        GRPOConfig(
            output_dir=str(out / "checkpoints"),
            max_steps=options.steps,
            per_device_train_batch_size=rows,
            gradient_accumulation_steps=1,
            num_generations=options.answers,
            max_completion_length=options.tokens,
            temperature=options.temperature,
            beta=options.kl,
            learning_rate=options.rate,
            lr_scheduler_type="constant_with_warmup",
            warmup_steps=min(5, options.steps // 2),
            weight_decay=0.0,
            max_grad_norm=1.0,
            shuffle_dataset=False,
            logging_steps=1,
            save_strategy="no",
            save_total_limit=2,
            report_to=[],
            seed=options.seed,
            use_cpu=device == "cpu",
            bf16=False,  # autocast is our own business, see rlvr_rollouts.py
            activation_checkpointing=False,
            disable_tqdm=True,
            remove_unused_columns=False,
            dataloader_pin_memory=False,
        ),
        problems,
        prompts_per_step=options.prompts,
        tries=options.tries,
        by_chance=options.rewards == "random",
        processing_class=tokenizer,
        callbacks=[pace],
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def load_adapter(base: Base, start: Path, device: str) -> PeftModel:
    """The base with the adapter that a run starts from, which is to be trained on."""
    model = bases.load_model(base, device=device)
    model.set_attn_implementation(ROLLOUTS)
    return PeftModel.from_pretrained(model, str(start), is_trainable=True)


def start_hash(start: Path, base: Base) -> str:
    """The hash of the weights that a run starts from. Throws a TrainingFailure when they are missing or of
    another base."""
    weights = start / "adapter_model.safetensors"
    if not weights.is_file():
        raise TrainingFailure(
            f"there is no adapter in {start}. Run `npm run train -- sft` first, or name one with --from"
        )
    beside = start.parent / export.MANIFEST_NAME
    if beside.is_file():
        made = json.loads(beside.read_text("utf8"))["base"]["sha256"]
        if made != base.sha256:
            raise TrainingFailure(
                f"the adapter in {start} was made for the base {made[:12]}, and {base.file.name} is "
                f"{base.sha256[:12]}"
            )
    matrices, rank, _ = export.from_peft(start)
    export.check_shapes(matrices, base, rank)
    return bases.sha256(weights)


def measured(
    trainer: GroupTrainer, held: Problems, file: Path, checkpoint: Path | None
) -> dict[str, float]:
    """What the adapter is worth that the run started from; a run that is resumed remembers it."""
    if checkpoint and file.is_file():
        return json.loads(file.read_text("utf8"))
    worth = trainer.worth(held)
    file.write_text(json.dumps(worth) + "\n", "utf8")
    return worth


def ends(history: list[dict], key: str) -> dict[str, float]:
    """The means of a figure over the first and the last steps."""
    values = [float(line[key]) for line in history if line.get(key) is not None]
    first, last = values[:ENDS], values[-ENDS:]
    return {
        "first": round(sum(first) / max(1, len(first)), 4),
        "last": round(sum(last) / max(1, len(last)), 4),
    }


def beginnings(examples: list[Example]) -> dict[str, Example]:
    """One example of each character."""
    found: dict[str, Example] = {}
    for example in examples:
        found.setdefault(example.npc, example)
    return found
