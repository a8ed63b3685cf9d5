"""How well one model's queries find what another model put into the gallery."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from continual_dml.errors import DimensionMismatch
from continual_dml.metrics.ranking import ranked_items

Vectors = NDArray[np.float32]
OVERLAP_AT = 10
SMALLEST_GAIN = 0.01
"""Where embedding anew gains less than this, there is nothing for a refresh to be efficient at."""


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """The nearest others of Q queries: ``rows`` (Q, k), best first."""

    rows: NDArray[np.int64]

    def recall_at_1(self, labels: NDArray[np.int64], asked: NDArray[np.bool_]) -> float | None:
        """Return how often the nearest other has the query's label, over the queries ``asked`` (Q,).

        Queries that share their label with no other row are left out; None where none is left.
        """
        _, inverse, counts = np.unique(labels, return_inverse=True, return_counts=True)
        counted = asked & (counts[inverse] > 1)
        if not counted.any():
            return None
        return float((labels[self.rows[counted, 0]] == labels[counted]).mean())

    def overlap(self, other: Found, asked: NDArray[np.bool_]) -> float | None:
        """Return the mean share of rows found by both, over the queries ``asked`` (Q,)."""
        if not asked.any():
            return None
        same = self.rows[asked][:, :, None] == other.rows[asked][:, None, :]  # (asked, k, k)
        return float(same.any(axis=2).mean())


def find_others(queries: Vectors, searched: Vectors, k: int = OVERLAP_AT) -> Found:
    """Return for each query the nearest rows of ``searched``, its own left out.

    Args:
        queries: (Q, D) unit vectors.
        searched: (Q, D) the same images, as a gallery holds them.
        k: how many; no more than there are others.

    Raises:
        DimensionMismatch: the two are not of the same images.
    """
    if queries.shape != searched.shape or len(queries) < 2:
        raise DimensionMismatch(
            f"queries of shape {queries.shape} cannot be searched among themselves as a gallery of shape "
            f"{searched.shape}; give the same images, two at least"
        )
    width = min(k, len(queries) - 1)
    depths = np.full(len(queries), width, dtype=np.int64)
    parts = [rows for _, rows in ranked_items(queries, searched, depths, np.arange(len(queries)))]
    return Found(np.concatenate(parts)[:, :width])


def refresh_efficiency(
    stale: Sequence[float | None], projected: Sequence[float | None], reembedded: Sequence[float | None]
) -> float | None:
    """Return (projected - stale) / (reembedded - stale), each the mean over the tasks where all are known.

    None where no task is known, or embedding anew gains next to nothing.

    >>> refresh_efficiency([0.5, None], [0.8, None], [0.9, 0.7])
    0.75
    >>> refresh_efficiency([0.9], [0.9], [0.9]) is None
    True
    """
    known = [
        row
        for row in zip(stale, projected, reembedded, strict=True)
        if all(value is not None for value in row)
    ]
    if not known:
        return None
    before, carried, anew = np.mean(np.array(known, dtype=np.float64), axis=0).tolist()
    gain = anew - before
    return None if gain < SMALLEST_GAIN else round((carried - before) / gain, 6)
