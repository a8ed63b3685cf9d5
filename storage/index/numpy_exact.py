"""Exact search in plain numpy: the reference that faster indexes are compared with."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from continual_dml.records import Neighbours
from storage.index.checks import check_queries
from storage.index.flat import FlatIndex


class NumpyExactIndex(FlatIndex):
    """The same file; compares every query with every vector."""

    def search(self, queries: NDArray[np.float32], k: int) -> Neighbours:
        """Return the ``min(k, len(self))`` best items per query (Q, D), the smaller id first on ties."""
        wanted = check_queries(queries, self.dimension, k)
        similarities = wanted @ self._vectors.T  # (Q, N)
        ids = np.broadcast_to(self._ids, similarities.shape)
        order = np.lexsort((ids, -similarities))[:, : min(k, len(self))]
        return Neighbours(
            np.take_along_axis(ids, order, axis=1), np.take_along_axis(similarities, order, axis=1)
        )
