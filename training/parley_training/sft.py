"""`sft`: supervised fine-tuning. Learns the answers of rendered examples by LoRA, on whatever device there is.

TRL's SFTTrainer runs the loop (optimizer, schedule, checkpoints, resuming); its own data preparation and loss are not used,
since a pack has a shared prefix, and only learnt places need logits. Writes a PEFT folder, a GGUF adapter and a manifest.
"""

import argparse
import json
import time
from pathlib import Path

import torch
from datasets import Dataset
from peft import PeftModel
from torch.utils.data import SequentialSampler
from transformers import TrainerCallback
from transformers.trainer_callback import PrinterCallback
from trl import SFTConfig, SFTTrainer

from . import base as bases
from . import export, lora, manifest
from .checkpoints import find_checkpoint
from .data import Tokens, data_hash, read_examples, split, tokenize, turn_about
from .failure import TrainingFailure
from .forward import pack_loss
from .packing import Pack, epoch_packs
from .progress import Progress

SETTINGS = ("seed", "epochs", "rank", "alpha", "rate", "dropout", "targets", "room", "packs_per_step", "per_epoch", "held_back", "limit")
"""What makes a run the same run: a checkpoint is only taken up by one with the same."""
PER_EPOCH = 1
"""At most so many wordings of an exchange are learnt in an epoch."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `sft`; the defaults are those of the adapter that is shipped."""
    training = bases.home() / "training"
    parser.add_argument("--base", type=Path, default=bases.default_base(), help="GGUF file of the base model")
    parser.add_argument("--data", type=Path, default=training / "data" / "train.jsonl", help="rendered examples")
    parser.add_argument("--out", type=Path, default=training / "sft", help="folder of the run")
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint in --out")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--rank", type=int, default=12)
    parser.add_argument("--alpha", type=int, default=24)
    parser.add_argument("--rate", type=float, default=1e-3, help="peak of the learning rate")
    parser.add_argument("--dropout", type=float, default=0.0)
    parser.add_argument(
        "--targets",
        type=lambda text: text.split(","),
        default=["v_proj", "o_proj", "up_proj", "down_proj"],
        help="matrices that are adapted, with commas; each costs the engine time",
    )
    parser.add_argument("--room", type=int, default=1200, help="tokens of a pack after its prefix")
    parser.add_argument("--packs-per-step", type=int, default=1)
    parser.add_argument("--per-epoch", type=int, default=PER_EPOCH, help="at most so many wordings of an exchange in an epoch")
    parser.add_argument("--held-back", type=float, default=0.04, help="share of the exchanges for the validation loss")
    parser.add_argument("--limit", type=int, help="only the first so many examples")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--save-minutes", type=float, default=5, help="time between checkpoints")
    parser.add_argument("--stop-after", type=int, help="stop after so many steps, as a kill would (to try --resume)")


class PackedTrainer(SFTTrainer):
    """Takes packs in the order in which they were planned, for all epochs at once."""

    def __init__(self, model: PeftModel, args: SFTConfig, plan: list[Pack], held: list[Pack], **rest: object) -> None:
        self.plan = plan
        self.held = held
        super().__init__(
            model=model,
            args=args,
            train_dataset=Dataset.from_dict({"pack": list(range(len(plan)))}),
            data_collator=lambda rows: {"pack": torch.tensor([row["pack"] for row in rows])},
            **rest,
        )
        self.model_accepts_loss_kwargs = False

    def _get_train_sampler(self, *_: object) -> SequentialSampler:
        return SequentialSampler(self.train_dataset)

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):  # noqa: ANN001, ANN201
        """Mean loss over the learnt tokens of one pack."""
        loss = pack_loss(model, self.plan[int(inputs["pack"][0])])
        return (loss, None) if return_outputs else loss

    @torch.no_grad()
    def held_back_loss(self) -> float | None:
        """Mean loss over all learnt tokens that are never trained on, or None when nothing is held back."""
        learnt = sum(len(pack.targets) for pack in self.held)
        if learnt == 0:
            return None
        self.model.eval()
        total = sum(float(pack_loss(self.model, pack)) * len(pack.targets) for pack in self.held)
        self.model.train()
        return total / learnt


class Checkpoints(TrainerCallback):
    """Saves every few minutes, and measures the held-back loss at the end of each epoch."""

    def __init__(self, minutes: float, epoch_ends: list[int], stop_after: int | None) -> None:
        self.seconds = minutes * 60
        self.last = time.monotonic()
        self.epoch_ends = epoch_ends
        self.stop_after = stop_after
        self.trainer: PackedTrainer | None = None

    def on_step_end(self, args, state, control, **_):  # noqa: ANN001, ANN201, ANN003
        """Called by the trainer after every step."""
        step = state.global_step
        if step in self.epoch_ends:
            loss = self.trainer.held_back_loss()
            if loss is not None:
                epoch = self.epoch_ends.index(step) + 1
                # Kept with the checkpoint, so that a run that goes on still knows it.
                state.log_history.append({"epochEnd": epoch, "heldBackLoss": loss, "step": step})
                print(f"sft: epoch {epoch} of {len(self.epoch_ends)}: held-back loss {loss:.4f}", flush=True)
        if step in self.epoch_ends or time.monotonic() - self.last > self.seconds or step == self.stop_after:
            control.should_save = True
            self.last = time.monotonic()
        if step == self.stop_after:
            control.should_training_stop = True
        return control


