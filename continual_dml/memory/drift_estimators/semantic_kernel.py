"""Semantic drift compensation, with a width chosen on held-out categories."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from continual_dml.memory.drift_estimators.held_out import best_candidate
from continual_dml.memory.drift_estimators.protocol import ByPosition, Carrier, Floats, Ints
from continual_dml.memory.semantic_drift import compensated

SHARES = (0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 10.0)
"""Widths to try, in units of the images' root mean square distance; at the last, everything moves alike."""


def fit_semantic_kernel(before: NDArray[np.floating], after: NDArray[np.floating], labels: Ints) -> Carrier:
    """Fit the kernel-weighted mean drift of the new images around a point.

    ::

        x <- x + sum_i w_i (b_i - a_i) / sum_i w_i,     w_i = exp(-|a_i - x|^2 / (2 s^2))

    s is one of a few shares of the root mean square distance between images, because stored features have no
    fixed length. Where no category can be held out, it is the largest.

    Source: Yu et al. 2020, "Semantic Drift Compensation for Class-Incremental Learning" (CVPR).
    """

    def carriers(old: Floats, new: Floats, _: Ints) -> list[Carrier]:
        spread = typical_distance(old)
        return [
            ByPosition(partial(compensated, before=old, after=new, width=share * spread), old.size + new.size)
            for share in SHARES
        ]

    old, new = np.asarray(before, dtype=np.float64), np.asarray(after, dtype=np.float64)
    best = best_candidate(old, new, labels, carriers)
    return carriers(old, new, labels)[-1 if best is None else best]


def typical_distance(points: Floats) -> float:
    """Return the root mean square distance between two of ``points`` (N, d), 1 where all are the same.

    >>> typical_distance(np.array([[0.0], [2.0]]))  # pairs with repetition: 0, 2, 2, 0
    1.4142135623730951
    """
    spread = float(np.sqrt(2.0 * np.square(points - points.mean(axis=0)).sum(axis=1).mean()))
    return spread if spread > 0.0 else 1.0
