"""Attention over one shared prefix and many continuations, packed into one sequence.

Each continuation sees the prefix and itself and nothing of its neighbours, so a pack gives exactly what separate
sequences would. Knows nothing of data or training.
"""

from dataclasses import dataclass

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

NAME = "parley_shared_prefix"


@dataclass(frozen=True)
class Layout:
    """Where things lie in a pack: `prefix` tokens, then continuations of the given `lengths`, without gaps."""

    prefix: int
    lengths: tuple[int, ...]

    @property
    def tokens(self) -> int:
        """Tokens of the whole pack."""
        return self.prefix + sum(self.lengths)

    def positions(self) -> torch.Tensor:
        """Position ids (1, tokens): every continuation goes on where the prefix ends."""
        rest = [torch.arange(self.prefix, self.prefix + length) for length in self.lengths]
        return torch.cat([torch.arange(self.prefix), *rest])[None]

    def grid(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Continuations as a table (rows, longest): indices into the part after the prefix (0 where a row has ended), and
        which places of the table are tokens."""
        longest = max(self.lengths)
        lengths = torch.tensor(self.lengths)
        starts = torch.cumsum(lengths, 0) - lengths
        columns = torch.arange(longest)
        is_token = columns[None] < lengths[:, None]
        return torch.where(is_token, starts[:, None] + columns[None], 0), is_token


def shared_prefix_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float,
    dropout: float = 0.0,
    layout: Layout | None = None,
    **_: object,
) -> tuple[torch.Tensor, None]:
    """An attention function for transformers: query (1, heads, tokens, size), key and value with as many or fewer heads.

    Without a `layout` it is plain causal attention. Returns (1, tokens, heads, size) and no weights.
    """
    grouped = query.shape[1] != key.shape[1]
    if layout is None:
        out = scaled_dot_product_attention(
            query, key, value, is_causal=True, scale=scaling, enable_gqa=grouped
        )
        return out.transpose(1, 2), None
    if attention_mask is not None:
        raise ValueError("a pack has its own mask; another one cannot be given")
    # By plain matrix products: on a CPU the backward pass of the fused kernel takes several times as long.
    with torch.autocast(query.device.type, enabled=False):
        query, key = (query * scaling).to(value.dtype), key.to(value.dtype)
        return _packed(query, key, value, layout).transpose(1, 2), None


def _packed(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, layout: Layout) -> torch.Tensor:
    """Attention of a pack; `query` is scaled already. Shapes as above; returns (1, heads, tokens, size)."""
    first, shared = layout.prefix, key.shape[1]
    key, value = key[0], value[0]
    # Heads that share keys lie one after the other: (shared, heads of each, tokens, size).
    query = query[0].unflatten(0, (shared, -1))
    parts = []
    if first:
        scores = query[:, :, :first].flatten(1, 2) @ key[:, :first].transpose(1, 2)
        scores = scores.unflatten(1, (-1, first)).masked_fill(_later(first, key.device), -torch.inf)
        parts.append((scores.softmax(-1).flatten(1, 2) @ value[:, :first]).unflatten(1, (-1, first)))
    if layout.lengths:
        parts.append(_continuations(query[:, :, first:], key, value, layout))
    return torch.cat(parts, dim=2).flatten(0, 1)[None]


def _continuations(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, layout: Layout
) -> torch.Tensor:
    """Attention of all continuations: one product with the prefix for all, and a table of small ones for each with itself."""
    first, rest = layout.prefix, query.shape[2]
    table, is_token = (tensor.to(query.device) for tensor in layout.grid())
    rows, longest = table.shape

    def in_table(tensor: torch.Tensor) -> torch.Tensor:
        # (shared, ..., rest, size) -> (rows, shared, ..., longest, size)
        return tensor.index_select(-2, table.reshape(-1)).unflatten(-2, (rows, longest)).movedim(-3, 0)

    def out_of_table(tensor: torch.Tensor) -> torch.Tensor:
        return tensor.movedim(0, -3).flatten(-3, -2).index_select(-2, is_token.reshape(-1).nonzero()[:, 0])

    own_key, own_value = in_table(key[:, first:]), in_table(value[:, first:])
    # Rows end with their padding, so that causality alone hides it.
    own = in_table(query) @ own_key.transpose(-1, -2)[:, :, None]
    own = out_of_table(own.masked_fill(_later(longest, key.device), -torch.inf))
    shared = (query.flatten(1, 2) @ key[:, :first].transpose(1, 2)).unflatten(1, (-1, rest))
    weights = torch.cat([shared, own], dim=-1).softmax(-1)
    out = (weights[..., :first].flatten(1, 2) @ value[:, :first]).unflatten(1, (-1, rest))
    return out + out_of_table(in_table(weights[..., first:]) @ own_value[:, :, None])


def _later(size: int, device: torch.device) -> torch.Tensor:
    return torch.ones(size, size, dtype=torch.bool, device=device).triu(1)


AttentionInterface.register(NAME, shared_prefix_attention)