def run(options: argparse.Namespace) -> None:
    """Trains, exports and writes the manifest. Throws a TrainingFailure for what a person can mend."""
    started = time.monotonic()
    torch.set_num_threads(options.threads)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    base = bases.inspect(options.base)
    examples = read_examples(options.data, options.limit)
    tokenizer = bases.load_tokenizer(base)
    tokens = tokenize(examples, tokenizer)
    trained, held = split(tokens, options.held_back, options.seed)
    plan, epoch_ends = make_plan(trained, options)
    settings = {name: getattr(options, name) for name in SETTINGS}
    settings |= {"base": base.sha256, "data": data_hash(examples)}
    checkpoint = find_checkpoint("sft", options.out, settings, options.resume)
    work = sum(pack.tokens for pack in plan)
    print(
        f"sft: {len(trained)} examples ({len(held)} held back), {len(plan)} packs in {options.epochs} epochs, "
        f"{work} tokens, on {device}, {options.threads} threads"
        + (f"; goes on from {checkpoint.name}" if checkpoint else ""),
        flush=True,
    )
    torch.manual_seed(options.seed)
    model = lora.add_lora(
        bases.load_model(base, device=device),
        rank=options.rank,
        alpha=options.alpha,
        dropout=options.dropout,
        targets=options.targets,
    )
    checkpoints = Checkpoints(options.save_minutes, epoch_ends, options.stop_after)
    progress = Progress("sft", [pack.tokens for pack in plan], options.packs_per_step)
    trainer = PackedTrainer(
        model,
        SFTConfig(
            output_dir=str(options.out / "checkpoints"),
            num_train_epochs=1,  # the plan holds all epochs
            per_device_train_batch_size=1,
            gradient_accumulation_steps=options.packs_per_step,
            learning_rate=options.rate,
            lr_scheduler_type="cosine",
            warmup_steps=max(1, round(0.05 * epoch_ends[-1])),
            weight_decay=0.01,
            max_grad_norm=1.0,
            logging_steps=5,
            logging_first_step=True,
            save_strategy="no",
            save_total_limit=2,
            report_to=[],
            seed=options.seed,
            use_cpu=device == "cpu",
            bf16=False,  # autocast is pack_loss's business
            activation_checkpointing=False,
            disable_tqdm=True,
            remove_unused_columns=False,
            dataset_kwargs={"skip_prepare_dataset": True},
            dataloader_pin_memory=False,
        ),
        plan,
        epoch_packs(held, options.room, None),
        processing_class=tokenizer,
        callbacks=[checkpoints, progress],
    )
    trainer.remove_callback(PrinterCallback)
    checkpoints.trainer = trainer
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    if trainer.state.global_step < epoch_ends[-1]:
        print(f"sft: stopped at step {trainer.state.global_step}; go on with --resume", flush=True)
        return
    about = manifest.make(
        kind="sft",
        base=base,
        settings=settings,
        examples=examples,
        results={
            "trained": len(trained),
            "heldBack": len(held),
            "steps": epoch_ends[-1],
            "tokens": work,
            **losses(trainer.state.log_history),
            "seconds": round(time.monotonic() - started),
            "device": device,
        },
    )
    export.write(model, base, about, options.out)
    print(json.dumps({"adapter": str(options.out / export.GGUF_NAME), **about["results"]}), flush=True)


def losses(history: list[dict]) -> dict:
    """The loss at the end (mean of the last 50 steps) and the held-back loss of each epoch. The trainer's own mean counts
    only the steps since a run went on."""
    last = [float(row["loss"]) for row in history if "loss" in row][-10:]
    return {
        "loss": round(sum(last) / len(last), 4) if last else None,
        "heldBackLoss": {str(row["epochEnd"]): round(row["heldBackLoss"], 4) for row in history if "epochEnd" in row},
    }


def make_plan(trained: list[Tokens], options: argparse.Namespace) -> tuple[list[Pack], list[int]]:
    """The packs of all epochs in their order, and the step at which each epoch ends."""
    if not trained:
        raise TrainingFailure("nothing is left to train: lower --held-back or give more examples")
    plan: list[Pack] = []
    ends: list[int] = []
    for epoch in range(options.epochs):
        chosen = turn_about(trained, options.per_epoch, options.seed, epoch)
        packs = epoch_packs(chosen, options.room, options.seed * 1000 + epoch)
        # Whole steps only, so that an epoch ends with one.
        packs += packs[: -len(packs) % options.packs_per_step]
        plan += packs
        ends.append(len(plan) // options.packs_per_step)
    return plan, ends
