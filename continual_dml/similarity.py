"""Cosine similarities of a batch and the masks over them: the only place that masks.

Rows are anchors, columns are what they are compared with; larger is closer.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from continual_dml.errors import TrainingError


def cosine_similarity(first: Tensor, second: Tensor | None = None) -> Tensor:
    """Return the cosines between all rows of two sets of unit vectors.

    The product is computed in float32 at least, also inside an autocast region and for half-precision input:
    the losses exponentiate these numbers.

    Args:
        first: (A, D) unit vectors.
        second: (B, D) unit vectors; ``first`` itself where omitted.

    Returns:
        (A, B) float32 (float64 for float64 input).

    >>> cosine_similarity(torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([[0.6, 0.8]])).tolist()
    [[0.6000000238418579], [0.800000011920929]]
    """
    with torch.autocast(first.device.type, enabled=False):
        rows = at_least_float32(first)
        return rows @ (rows if second is None else at_least_float32(second)).T


def cosine_similarity_into(first: Tensor, second: Tensor, table: Tensor) -> Tensor:
    """Write the cosines between all rows of two sets of unit vectors into ``table`` and return it.

    For tables so large that making a new one each time takes longer than computing it. No gradient.

    Args:
        first: (A, D) float32 unit vectors.
        second: (B, D) float32 unit vectors.
        table: (A, B) float32.

    >>> points = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    >>> cosine_similarity_into(points, points[:1], torch.empty(2, 1)).tolist()
    [[1.0], [0.0]]
    """
    with torch.no_grad(), torch.autocast(first.device.type, enabled=False):
        return torch.mm(first, second.T, out=table)


def at_least_float32(values: Tensor) -> Tensor:
    """Return ``values`` in float32, or unchanged where they are more precise."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def same_label_mask(labels: Tensor, other: Tensor | None = None) -> Tensor:
    """Return where two items have the same label.

    Args:
        labels: (A,) integers.
        other: (B,) integers; ``labels`` itself where omitted.

    Returns:
        (A, B) bool.

    Raises:
        TrainingError: the labels are not one row of integers.

    >>> same_label_mask(torch.tensor([3, 5, 3])).int().tolist()
    [[1, 0, 1], [0, 1, 0], [1, 0, 1]]
    """
    columns = labels if other is None else other
    if labels.ndim != 1 or columns.ndim != 1:
        raise TrainingError(
            f"labels of shapes {tuple(labels.shape)} and {tuple(columns.shape)} were given to a similarity "
            "mask; pass one label per item, shape (B,)"
        )
    return labels[:, None] == columns[None, :]


def drop_self(mask: Tensor) -> Tensor:
    """Return a square mask (B, B) without its diagonal: no item is its own pair.

    >>> drop_self(torch.tensor([[True, True], [True, True]])).int().tolist()
    [[0, 1], [1, 0]]
    """
    return mask & ~torch.eye(len(mask), dtype=torch.bool, device=mask.device)


class PairMasks(NamedTuple):
    """Which pairs (anchor, other) of a batch share a label; both (B, B) bool, no item paired with itself."""

    positive: Tensor
    negative: Tensor


def pair_masks(labels: Tensor) -> PairMasks:
    """Return the positive and the negative pairs of a batch with ``labels`` (B,)."""
    same = same_label_mask(labels)
    return PairMasks(positive=drop_self(same), negative=~same)


def hide(similarities: Tensor, keep: Tensor, value: float) -> Tensor:
    """Return ``similarities`` with ``value`` wherever ``keep`` is False; no gradient flows through those."""
    return similarities.masked_fill(~keep, value)


def hide_own_column(similarities: Tensor, own_columns: Tensor) -> None:
    """Set row i's entry in column ``own_columns[i]`` to minus infinity, in place: no query finds itself."""
    similarities[torch.arange(len(own_columns)), own_columns] = float("-inf")


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Return the mean of ``values`` where ``mask`` holds; 0, with a gradient, where it never does."""
    return hide(values, mask, 0.0).sum() / mask.sum().clamp(min=1)


def log_one_plus_sum_exp(exponents: Tensor, keep: Tensor, dim: int) -> Tensor:
    """Return log(1 + sum of exp over the kept entries along ``dim``), stably; 0 where none is kept.

    >>> log_one_plus_sum_exp(torch.zeros(1, 3), torch.tensor([[True, True, False]]), dim=1).exp().tolist()
    [3.0]
    """
    kept = hide(exponents, keep, float("-inf"))
    one = torch.zeros_like(kept.narrow(dim, 0, 1))
    return torch.cat([one, kept], dim=dim).logsumexp(dim)


def log_sum_exp(exponents: Tensor, keep: Tensor, dim: int) -> Tensor:
    """Return log(sum of exp over the kept entries along ``dim``), stably.

    Where none is kept it is the lowest finite number, without a gradient; minus infinity would make the
    gradient of everything that follows not a number.

    >>> log_sum_exp(torch.zeros(1, 3), torch.tensor([[True, True, False]]), dim=1).exp().tolist()
    [2.0]
    """
    return hide(exponents, keep, torch.finfo(exponents.dtype).min).logsumexp(dim)
