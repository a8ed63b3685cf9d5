"""Turns what an exact search fetches into the order that every index promises."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from continual_dml.records import Neighbours

_SLACK = 8
Fetch = Callable[["NDArray[np.float32]", int], "tuple[NDArray[np.float32], NDArray[np.int64]]"]
"""Takes queries (Q, D) and how many to fetch; gives similarities and ids (Q, fetched), best first."""


def best_first(fetch: Fetch, queries: NDArray[np.float32], k: int, size: int) -> Neighbours:
    """Return the ``k`` best of ``size`` items per query, the smaller id first on ties.

    Fetches past ``k`` until no item outside can tie with the k-th: faiss keeps any of equal ones.
    """
    fetched = min(size, k + _SLACK)
    while True:
        similarities, ids = fetch(queries, fetched)
        tied = similarities[:, k - 1] == similarities[:, -1]
        if fetched == size or not tied.any():
            break
        fetched = min(size, 2 * fetched)
    order = np.lexsort((ids, -similarities))[:, :k]
    return Neighbours(np.take_along_axis(ids, order, axis=1), np.take_along_axis(similarities, order, axis=1))


def empty_answer(queries: int, k: int) -> Neighbours:
    """Return the answer of no neighbours."""
    return Neighbours(np.empty((queries, k), dtype=np.int64), np.empty((queries, k), dtype=np.float32))
