"""Turns what an exact search fetches into the order that every index promises."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from continual_dml.records import Neighbours
from storage.index.checks import check_queries

_SLACK = 8
Fetch = Callable[["NDArray[np.float32]", int], "tuple[NDArray[np.float32], NDArray[np.int64]]"]
"""Takes queries (Q, D) and how many to fetch; gives similarities and ids (Q, fetched), best first."""


def best_first(fetch: Fetch, queries: NDArray[np.float32], dimension: int, k: int, size: int) -> Neighbours:
    """Return the ``min(k, size)`` best of ``size`` items per query (Q, D), the smaller id first on ties.

    Fetches past ``k`` until no item outside can tie with the k-th: faiss keeps any of equal ones.

    Raises:
        DimensionMismatch: the queries have another dimension.
        GalleryError: a query is not finite, or ``k`` is negative.
    """
    wanted = check_queries(queries, dimension, k)
    k = min(k, size)
    if k == 0 or len(wanted) == 0:
        shape = len(wanted), k
        return Neighbours(np.empty(shape, dtype=np.int64), np.empty(shape, dtype=np.float32))
    fetched = min(size, k + _SLACK)
    while True:
        similarities, ids = fetch(wanted, fetched)
        tied = similarities[:, k - 1] == similarities[:, -1]
        if fetched == size or not tied.any():
            break
        fetched = min(size, 2 * fetched)
    order = np.lexsort((ids, -similarities))[:, :k]
    return Neighbours(np.take_along_axis(ids, order, axis=1), np.take_along_axis(similarities, order, axis=1))
