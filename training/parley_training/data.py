"""Reads rendered examples (training/render.ts writes them) and turns them into tokens, exactly those of the engine.

Knows nothing of packs or of the model. What an example may say is the business of `npm run author -- check`.
"""

import hashlib
import json
import random
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

from transformers import PreTrainedTokenizerBase

from .failure import TrainingFailure

FORMS = ("speech", "act", "think")
TEXTS = ("id", "npc", "kind", "form", "system", "player", "answer")


@dataclass(frozen=True)
class Example:
    """One prompt and its answer, as the engine's chat template gets them."""

    id: str
    npc: str
    kind: str
    form: str
    system: str
    examples: tuple[tuple[str, str], ...]
    turns: tuple[tuple[str, str], ...]
    player: str
    answer: str

    def messages(self) -> list[dict[str, str]]:
        """The conversation up to the answer, for a chat template."""
        messages = [{"role": "system", "content": self.system}]
        for player, npc in (*self.examples, *self.turns):
            messages += [{"role": "user", "content": player}, {"role": "assistant", "content": npc}]
        return [*messages, {"role": "user", "content": self.player}]


@dataclass(frozen=True)
class Tokens:
    """An example as tokens: `ids` of everything, of which those from `answer` on (with the end of the turn) are learnt."""

    example: Example
    ids: tuple[int, ...]
    answer: int


def read_examples(file: Path, limit: int | None = None) -> list[Example]:
    """The examples of a file, in its order. Throws a TrainingFailure that names every line that breaks the form."""
    if not file.is_file():
        raise TrainingFailure(f"the training data {file} are not there. Run `npm run train`, which renders them")
    faults: list[str] = []
    examples: list[Example] = []
    for number, line in enumerate(file.read_text("utf8").splitlines(), 1):
        if line.strip():
            try:
                examples.append(_example(json.loads(line)))
            except (ValueError, TypeError, KeyError) as error:
                faults.append(f"line {number}: {error}")
    ids = Counter(example.id for example in examples)
    faults += [f"the id {name} comes twice" for name, times in sorted(ids.items()) if times > 1]
    if faults:
        shown = "\n  ".join(faults[:20])
        more = f"\n  and {len(faults) - 20} more" if len(faults) > 20 else ""
        raise TrainingFailure(f"{file} breaks the form of rendered examples:\n  {shown}{more}")
    if not examples:
        raise TrainingFailure(f"{file} holds no example")
    return examples if limit is None else examples[:limit]


def data_hash(examples: list[Example]) -> str:
    """A hash of what is learnt: the same examples in another order are the same data."""
    lines = sorted(json.dumps([e.id, e.form, e.messages(), e.answer], sort_keys=True) for e in examples)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def tokenize(examples: list[Example], tokenizer: PreTrainedTokenizerBase) -> list[Tokens]:
    """Examples as tokens. Throws a TrainingFailure for a text that holds a control token of the model."""
    faults: list[str] = []
    result: list[Tokens] = []
    control = [token for token in tokenizer.all_special_tokens if token]
    for example in examples:
        messages = example.messages()
        texts = [message["content"] for message in messages] + [example.answer]
        found = [token for token in control if any(token in text for text in texts)]
        if found:
            faults.append(f"{example.id} holds {found[0]}, which the engine never makes of a text")
            continue
        start = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        prompt = tokenizer(start, add_special_tokens=False)["input_ids"]
        answer = tokenizer(example.answer, add_special_tokens=False)["input_ids"]
        result.append(Tokens(example, (*prompt, *answer, tokenizer.eos_token_id), len(prompt)))
    if faults:
        raise TrainingFailure("data that cannot be learnt:\n  " + "\n  ".join(faults[:20]))
    return result


def split(examples: list[Tokens], share: float, seed: int) -> tuple[list[Tokens], list[Tokens]]:
    """What is trained and what is held back, by exchange, so that no wording of a held-back exchange is trained. Of each
    character and kind the same share is held back."""
    groups: dict[tuple[str, str], set[str]] = defaultdict(set)
    for tokens in examples:
        groups[tokens.example.npc, tokens.example.kind].add(_exchange(tokens))
    held: set[str] = set()
    for key in sorted(groups):
        ids = sorted(groups[key])
        random.Random(f"{seed} {key}").shuffle(ids)
        held.update(ids[: round(len(ids) * share)])
    return (
        [tokens for tokens in examples if _exchange(tokens) not in held],
        [tokens for tokens in examples if _exchange(tokens) in held],
    )


def turn_about(examples: list[Tokens], most: int, seed: int, epoch: int) -> list[Tokens]:
    """At most `most` examples of each exchange, others in each epoch until all have had their turn: an exchange with many
    wordings or a long table weighs no more than one with few."""
    groups: dict[str, list[Tokens]] = defaultdict(list)
    for tokens in examples:
        groups[_exchange(tokens)].append(tokens)
    chosen: list[Tokens] = []
    for key, group in groups.items():
        order = list(group)
        random.Random(f"{seed} {key}").shuffle(order)
        first = epoch * most
        chosen += [order[(first + i) % len(order)] for i in range(min(most, len(order)))]
    return chosen


def _exchange(tokens: Tokens) -> str:
    return tokens.example.id.rsplit("/", 1)[0]


def _example(fields: object) -> Example:
    if not isinstance(fields, dict):
        raise TypeError("not an object")
    for name in TEXTS:
        if not isinstance(fields.get(name), str) or not fields[name].strip():
            raise ValueError(f"{fields.get('id', 'an example')}: {name} must be a text that is not empty")
    if fields["form"] not in FORMS:
        raise ValueError(f"{fields['id']}: form must be one of {', '.join(FORMS)}")
    pairs = {name: tuple(_pair(fields, name, turn) for turn in fields.get(name) or ()) for name in ("examples", "turns")}
    if fields["answer"] != fields["answer"].strip() or "\n" in fields["answer"]:
        raise ValueError(f"{fields['id']}: the answer has blanks around it or a line break in it")
    return Example(**{name: fields[name] for name in TEXTS}, **pairs)


def _pair(fields: dict, name: str, turn: object) -> tuple[str, str]:
    if not isinstance(turn, dict) or not all(isinstance(turn.get(key), str) for key in ("player", "npc")):
        raise ValueError(f"{fields['id']}: {name} must be a list of {{player, npc}}")
    return turn["player"], turn["npc"]
