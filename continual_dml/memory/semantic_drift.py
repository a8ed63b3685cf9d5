"""Semantic drift compensation: stored embeddings move as the new images near them did."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from continual_dml.errors import DimensionMismatch

CHUNK_POINTS = 2048


def compensated(
    points: NDArray[np.floating],
    before: NDArray[np.floating],
    after: NDArray[np.floating],
    width: float = 0.3,
) -> NDArray[np.float64]:
    """Return ``points`` (N, d) moved by the kernel-weighted mean drift of the new images around them.

    ::

        w_i = exp(-|before_i - x|^2 / (2 width^2))        x <- x + sum_i w_i (after_i - before_i) / sum_i w_i

    The weights are normalised in logarithms, so that a point far from every image takes the drift of the
    nearest one.

    Args:
        points: in the old space.
        before: (M, d) the new images in the old space.
        after: (M, d) the same in the new one.
        width: of the Gaussian kernel, in units of the space (0.2 to 0.3 for unit vectors).

    Raises:
        DimensionMismatch: the shapes do not fit together.

    Source: Yu et al. 2020, "Semantic Drift Compensation for Class-Incremental Learning" (CVPR).

    >>> moved = compensated(np.array([[1.0, 0.0]]), np.array([[1.0, 0.0]]), np.array([[0.8, 0.6]]))
    >>> moved.round(6).tolist()
    [[0.8, 0.6]]
    """
    if before.shape != after.shape or points.shape[1:] != before.shape[1:] or not len(before):
        raise DimensionMismatch(
            f"drift of {before.shape} to {after.shape} cannot move points of {points.shape}; "
            "give the same images before and after, in the space of the points"
        )
    old, drift = np.asarray(before, dtype=np.float64), np.asarray(after, dtype=np.float64) - before
    moved = np.asarray(points, dtype=np.float64).copy()
    for start in range(0, len(moved), CHUNK_POINTS):
        chunk = moved[start : start + CHUNK_POINTS]
        squared = (chunk**2).sum(axis=1)[:, None] + (old**2).sum(axis=1)[None] - 2 * chunk @ old.T
        exponents = -squared / (2 * width**2)
        weights = np.exp(exponents - exponents.max(axis=1, keepdims=True))
        moved[start : start + CHUNK_POINTS] = chunk + weights @ drift / weights.sum(axis=1, keepdims=True)
    return moved
