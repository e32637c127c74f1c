"""The draft model of a build: which there are (drafts.yaml), and whether one has the tokenizer of the model that it is to
guess for. Builds nothing; its steps stand in steps.py beside those of the model itself."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import yaml
from graph import BuildFailure

FILE = Path(__file__).resolve().parent / "drafts.yaml"
MOST_TOKENS = 16
"""As PARLEY_SPECULATION_TOKENS has it."""


def read_draft(name: str) -> dict:
    """The configuration of a draft model. Throws a BuildFailure for a name that there is not."""
    drafts = yaml.safe_load(FILE.read_text("utf8"))
    if name not in drafts:
        raise BuildFailure(f"there is no draft model {name}; there are {', '.join(sorted(drafts))}")
    return {"name": name, **drafts[name]}


def check_tokenizers(out: Path, target: Path, draft: Path, names: tuple[str, str]) -> None:
    """Writes the hash that both tokenizers have to `tokenizer.json`. Throws a BuildFailure, by the models' names, when they
    have not the same one."""
    hashes = [tokenizer_hash(target), tokenizer_hash(draft)]
    if hashes[0] != hashes[1]:
        raise BuildFailure(
            f"{names[1]} cannot guess for {names[0]}: their tokenizers differ (sha256 {hashes[1][:16]}… and {hashes[0][:16]}…), "
            "so a token of the one means something else to the other. Choose a draft model of the same family"
        )
    (out / "tokenizer.json").write_text(json.dumps({"sha256": hashes[0]}) + "\n", "utf8")


def tokenizer_hash(checkpoint: Path) -> str:
    """SHA-256 of what decides which text becomes which tokens, in `tokenizer.json`: the vocabulary, merges, added tokens and
    what is done to a text before. How the file is written does not matter. Throws a BuildFailure when it cannot be read."""
    try:
        raw = json.loads((checkpoint / "tokenizer.json").read_text("utf8"))
        model = raw["model"]
        # Newer files write a merge as two pieces, older ones as one text.
        merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in model.get("merges", [])]
        added = [[token["id"], token["content"], token.get("special", False)] for token in raw.get("added_tokens", [])]
        about = [model["type"], model["vocab"], merges, added, raw.get("normalizer"), raw.get("pre_tokenizer")]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BuildFailure(f"the tokenizer.json of {checkpoint} cannot be read ({error!r})") from error
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()
