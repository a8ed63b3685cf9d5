"""Approximate search by faiss for galleries too large to compare with one by one.

How much is missed is measured whenever such an index is built, and stored beside it. Restricted to some items
(:meth:`among`) the search is exact: as many come back as match.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from storage.index.faiss_backed import FaissIndex

_LEAST_PROBES = 8
_NOTHING: NDArray[np.int64] = np.empty(0, dtype=np.int64)


def cells_for(count: int) -> int:
    """Return into how many cells ``count`` vectors go."""
    return max(1, min(int(4 * math.sqrt(count)), count // 64))


def probes_for(cells: int) -> int:
    """Return how many of ``cells`` are looked at."""
    return min(cells, max(_LEAST_PROBES, cells // 8))


class HnswIndex(FaissIndex):
    """A graph of near neighbours: fast to ask, slow to build, more memory than the vectors."""

    exact = False
    thins = True

    _LINKS, _BUILD_WIDTH, _LEAST_WIDTH = 32, 200, 128

    def __init__(
        self,
        index: Any,  # noqa: ANN401 - faiss has no types
        ids: NDArray[np.int64],
        removed: NDArray[np.int64] = _NOTHING,
    ) -> None:
        super().__init__(index, ids)
        self._removed = removed
        self._rows = np.flatnonzero(~np.isin(ids, removed))
        self._left = ids[self._rows]
        self._selected = _all_but(removed) if len(removed) else None

    @classmethod
    def _made(cls, vectors: NDArray[np.float32]) -> Any:  # noqa: ANN401
        import faiss

        index = faiss.IndexHNSWFlat(vectors.shape[1], cls._LINKS, faiss.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction = cls._BUILD_WIDTH
        return index

    @classmethod
    def _is_own(cls, index: Any) -> bool:  # noqa: ANN401
        import faiss

        return isinstance(index, faiss.IndexHNSWFlat) and index.metric_type == faiss.METRIC_INNER_PRODUCT

    def _parameters(self, k: int) -> Any:  # noqa: ANN401
        import faiss

        parameters: Any = faiss.SearchParametersHNSW()  # type: ignore[attr-defined]
        parameters.efSearch = max(self._LEAST_WIDTH, 2 * k)
        if self._selected is not None:
            parameters.sel = self._selected
        return parameters

    @property
    def ids(self) -> NDArray[np.int64]:
        """Ids (N,) of what is left, in the order of insertion."""
        return self._left

    @property
    def removed(self) -> NDArray[np.int64]:
        """Ids (n,), ascending, that the graph holds and leaves out: walked through, never answered with."""
        return self._removed

    def without(self, ids: NDArray[np.int64]) -> HnswIndex:
        """Return an index that leaves out ``ids`` (n,) as well, over the same graph."""
        gone = np.intersect1d(self._ids, np.concatenate([self._removed, ids]))
        return type(self)(self._index, self._ids, gone)

    def _vectors(self) -> NDArray[np.float32]:
        return super()._vectors()[self._rows]


class IvfIndex(FaissIndex):
    """Vectors in cells around k-means centres: quick to build, no more memory than the vectors."""

    exact = False

    @classmethod
    def _made(cls, vectors: NDArray[np.float32]) -> Any:  # noqa: ANN401
        import faiss

        count, dimension = vectors.shape
        index = faiss.IndexIVFFlat(
            faiss.IndexFlatIP(dimension), dimension, cells_for(count), faiss.METRIC_INNER_PRODUCT
        )
        index.cp.min_points_per_centroid = 1  # else faiss writes warnings of its own
        index.train(vectors if count else np.eye(1, dimension, dtype=np.float32))
        index.make_direct_map()
        return index

    @classmethod
    def _is_own(cls, index: Any) -> bool:  # noqa: ANN401
        import faiss

        return isinstance(index, faiss.IndexIVFFlat) and index.metric_type == faiss.METRIC_INNER_PRODUCT

    def _parameters(self, k: int) -> Any:  # noqa: ANN401
        import faiss

        inner: Any = faiss.downcast_index(self._index.index)
        return faiss.SearchParametersIVF(nprobe=probes_for(inner.nlist))  # type: ignore[call-arg]


def _all_but(ids: NDArray[np.int64]) -> Any:  # noqa: ANN401
    """Return what tells faiss to answer with any item but ``ids`` (n,)."""
    import faiss

    return faiss.IDSelectorNot(faiss.IDSelectorBatch(np.ascontiguousarray(ids)))
