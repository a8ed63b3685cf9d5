"""What every triplet miner returns."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor


class Triplets(NamedTuple):
    """T triplets as rows of a batch: ``anchor``, ``positive`` and ``negative`` are (T,) int64 each."""

    anchor: Tensor
    positive: Tensor
    negative: Tensor


TripletMiner = Callable[[Tensor, Tensor], Triplets]
"""Takes the cosine similarities (B, B) and the labels (B,) of a batch; chooses without a gradient."""
