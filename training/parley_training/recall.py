"""`recall`: tunes the encoder by which characters recall what their authors wrote, so that wordings that ask for the same lie
together and others apart. Writes the GGUF file that workers load, and its manifest. How a worker uses it: tiers/recollection.

Supervised contrastive learning (Khosla et al. 2020, arXiv 2004.11362, the loss with the sum outside) within batches of one
character: only its own wordings are ever compared.
"""

import argparse
import hashlib
import json
import platform
import random
import time
from collections import defaultdict
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import torch

from . import base as bases
from . import encoder as encoders
from .encoder import Encoder
from .failure import TrainingFailure

ARCHIVE = "all-MiniLM-L6-v2.zip"
TOGETHER = 4
"""So many wordings of one thing stand in a batch side by side, as far as there are."""


@dataclass(frozen=True)
class Wording:
    """One way to say something; the same `label` is the same thing."""

    npc: str
    words: str
    label: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `recall`; the defaults are those of the encoder that is shipped."""
    home = bases.home()
    parser.add_argument("--archive", type=Path, default=home / "cache" / "models" / ARCHIVE, help="the encoder as it was published")
    parser.add_argument("--data", type=Path, default=home / "training" / "data" / "wordings.jsonl", help="rendered wordings")
    parser.add_argument("--out", type=Path, default=home / "training" / "recall", help="folder of the run")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--rate", type=float, default=5e-5, help="peak of the learning rate")
    parser.add_argument("--batch", type=int, default=96)
    parser.add_argument("--temperature", type=float, default=0.07)
    parser.add_argument("--number", default="Q5_0", help="GGML's type of the matrices")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--limit", type=int, help="only the first so many wordings of each character")


def run(options: argparse.Namespace) -> None:
    """Tunes, measures on what was not learnt, and writes. Throws a TrainingFailure for what a person can mend."""
    torch.manual_seed(options.seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    wordings = read_wordings(options.data, options.limit)
    encoder = encoders.load(options.archive)
    encoder.model.to(device)
    batches = [
        batch
        for epoch in range(options.epochs)
        for batch in make_batches(wordings, options.batch, random.Random(f"{options.seed} {epoch}"))
    ]
    tune(encoder, batches, options)
    options.out.mkdir(parents=True, exist_ok=True)
    file = options.out / "encoder.gguf"
    data = hashlib.sha256("\n".join(sorted(f"{w.npc} {w.label} {w.words}" for w in wordings)).encode()).hexdigest()
    encoders.write_gguf(encoder, file, about={"source": "all-MiniLM-L6-v2", "data.sha256": data}, number=options.number)
    about = {
        "source": {"name": "all-MiniLM-L6-v2", "license": "Apache-2.0", "sha256": bases.sha256(options.archive)},
        "data": {"sha256": data, "wordings": len(wordings)},
        "settings": {name: getattr(options, name) for name in ("epochs", "rate", "batch", "temperature", "number", "seed")},
        "encoder": {"file": file.name, "sha256": bases.sha256(file), "bytes": file.stat().st_size},
        "versions": {"python": platform.python_version(), **{name: version(name) for name in ("torch", "transformers", "gguf")}},
    }
    (options.out / "encoder.json").write_text(json.dumps(about, indent=2) + "\n", "utf8")
    print(json.dumps(about["encoder"]), flush=True)


def read_wordings(file: Path, limit: int | None = None) -> list[Wording]:
    """What training/wordings.ts wrote. Throws a TrainingFailure for a file that is missing or of another form."""
    try:
        rows = [json.loads(line) for line in file.read_text("utf8").splitlines() if line.strip()]
        wordings = [Wording(row["npc"], row["words"], row["label"]) for row in rows]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TrainingFailure(
            f"the wordings {file} cannot be read ({error}). Run `npm run train -- recall`, which renders them"
        ) from error
    if limit is not None:
        count: dict[str, int] = defaultdict(int)
        for wording in list(wordings):
            count[wording.npc] += 1
            if count[wording.npc] > limit:
                wordings.remove(wording)
    if not wordings:
        raise TrainingFailure(f"{file} holds no wording")
    return wordings


def make_batches(wordings: list[Wording], size: int, chance: random.Random) -> list[list[Wording]]:
    """An epoch: every wording once, in batches of one character in which wordings of one thing stand side by side."""
    of_npc: dict[str, dict[str, list[Wording]]] = defaultdict(lambda: defaultdict(list))
    for wording in wordings:
        of_npc[wording.npc][wording.label].append(wording)
    batches = []
    for groups in of_npc.values():
        pieces = []
        for group in groups.values():
            shuffled = chance.sample(group, len(group))
            pieces += [shuffled[i : i + TOGETHER] for i in range(0, len(shuffled), TOGETHER)]
        chance.shuffle(pieces)
        flat = [wording for piece in pieces for wording in piece]
        batches += [flat[i : i + size] for i in range(0, len(flat), size)]
    chance.shuffle(batches)
    return batches


def contrast(vectors: torch.Tensor, labels: torch.Tensor, temperature: float) -> torch.Tensor | None:
    """The loss of one batch of vectors of length 1, (texts, dimensions); None where no two have one label."""
    itself = torch.eye(len(labels), dtype=torch.bool, device=vectors.device)
    scores = (vectors @ vectors.T / temperature).masked_fill(itself, -1e4)
    alike = (labels[:, None] == labels[None]) & ~itself
    has = alike.any(1)
    if not has.any():
        return None
    chances = scores - torch.logsumexp(scores, 1, keepdim=True)
    return -((chances * alike).sum(1)[has] / alike.sum(1)[has]).mean()


def tune(encoder: Encoder, batches: list[list[Wording]], options: argparse.Namespace) -> None:
    """Learns the batches in their order, with a short warm-up and a rate that falls to nothing."""
    optimizer = torch.optim.AdamW(encoder.model.parameters(), lr=options.rate, weight_decay=0.01)
    count = len(batches)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1.0, (step + 1) / 20) * max(0.0, 1 - step / count)
    )
    started = printed = time.monotonic()
    encoder.model.train()
    for step, batch in enumerate(batches, 1):
        names = {label: i for i, label in enumerate(dict.fromkeys(wording.label for wording in batch))}
        labels = torch.tensor([names[wording.label] for wording in batch], device=encoder.model.device)
        loss = contrast(encoder.encode([wording.words for wording in batch]), labels, options.temperature)
        if loss is not None:
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        schedule.step()
        now = time.monotonic()
        if loss is not None and (now - printed > 15 or step == count):
            printed = now
            left = (now - started) / step * (count - step) / 60
            print(f"recall: step {step} of {count}, loss {loss.item():.3f}, {left:.1f} min left", flush=True)
    encoder.model.eval()
