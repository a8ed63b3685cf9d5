"""Averaging of weights over tasks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Weights = Mapping[str, NDArray[Any]]


def averaged(old: Weights, trained: Weights, task: int) -> dict[str, NDArray[Any]]:
    """Return (t old + trained) / (t + 1) for each floating-point tensor; counters come from ``trained``.

    Args:
        old: weights after task t - 1.
        trained: weights after training on task t.
        task: t, counted from 0, so that each task has had the same weight at the end.
    """
    share = np.float32(1.0 / (task + 1))
    return {
        name: old[name] + share * (value - old[name]) if np.issubdtype(value.dtype, np.floating) else value
        for name, value in trained.items()
    }
