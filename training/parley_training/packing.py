"""Packs examples that begin alike into one sequence: their common beginning once, then what follows of each.

A character's prompt begins with about 500 tokens that never change; without packs most of the work would be spent on them.
"""

import random
from collections import defaultdict
from dataclasses import dataclass

import torch

from .attention import Layout
from .data import Tokens

IGNORED = -100


@dataclass(frozen=True)
class Pack:
    """One sequence. `ids` (tokens), `targets` (learnt,) and `places` (learnt,): the hidden state at places[i] has to predict
    targets[i]."""

    ids: torch.Tensor
    layout: Layout
    places: torch.Tensor
    targets: torch.Tensor
    npc: str

    @property
    def tokens(self) -> int:
        """Tokens that the model works on."""
        return self.layout.tokens


def common_prefix(group: list[Tokens]) -> int:
    """How many tokens all of a group begin with, short of any answer."""
    first = min(group, key=lambda tokens: tokens.ids).ids
    last = max(group, key=lambda tokens: tokens.ids).ids
    most = min(tokens.answer - 1 for tokens in group)
    length = 0
    while length < min(most, len(first), len(last)) and first[length] == last[length]:
        length += 1
    return length


def make_pack(group: list[Tokens], prefix: int) -> Pack:
    """Packs examples whose first `prefix` tokens are the same."""
    ids = list(group[0].ids[:prefix])
    places: list[int] = []
    targets: list[int] = []
    lengths: list[int] = []
    for tokens in group:
        # The last token predicts nothing, so it is left out.
        rest = tokens.ids[prefix:-1]
        shift = len(ids) - prefix
        places += [shift + i - 1 for i in range(tokens.answer, len(tokens.ids))]
        targets += tokens.ids[tokens.answer :]
        ids += rest
        lengths.append(len(rest))
    return Pack(
        torch.tensor(ids),
        Layout(prefix, tuple(lengths)),
        torch.tensor(places),
        torch.tensor(targets),
        group[0].example.npc,
    )


def epoch_packs(examples: list[Tokens], room: int, seed: int | None) -> list[Pack]:
    """All examples once, in packs of at most `room` tokens after the prefix, one character a pack.

    With a seed examples are shuffled first, so that a pack mixes kinds, and so are the packs; without one the order stays.
    """
    dice = random.Random(seed)
    groups: dict[tuple[str, str, tuple], list[Tokens]] = defaultdict(list)
    for tokens in examples:
        groups[tokens.example.npc, tokens.example.system, tokens.example.examples].append(tokens)
    packs: list[Pack] = []
    for group in groups.values():
        prefix = common_prefix(group)
        order = list(group)
        if seed is not None:
            dice.shuffle(order)
        for part in _parts(order, prefix, room):
            packs.append(make_pack(part, prefix))
    if seed is not None:
        dice.shuffle(packs)
    return packs


def _parts(order: list[Tokens], prefix: int, room: int) -> list[list[Tokens]]:
    # As many parts as are needed, all about as full: a small last one would weigh as much as a full one.
    total = sum(len(tokens.ids) - prefix for tokens in order)
    number = max(1, -(-total // room))
    parts: list[list[Tokens]] = [[]]
    used = 0
    for tokens in order:
        if parts[-1] and used >= total * len(parts) / number:
            parts.append([])
        parts[-1].append(tokens)
        used += len(tokens.ids) - prefix
    return parts
