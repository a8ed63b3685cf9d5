"""How much an approximate index misses."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from storage.index.flat import FlatIndex
from storage.index.stored import StoredIndex

_K, _QUERIES = 10, 500


def measured_recall(index: StoredIndex, ids: NDArray[np.int64], vectors: NDArray[np.float32]) -> float | None:
    """Return the share of the ten best items that ``index`` finds, asked with up to 500 of its own vectors.

    Items that are exactly as similar as the tenth count as found, whichever of them was taken. None for an
    empty index.
    """
    if not len(ids):
        return None
    chosen = np.linspace(0, len(ids) - 1, min(_QUERIES, len(ids))).astype(np.int64)
    best = FlatIndex(ids, vectors).search(vectors[chosen], _K).similarities
    found = index.search(vectors[chosen], _K).similarities
    return round(float((found >= best[:, -1:] - 1e-6).mean()), 4)
