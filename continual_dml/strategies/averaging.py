"""Averaging of weights over tasks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Weights = Mapping[str, NDArray[Any]]


def averaged(
    old: Weights, trained: Weights, task: int, smallest_share: float = 0.0
) -> dict[str, NDArray[Any]]:
    """Return old + s (trained - old) for each floating-point tensor; counters come from ``trained``.

    Args:
        old: weights after task t - 1.
        trained: weights after training on task t.
        task: t, counted from 0. The share s is 1/(t + 1): each task has had the same weight at the end.
        smallest_share: s is never smaller than this, so that late tasks of a long stream still count.
    """
    share = np.float32(max(1.0 / (task + 1), smallest_share))
    return {
        name: old[name] + share * (value - old[name]) if np.issubdtype(value.dtype, np.floating) else value
        for name, value in trained.items()
    }
