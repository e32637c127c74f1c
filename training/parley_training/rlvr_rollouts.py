"""Samples answers to many prompts of one character at once, whose common beginning is computed and kept once
for all.

The generation of transformers would hold the beginning of about 500 tokens once for every row, and read it at
every token. Used by rlvr_trainer.py; scores nothing.
"""

from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from peft import PeftModel
from transformers import AttentionInterface

from .attention import Layout, shared_prefix_attention
from .data import Tokens
from .packing import common_prefix

NAME = "parley_rollouts"


@dataclass
class Rows:
    """Keys and values of a batch while it is answered, by layer. `prefix` holds pairs (shared heads, tokens,
    size) that all rows share, `own` pairs (rows, shared heads, room, size); `used` (rows,) says how much of
    `own` is filled."""

    used: torch.Tensor
    room: int
    prefix: dict[int, tuple[torch.Tensor, torch.Tensor]] = field(default_factory=dict)
    own: dict[int, tuple[torch.Tensor, torch.Tensor]] = field(default_factory=dict)

    def keep(self, layer: int, key: torch.Tensor, value: torch.Tensor, layout: Layout) -> None:
        """Takes the keys and values (1, shared heads, tokens, size) of the packed prompts over."""
        first = layout.prefix
        table, _ = layout.grid()
        table = table.to(key.device)
        self.prefix[layer] = (key[0, :, :first].clone(), value[0, :, :first].clone())
        own = []
        for tensor in (key[0, :, first:], value[0, :, first:]):
            rows = tensor.index_select(1, table.reshape(-1)).unflatten(1, table.shape).movedim(1, 0)
            held = rows.new_zeros(rows.shape[0], rows.shape[1], self.room, rows.shape[3])
            held[:, :, : rows.shape[2]] = rows
            own.append(held)
        self.own[layer] = (own[0], own[1])

    def select(self, rows: torch.Tensor) -> None:
        """Keeps only these rows, in this order; a row may be named several times."""
        self.used = self.used[rows]
        self.own = {layer: (key[rows], value[rows]) for layer, (key, value) in self.own.items()}

    def attend(self, layer: int, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        """Attention of one new token a row: query (1, heads, rows, size), scaled already. Returns the same
        shape."""
        prefix_key, prefix_value = self.prefix[layer]
        own_key, own_value = self.own[layer]
        rows = torch.arange(len(self.used), device=query.device)
        own_key[rows, :, self.used] = key[0].movedim(1, 0)
        own_value[rows, :, self.used] = value[0].movedim(1, 0)
        shared = prefix_key.shape[0]
        heads = query[0].unflatten(0, (shared, -1))  # (shared, heads of each, rows, size)
        first = prefix_key.shape[1]
        before = (heads.flatten(1, 2) @ prefix_key.transpose(1, 2)).unflatten(1, heads.shape[1:3])
        by_row = heads.movedim(2, 0)  # (rows, shared, heads of each, size)
        own = (by_row @ own_key.transpose(2, 3)).movedim(0, 2)
        later = torch.arange(self.room, device=query.device)[None] > self.used[:, None]
        own = own.masked_fill(later, -torch.inf)
        weights = torch.cat([before, own], dim=-1).softmax(-1)
        out = (weights[..., :first].flatten(1, 2) @ prefix_value).unflatten(1, heads.shape[1:3])
        out = out + (weights[..., first:].movedim(2, 0) @ own_value).movedim(0, 2)
        return out.flatten(0, 1)[None]


def rollout_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float,
    dropout: float = 0.0,
    layout: Layout | None = None,
    rows: Rows | None = None,
    **rest: object,
) -> tuple[torch.Tensor, None]:
    """An attention function for transformers: that of packs (attention.py), and with `rows` one that keeps or
    uses their keys and values."""
    if rows is None or layout is not None:
        if rows is not None:
            rows.keep(module.layer_idx, key.to(value.dtype), value, layout)
        return shared_prefix_attention(
            module, query, key, value, attention_mask, scaling, dropout, layout, **rest
        )
    with torch.autocast(query.device.type, enabled=False):
        query, key = (query * scaling).to(value.dtype), key.to(value.dtype)
        return rows.attend(module.layer_idx, query, key, value).transpose(1, 2), None


AttentionInterface.register(NAME, rollout_attention)


@contextmanager
def autocast(model: PeftModel):  # noqa: ANN201
    """bfloat16 where the matrices of the layers are kept in it (base.load_model), and nothing elsewhere."""
    core = model.get_base_model()
    fast = any(parameter.dtype == torch.bfloat16 for parameter in core.model.layers[0].parameters())
    with torch.autocast(core.device.type, torch.bfloat16, enabled=fast):
        yield


@torch.no_grad()
def roll_out(
    model: PeftModel,
    prompts: list[Tokens],
    *,
    count: int,
    most: int,
    temperature: float,
    end: int,
    dice: torch.Generator | None,
) -> list[list[list[int]]]:
    """Of each prompt `count` answers as token ids, of at most `most` tokens, with the `end` token when they
    came to it. A temperature of 0 always takes the likeliest token. All prompts have to begin alike, the more
    the faster."""
    core = model.get_base_model()
    device = core.device
    prefix = common_prefix(prompts)
    rests = [list(tokens.ids[prefix : tokens.answer]) for tokens in prompts]
    layout = Layout(prefix, tuple(len(rest) for rest in rests))
    used = torch.tensor([len(rest) for rest in rests], device=device)
    rows = Rows(used=used, room=int(used.max()) + most)
    packed = [*prompts[0].ids[:prefix], *(token for rest in rests for token in rest)]
    ids = torch.tensor(packed, device=device)
    with autocast(model):
        hidden = core.model(
            input_ids=ids[None],
            position_ids=layout.positions().to(device),
            layout=layout,
            rows=rows,
            use_cache=False,
        ).last_hidden_state[0]
        ends = prefix - 1 + torch.cumsum(torch.tensor(layout.lengths, device=device), 0)
        rows.select(torch.arange(len(prompts), device=device).repeat_interleave(count))
        logits = core.lm_head(hidden[ends]).float().repeat_interleave(count, 0)
        answers: list[list[int]] = [[] for _ in range(len(logits))]
        # Which answer each row goes on with; rows that have ended are dropped now and then.
        places = torch.arange(len(answers), device=device)
        open_ = torch.ones(len(answers), dtype=torch.bool, device=device)
        for step in range(most):
            tokens = _draw(logits, temperature, dice)
            for row, token in enumerate(tokens.tolist()):
                if open_[row]:
                    answers[int(places[row])].append(token)
            open_ &= tokens != end
            if not bool(open_.any()) or step == most - 1:
                break
            if int(open_.sum()) <= len(open_) * 0.7:
                left = open_.nonzero()[:, 0]
                rows.select(left)
                places, tokens, open_ = places[left], tokens[left], open_[left]
            hidden = core.model(
                input_ids=tokens[None],
                position_ids=(prefix + rows.used)[None],
                rows=rows,
                use_cache=False,
            ).last_hidden_state[0]
            rows.used = rows.used + 1
            logits = core.lm_head(hidden).float()
    return [answers[i : i + count] for i in range(0, len(answers), count)]


def _draw(logits: torch.Tensor, temperature: float, dice: torch.Generator | None) -> torch.Tensor:
    if temperature == 0:
        return logits.argmax(-1)
    weights = (logits / temperature).softmax(-1).cpu()
    return torch.multinomial(weights, 1, generator=dice)[:, 0].to(logits.device)
